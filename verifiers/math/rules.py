r"""Are two answers the same? A table of rules, asked in order; the first one that decides gives the verdict.

A rule decides, rewords the answers for the rules below it (or for all rules, from the top), or says nothing. The order
matters: each row says why it stands where it stands. Answers come undressed (`text.dressing`).
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from verifiers.math.limits import MAX_ANSWER_CHARS, TooMuch
from verifiers.math.proof.compare import Comparison
from verifiers.math.text.choices import same_choice, without_choice
from verifiers.math.text.dressing import flat
from verifiers.math.text.numbers import numbers_agree
from verifiers.math.text.units import in_one_unit, with_unit_in_words, without_measure
from verifiers.math.text.wording import as_ratio, phrase_of, same_time, same_words, unwrapped, without_noun
from verifiers.math.tree.nodes import Node
from verifiers.math.tree.reading import number_of, tree_of

Pairs = tuple[tuple[Node, Node], ...]

IN_DOLLARS = re.compile(r"-?\\?\$")
DOLLAR_SIGN = re.compile(r"\\?\$")
IN_CENTS = re.compile(r"\bcents?\b|¢")
DECIMAL_COMMA = re.compile(r"-?\d+,\d+", re.ASCII)
SEVERAL = re.compile(r"[,;]|\\\\|\b(?:and|or)\b")
GROUPED = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})+", re.ASCII)


class Question(NamedTuple):
    """Is `ours` the same answer as `truth`? With `ordered`, the order counts in bare lists too."""

    ours: str
    truth: str
    ordered: bool = False


class Ruling(NamedTuple):
    """What a rule decides, and the reason. Where `pending` is not empty, "same" holds if sympy proves each pair."""

    same: bool
    reason: str
    pending: Pairs = ()


class Rewording(NamedTuple):
    """The same two answers in other words, for the rules below; with `from_the_top`, for all rules."""

    ours: str
    truth: str
    from_the_top: bool = False


class Decision(NamedTuple):
    """A ruling and the name of its rule, with the names of the rules that reworded the answers before."""

    same: bool
    reason: str
    rule: str
    pending: Pairs = ()

    @property
    def detail(self) -> str:
        """The reason and the rule, as a verdict shows them."""
        return with_rule(self.reason, self.rule)


class Rule(NamedTuple):
    """`apply` decides, rewords or says nothing; `place` says why the rule stands where it stands."""

    name: str
    apply: Callable[[Question], Ruling | Rewording | None]
    place: str


def with_rule(reason: str, rule: str) -> str:
    """`the same number (rule: numbers)`."""
    return f"{reason} (rule: {rule})"


def decide(ours: str, truth: str, *, ordered: bool = False) -> Decision:
    """Whether two undressed answers are the same, by the first rule of `RULES` that can tell."""
    question = Question(ours, truth, ordered)
    reworded_by: list[str] = []
    row = 0
    while True:  # ends: each rewording from the top takes something away, and the last rule always decides
        rule = RULES[row]
        outcome = rule.apply(question)
        row += 1
        if outcome is None:
            continue
        if isinstance(outcome, Ruling):
            name = f"{rule.name}, reworded by: {', '.join(reworded_by)}" if reworded_by else rule.name
            return Decision(outcome.same, outcome.reason, name, outcome.pending)
        question = Question(outcome.ours, outcome.truth, ordered)
        reworded_by.append(rule.name)
        if outcome.from_the_top:
            row = 0


# Rules about the two texts as they are


def same_text(question: Question) -> Ruling | None:
    return Ruling(True, "the same text") if question.ours == question.truth else None


def empty(question: Question) -> Ruling | None:
    return None if question.ours and question.truth else Ruling(False, "one of the answers is empty")


def too_long(question: Question) -> Ruling | None:
    if len(question.ours) <= MAX_ANSWER_CHARS and len(question.truth) <= MAX_ANSWER_CHARS:
        return None
    return Ruling(False, f"longer than {MAX_ANSWER_CHARS} characters, and not the text of the ground truth")


# Rules about numbers


def numbers(question: Question) -> Ruling | None:
    left, right = number_of(question.ours), number_of(question.truth)
    if left is None or right is None:
        return None
    if numbers_agree(left, right):
        return Ruling(True, "the same number")
    return Ruling(False, f"a different number from {question.truth}"[:120])


def dollars_and_cents(question: Question) -> Rewording | None:
    r"""`\$5` as 5 dollars, where the other answer is in cents."""
    ours, truth, _ = question
    if (IN_DOLLARS.match(ours) and IN_CENTS.search(truth)) or (IN_DOLLARS.match(truth) and IN_CENTS.search(ours)):
        return Rewording(in_dollars(ours), in_dollars(truth), from_the_top=True)
    return None


def number_with_unit(question: Question) -> Ruling | None:
    """`540 m` beside 540, `the year 1998` beside 1998."""
    left, right = number_of(question.ours), number_of(question.truth)
    if left is None and right is None:
        return None
    with_unit = question.ours if left is None else question.truth
    measured = number_of(without_measure(without_noun(unwrapped(with_unit))))
    if measured is None or not numbers_agree(measured, left or right or measured):
        return None
    return Ruling(True, "the same number")


# Rules about words


def same_undressed_text(question: Question) -> Ruling | None:
    same = flat(question.ours) == flat(question.truth) != ""
    return Ruling(True, "the same text but for spacing and fonts") if same else None


def times_of_day(question: Question) -> Ruling | None:
    return Ruling(True, "the same time") if same_time(question.ours, question.truth) else None


def ratio_in_words(question: Question) -> Rewording | None:
    """`3 to 5` as `3:5`, where the other answer is a ratio."""
    return reworded(question, as_ratio(question.ours, question.truth), as_ratio(question.truth, question.ours))


def labelled_choice(question: Question) -> Rewording | None:
    """`(B) 17` as 17, where the other answer is a value."""
    ours, truth, _ = question
    return reworded(question, without_choice(ours, truth), without_choice(truth, ours), from_the_top=True)


def choices(question: Question) -> Ruling | None:
    same = same_choice(question.ours, question.truth)
    return None if same is None else Ruling(same, "the same choice" if same else "a different choice")


def words(question: Question) -> Ruling | None:
    ours, truth, _ = question
    same = same_words(ours, truth) or ((phrase := phrase_of(ours)) and phrase == phrase_of(truth))
    return Ruling(True, "the same words") if same else None


def decimal_comma(question: Question) -> Ruling | None:
    """A completion's `1,22` for 1.22, where it cannot be a thousands separator. A ground truth `1,22` is a list."""
    ours, truth, _ = question
    if not DECIMAL_COMMA.fullmatch(ours) or GROUPED.fullmatch(ours):
        return None
    right = number_of(truth)
    left = number_of(ours.replace(",", "."))
    same = right is not None and "." in truth and left is not None and left.value == right.value
    return Ruling(True, "the same number") if same else None


