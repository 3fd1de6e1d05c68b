"""From two answer strings to a judgement: text, exact numbers, choices and words, then trees."""

import functools
import re
from dataclasses import dataclass

from verifiers.math.compare import Comparison
from verifiers.math.limits import MAX_ANSWER_CHARS, TooMuch
from verifiers.math.nodes import Node, walk
from verifiers.math.numbers import MAX_NUMBER_CHARS, Number, is_rounding_of, read_number
from verifiers.math.parse import Unreadable, parse
from verifiers.math.text import UNWRAPPED, flat, undress
from verifiers.math.units import without_measure

Pairs = tuple[tuple[Node, Node], ...]


@dataclass(frozen=True)
class Judgement:
    """`same` and why. Where `pending` is not empty, "same" holds only if sympy confirms each pair."""

    same: bool
    detail: str
    pending: Pairs = ()


CHOICE = re.compile(r"\(?([A-Z])\)?", re.ASCII)
CHOSEN = re.compile(r"\(?([A-Za-z])(?:\)|[.:]|\)[.:])(?:\s.*)?|([A-Za-z])", re.ASCII | re.DOTALL)
LABELLED_CHOICE = re.compile(r"\([A-J]\)[\s:.]*([^\s:.].*)", re.ASCII | re.DOTALL)
HEDGED_CHOICE = re.compile(r"^[).:\s]*(?:or\b|and\b|[,;/&]|\\)|\([A-J]\)", re.ASCII)
ONLY_WORDS = re.compile(r"[A-Za-z\s.,'\"()\-]*[A-Za-z][A-Za-z\s.,'\"()\-]*", re.ASCII)
ARTICLE = re.compile(r"^\s*(?:an?|the)\s+(?=[a-z]{2})")
IN_DOLLARS = re.compile(r"-?\\?\$")
IN_CENTS = re.compile(r"\bcents?\b")
DECIMAL_COMMA = re.compile(r"-?\d+,\d+", re.ASCII)
GROUPED = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})+", re.ASCII)
SYNONYMS = {
    "nosolution": "emptyset",
    "nosolutions": "emptyset",
    "norealsolution": "emptyset",
    "norealsolutions": "emptyset",
    "emptyset": "emptyset",
    "doesnotexist": "dne",
    "allrealnumbers": "realnumbers",
    "realnumbers": "realnumbers",
}


@functools.lru_cache(maxsize=8_192)
def number_of(text: str) -> Number | None:
    if len(text) > 2 * MAX_NUMBER_CHARS:
        return None
    return read_number(unwrapped(text) if text.startswith("\\") else text)


@functools.lru_cache(maxsize=8_192)
def tree_of(text: str) -> Node | str:
    """The tree of an answer, or why there is none."""
    try:
        return parse(text)
    except (Unreadable, TooMuch) as problem:
        return str(problem)
    except RecursionError:
        return "nested too deeply"


def is_readable(text: str) -> bool:
    """Whether a text is a number or an expression as it stands."""
    if len(text) > MAX_ANSWER_CHARS or number_of(text) is not None:
        return True
    tree = tree_of(text)
    if isinstance(tree, str):
        return False
    return tree.head in ("text", "rel") or not any(one.head == "text" for one in walk(tree))


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
        return Judgement(False, "dollars are not cents")
    if left is not None or right is not None:
        measured = number_of(without_measure(ours if left is None else truth))
        if measured is not None and numbers_agree(measured, left or right or measured):
            return Judgement(True, "the same number")
    if flat(ours) == flat(truth) != "":
        return Judgement(True, "the same text")
    valued = without_choice(ours, truth), without_choice(truth, ours)
    if valued != (ours, truth):
        return judge(*valued, ordered=ordered)
    chosen = choice(ours, truth)
    if chosen is not None:
        return Judgement(chosen, "the same choice" if chosen else "another choice")
    words, true_words = words_of(ours), words_of(truth)
    if words and true_words:
        if words == true_words:
            return Judgement(True, "the same words")
    elif decimal_comma(ours, truth) or decimal_comma(truth, ours):
        return Judgement(True, "the same number")
    node, true_node = tree_of(ours), tree_of(truth)
    if isinstance(true_node, str):
        return Judgement(False, f"not the text of the ground truth, which is no expression: {true_node}")
    if isinstance(node, str):
        return Judgement(False, f"not an expression: {node}")
    comparison = Comparison(ordered=ordered)
    try:
        same = comparison.same(node, true_node)
    except RecursionError:
        return Judgement(False, "nested too deeply")
    if not same:
        return Judgement(False, "a different answer")
    return Judgement(True, "equal", tuple(comparison.pending))


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


def unwrapped(text: str) -> str:
    """Without the fonts and `\\text{}` around words."""
    for _ in range(3):
        before, text = text, UNWRAPPED.sub(r"\1", text)
        if text == before:
            break
    return text.replace("\\ ", " ").strip()


def without_choice(text: str, other: str) -> str:
    """`(B) 17` as 17, where the other answer is a value and not a letter."""
    labelled = LABELLED_CHOICE.fullmatch(unwrapped(text))
    if labelled is None or other.startswith("(") or CHOICE.fullmatch(unwrapped(other)):
        return text
    if HEDGED_CHOICE.search(labelled[1]):
        return text
    return undress(labelled[1])


def choice(ours: str, truth: str) -> bool | None:
    """Whether the letter of a multiple choice is the same; `None` if the ground truth (or the answer) is no letter."""
    letter, other = CHOICE.fullmatch(unwrapped(truth)), unwrapped(ours)
    if letter is None:
        letter, other = CHOICE.fullmatch(unwrapped(ours)), unwrapped(truth)
    if letter is None or (letter[1] > "J"):
        return None
    found = CHOSEN.fullmatch(other)
    if found is None:
        return None
    if found[1] and HEDGED_CHOICE.search(other[found.end(1) :]):
        return False
    return (found[1] or found[2]).upper() == letter[1]


def words_of(text: str) -> str:
    """A text answer without case, spaces and punctuation; empty if there is more than words."""
    plain = unwrapped(text).replace("\\ ", " ").replace("~", " ")
    if plain in (r"\emptyset", r"\varnothing", r"\{\}", "∅"):
        return "emptyset"
    if plain in (r"\mathbb{R}", "ℝ"):
        return "realnumbers"
    if not ONLY_WORDS.fullmatch(plain):
        return ""
    letters = re.sub(r"[^a-z]", "", ARTICLE.sub("", plain.lower(), count=1))
    return SYNONYMS.get(letters, letters) if len(letters) > 1 else ""


def decimal_comma(ours: str, truth: str) -> bool:
    """`1,22` for 1.22, where it cannot be a thousands separator."""
    if not DECIMAL_COMMA.fullmatch(ours) or GROUPED.fullmatch(ours):
        return False
    other = number_of(truth)
    written = number_of(ours.replace(",", "."))
    return other is not None and "." in truth and written is not None and written.value == other.value
