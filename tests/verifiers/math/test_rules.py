"""The table of rules: every rule has a name and a case that it decides, and every verdict names its rule."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.verifiers.math.cases import DIFFERENT, ONE_WAY, SAME
from tests.verifiers.math.fresh_cases import ANSWERS
from verifiers import MathVerifier
from verifiers.math import undress
from verifiers.math.rules import RULES, Decision, Rule, decide

EXAMPLES = {  # rule -> an answer, the ground truth, whether they are the same
    "identical text": ("x+1", "x+1", True),
    "empty": ("", "5", False),
    "too long": ("1+" * 600 + "1", "601", False),
    "numbers": ("0.5", r"\frac{1}{2}", True),
    "dollars and cents": (r"\$0.12", "12 cents", True),
    "number with unit": ("20 cm", "20", True),
    "text without dressing": (r"\left(x, 1\right)", "(x,1)", True),
    "times of day": ("5:00 PM", "17:00", True),
    "ratio in words": ("3 to 5", "3:5", True),
    "labelled choice": ("(B) 17", "17", True),
    "choices": ("B", "C", False),
    "words": ("bob", "Bob", True),
    "decimal comma": ("2,75", "2.75", True),
    "one unit": ("5 hr 30 min", r"330\text{ minutes}", True),
    "last side": ("12", r"\#A = 12", True),
    "unreadable truth": ("5", "?", False),
    "unreadable answer": ("5+", "5", False),
    "trees": ("x+1", "1+x", True),
}
NAMES = [rule.name for rule in RULES]
NAMED = re.compile(r" \(rule: (?P<rule>[a-z ]+)(?:, reworded by: (?P<before>[a-z, ]+))?\)\Z")


def labelled_pairs() -> Iterator[tuple[str, str]]:
    for table in (SAME, DIFFERENT):
        for pairs in table.values():
            yield from pairs
    yield from ONE_WAY
    for cases in ANSWERS.values():
        for truth, right, wrong in cases:
            yield from ((answer, truth) for answer in (*right, *wrong))


def rules_of(decision: Decision) -> list[str]:
    """The rules that reworded the answers, and the one that decided."""
    named = NAMED.search(decision.detail)
    assert named is not None, decision
    return [*(named["before"] or "").split(", "), named["rule"]] if named["before"] else [named["rule"]]


def test_each_rule_has_a_name_of_its_own_and_an_example() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert list(EXAMPLES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_rule_decides_or_rewords_its_example(name: str) -> None:
    answer, truth, same = EXAMPLES[name]
    decision = decide(answer, truth)
    assert name in rules_of(decision)
    assert decision.same == same


def test_the_labelled_answers_use_every_rule_and_each_decision_names_one() -> None:
    used = {rule for answer, truth in labelled_pairs() for rule in rules_of(decide(undress(answer), undress(truth)))}
    assert [name for name in NAMES if name not in used] == []


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_each_rule_stands_where_its_line_in_the_table_says(rule: Rule) -> None:
    name, _, place = rule
    if place.startswith(("first", "last")):
        assert NAMES.index(name) == (0 if place.startswith("first") else len(NAMES) - 1)
    for side, others in re.findall(r"(before|after) ((?:`[a-z ]+`(?:, | and )?)+)", place):
        for other in re.findall(r"`([a-z ]+)`", others):
            assert (NAMES.index(name) < NAMES.index(other)) == (side == "before")


def test_the_documentation_lists_the_rules_in_their_order() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "verifiers.md").read_text()
    table = page.partition("| rule | what it does |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([a-z ]+) \|", table, re.MULTILINE) == NAMES


def test_a_verdict_names_the_rules_that_led_to_it() -> None:
    details = {answer: MathVerifier()(rf"\boxed{{{answer}}}", "17").detail for answer in ("17.0", "(B) 17", "18")}
    assert details == {
        "17.0": "the same number (rule: numbers)",
        "(B) 17": "the same text (rule: identical text, reworded by: labelled choice)",
        "18": "a different number from 17 (rule: numbers)",
    }
    twice = MathVerifier()(r"\boxed{17} and \boxed{34/2}", "17")
    assert (twice.score, twice.detail) == (
        1.0,
        "one answer, marked several times (rule: identical text; numbers)",
    )