def one_unit(question: Question) -> Rewording | None:
    """`5 hours and 30 minutes` as 11/2 hours."""
    return reworded(question, reread(question.ours, in_one_unit), reread(question.truth, in_one_unit))


# Rules about the two trees


def last_side(question: Question) -> Rewording | None:
    r"""The last side of a ground truth that cannot be read as a whole: `\#A = 12` as 12."""
    _, tree = trees_of(question)
    if not isinstance(tree, str) or "=" not in question.truth or SEVERAL.search(question.truth):
        return None
    return Rewording(question.ours, question.truth.rpartition("=")[2].strip(), from_the_top=True)


def unreadable_truth(question: Question) -> Ruling | None:
    _, tree = trees_of(question)
    if not isinstance(tree, str):
        return None
    return Ruling(False, f"the ground truth cannot be read as an expression: {tree}")


def unreadable_answer(question: Question) -> Ruling | None:
    tree, _ = trees_of(question)
    return Ruling(False, f"the answer cannot be read as an expression: {tree}") if isinstance(tree, str) else None


def trees(question: Question) -> Ruling:
    node, true_node = trees_of(question)
    assert isinstance(node, Node)
    assert isinstance(true_node, Node)
    comparison = Comparison(ordered=question.ordered)
    try:
        same = comparison.same(node, true_node)
    except RecursionError:
        return Ruling(False, "nested too deeply")
    except TooMuch as problem:
        return Ruling(False, str(problem))
    if not same:
        return Ruling(False, "a different answer")
    return Ruling(True, "equal", tuple(comparison.equality.pending))


