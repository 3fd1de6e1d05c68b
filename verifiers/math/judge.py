"""From two answer strings to a judgement: text, exact numbers, choices and words, then trees."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from verifiers.math.limits import MAX_ANSWER_CHARS, TooMuch
from verifiers.math.proof.compare import Comparison
from verifiers.math.text.choices import choice, without_choice
from verifiers.math.text.dressing import flat
from verifiers.math.text.numbers import MAX_NUMBER_CHARS, Number, is_rounding_of, read_number
from verifiers.math.text.units import in_one_unit, with_unit_in_words, without_measure
from verifiers.math.text.wording import (
    as_ratio,
    phrase_of,
    same_time,
    same_words,
    unwrapped,
    without_noun,
    words_of,
)
from verifiers.math.tree.nodes import INFINITY, Node, symbol, walk
from verifiers.math.tree.parse import Unreadable, parse

Pairs = tuple[tuple[Node, Node], ...]


@dataclass(frozen=True)
class Judgement:
    """`same` and why. Where `pending` is not empty, "same" holds only if sympy confirms each pair."""

    same: bool
    detail: str
    pending: Pairs = ()


IN_DOLLARS = re.compile(r"-?\\?\$")
DOLLAR_SIGN = re.compile(r"\\?\$")
IN_CENTS = re.compile(r"\bcents?\b|¢")
DECIMAL_COMMA = re.compile(r"-?\d+,\d+", re.ASCII)
SEVERAL = re.compile(r"[,;]|\\\\|\b(?:and|or)\b")
MEANINGS = {"emptyset": Node("set", ()), "realnumbers": symbol("mathbb R"), "infinity": INFINITY}
GROUPED = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})+", re.ASCII)


@functools.lru_cache(maxsize=8_192)
def number_of(text: str) -> Number | None:
    if len(text) > 2 * MAX_NUMBER_CHARS:
        return None
    return read_number(unwrapped(text) if text.startswith("\\") else text)


@functools.lru_cache(maxsize=8_192)
def tree_of(text: str) -> Node | str:
    """The tree of an answer, or why there is none."""
    try:
        node = parse(text)
        return MEANINGS.get(words_of(node.args[0]), node) if node.head == "text" else node
    except (Unreadable, TooMuch) as problem:
        return str(problem)
    except RecursionError:
        return "nested too deeply"


def reread(text: str, change: Callable[[str], str]) -> str:
    """A text as it is, or, where that changes a quantity, what `change` makes of it once `\\text{}` is gone."""
    if not text.lstrip("-.")[:1].isdigit() and not text.startswith("\\text"):
        return text
    plain = unwrapped(text)
    changed = change(plain)
    return text if changed == plain else changed


def in_dollars(text: str) -> str:
    """A text that begins with a dollar sign with the word instead, and any other as it is."""
    return DOLLAR_SIGN.sub("", text) + r"\text{ dollars}" if IN_DOLLARS.match(text) else text


def has_unit(node: Node | str) -> bool:
    return isinstance(node, Node) and node.head == "unit"


def is_readable(text: str) -> bool:
    """Whether a text is a number or an expression as it stands."""
    if len(text) > MAX_ANSWER_CHARS or number_of(text) is not None:
        return True
    tree = tree_of(text)
    if isinstance(tree, str):
        return False
    if tree.head == "text":
        return not any(character.isdigit() for character in text)  # else a sentence with a number in it
    return tree.head == "rel" or not any(one.head == "text" for one in walk(tree))


def judge(ours: str, truth: str, *, ordered: bool = False) -> Judgement:
    """Whether two answers, already undressed, are the same."""
    if ours == truth:
        return Judgement(True, "the same text")
    if not ours or not truth:
        return Judgement(False, "nothing to compare")
    if len(ours) > MAX_ANSWER_CHARS or len(truth) > MAX_ANSWER_CHARS:
        return Judgement(False, f"longer than {MAX_ANSWER_CHARS} characters and not the text of the ground truth")
    left, right = number_of(ours), number_of(truth)
    if left is not None and right is not None:
        if numbers_agree(left, right):
            return Judgement(True, "the same number")
        return Judgement(False, f"another number than {truth}"[:120])
    if (IN_DOLLARS.match(ours) and IN_CENTS.search(truth)) or (IN_DOLLARS.match(truth) and IN_CENTS.search(ours)):
        return judge(in_dollars(ours), in_dollars(truth), ordered=ordered)
    if left is not None or right is not None:
        measured = number_of(without_measure(without_noun(unwrapped(ours if left is None else truth))))
        if measured is not None and numbers_agree(measured, left or right or measured):
            return Judgement(True, "the same number")
    if flat(ours) == flat(truth) != "":
        return Judgement(True, "the same text")
    if same_time(ours, truth):
        return Judgement(True, "the same time")
    ours, truth = as_ratio(ours, truth), as_ratio(truth, ours)
    valued = without_choice(ours, truth), without_choice(truth, ours)
    if valued != (ours, truth):
        return judge(*valued, ordered=ordered)
    chosen = choice(ours, truth)
    if chosen is not None:
        return Judgement(chosen, "the same choice" if chosen else "another choice")
    if same_words(ours, truth) or ((phrase := phrase_of(ours)) and phrase == phrase_of(truth)):
        return Judgement(True, "the same words")
    if decimal_comma(ours, truth):
        return Judgement(True, "the same number")
    ours, truth = reread(ours, in_one_unit), reread(truth, in_one_unit)
    node, true_node = tree_of(ours), tree_of(truth)
    if has_unit(node) != has_unit(true_node):  # 15 m/s is a product of letters, unless the other answer has a unit
        node, true_node = (tree_of(reread(text, with_unit_in_words)) for text in (ours, truth))
    if isinstance(true_node, str) and "=" in truth and not SEVERAL.search(truth):
        return judge(ours, truth.rpartition("=")[2].strip(), ordered=ordered)  # what it says in the end may be readable
    if isinstance(true_node, str):
        return Judgement(False, f"not the text of the ground truth, which is no expression: {true_node}")
    if isinstance(node, str):
        return Judgement(False, f"not an expression: {node}")
    comparison = Comparison(ordered=ordered)
    try:
        same = comparison.same(node, true_node)
    except RecursionError:
        return Judgement(False, "nested too deeply")
    except TooMuch as problem:
        return Judgement(False, str(problem))
    if not same:
        return Judgement(False, "a different answer")
    return Judgement(True, "equal", tuple(comparison.equality.pending))


def numbers_agree(left: Number, right: Number) -> bool:
    """Exact equality; `28%` is 0.28, and also answers "28" where a percentage was asked for."""
    if left.percent == right.percent:
        return (
            left.value == right.value
            or is_rounding_of(left.value, right.value)
            or is_rounding_of(right.value, left.value)
        )
    plain, percent = (right, left) if left.percent else (left, right)
    if abs(plain.value) < 1:
        return plain.value == percent.value / 100  # 0.5% is no answer to 1/2
    return plain.value in (percent.value, percent.value / 100)


def decimal_comma(ours: str, truth: str) -> bool:
    """A completion's `1,22` for 1.22, where it cannot be a thousands separator. A ground truth `1,22` is a list."""
    if not DECIMAL_COMMA.fullmatch(ours) or GROUPED.fullmatch(ours):
        return False
    other = number_of(truth)
    written = number_of(ours.replace(",", "."))
    return other is not None and "." in truth and written is not None and written.value == other.value