RULES: tuple[Rule, ...] = (
    Rule("identical text", same_text, "first: the cheapest rule, and true whatever the text means"),
    Rule("empty", empty, "before the rules that read a text"),
    Rule("too long", too_long, "before the rules that read a text: their work grows with its length"),
    Rule("numbers", numbers, "before all readings of signs and letters: two numbers are settled by their values"),
    Rule("dollars and cents", dollars_and_cents, "before `number with unit`: a number reads over its dollar sign"),
    Rule("number with unit", number_with_unit, "before `trees`: to a tree, 540 m may be a product"),
    Rule("text without dressing", same_undressed_text, "after `numbers`, which must refuse two numbers that differ"),
    Rule("times of day", times_of_day, "before `trees`: to a tree, 16:15 is a ratio"),
    Rule("ratio in words", ratio_in_words, "after `times of day`; before `trees`: to a tree, `3 to 5` is words"),
    Rule("labelled choice", labelled_choice, "before `choices`: beside a value, (B) 17 is 17 and not the letter B"),
    Rule("choices", choices, "before `words` and `trees`: a single letter may also be a word or a variable"),
    Rule("words", words, "before `trees`: to a tree, letters may be variables and a comma makes a list"),
    Rule("decimal comma", decimal_comma, "before `trees`: to a tree, 1,22 is a list of two numbers"),
    Rule("one unit", one_unit, "before `trees`: to a tree, 5 hours and 30 minutes is a list"),
    Rule("last side", last_side, "before `unreadable truth`: the end of a truth may be readable, if not the whole"),
    Rule("unreadable truth", unreadable_truth, "before `unreadable answer`: it is the first thing to know of a row"),
    Rule("unreadable answer", unreadable_answer, "before `trees`, which need both"),
    Rule("trees", trees, "last: it costs most, and it decides whatever is left"),
)


def reworded(question: Question, ours: str, truth: str, *, from_the_top: bool = False) -> Rewording | None:
    """The rewording, if anything changed."""
    if (ours, truth) == (question.ours, question.truth):
        return None
    return Rewording(ours, truth, from_the_top)


def trees_of(question: Question) -> tuple[Node | str, Node | str]:
    """Both trees, or why there is none. `15 m/s` is a product of letters, unless the other answer has a unit."""
    ours, truth, _ = question
    node, true_node = tree_of(ours), tree_of(truth)
    if has_unit(node) == has_unit(true_node):
        return node, true_node
    return tree_of(reread(ours, with_unit_in_words)), tree_of(reread(truth, with_unit_in_words))


def has_unit(node: Node | str) -> bool:
    return isinstance(node, Node) and node.head == "unit"


def reread(text: str, change: Callable[[str], str]) -> str:
    r"""What `change` makes of a quantity without its `\text{}`; the text as it is where nothing changes."""
    if not text.lstrip("-.")[:1].isdigit() and not text.startswith("\\text"):
        return text
    plain = unwrapped(text)
    changed = change(plain)
    return text if changed == plain else changed


def in_dollars(text: str) -> str:
    """A text that begins with a dollar sign with the word instead, and any other as it is."""
    return DOLLAR_SIGN.sub("", text) + r"\text{ dollars}" if IN_DOLLARS.match(text) else text
