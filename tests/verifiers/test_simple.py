"""The small verifiers answer one question each."""

import time

import pytest

from verifiers import get_verifier, verify_batch
from verifiers.simple import FormatVerifier, NumericVerifier


def score(name: str, completion: str, answer: str, **settings: object) -> float | None:
    return get_verifier({"name": name, **settings})(completion, answer).score


@pytest.mark.parametrize(
    ("completion", "answer", "expected"),
    [(" yes\n", "yes", 1.0), ("Yes", "yes", 0.0), ("yes, yes", "yes", 0.0), ("", "yes", 0.0)],
)
def test_exact_compares_the_whole_text(completion: str, answer: str, expected: float) -> None:
    assert score("exact", completion, answer) == expected


def test_exact_can_ignore_case() -> None:
    assert score("exact", "Yes", "yes", ignore_case=True) == 1.0


@pytest.mark.parametrize(
    ("completion", "answer", "expected"),
    [
        ("The mass is 9.81 kg, so \\boxed{3.1416}", "3.14159", 1.0),
        ("\\boxed{3.15}", "3.14159", 0.0),
        ("it comes to 1,000", "1000", 1.0),
        ("\\boxed{50\\%}", "0.5", 1.0),
        ("\\boxed{x}", "0.5", 0.0),
        ("no number at all", "0.5", 0.0),
    ],
)
def test_numeric_accepts_what_lies_within_the_tolerance(completion: str, answer: str, expected: float) -> None:
    assert NumericVerifier(relative=1e-3)(completion, answer).score == expected


def test_the_edge_of_an_absolute_tolerance_counts() -> None:
    assert NumericVerifier(absolute=0.5, relative=0.0)("10.5", "10").score == 1.0
    assert NumericVerifier(absolute=0.5, relative=0.0)("10.51", "10").score == 0.0


def test_a_ground_truth_that_is_no_number_is_the_datasets_fault() -> None:
    verdict = NumericVerifier()("5", "a few")
    assert (verdict.score, verdict.status) == (None, "bad_gold")


@pytest.mark.parametrize(
    ("completion", "answer", "expected"),
    [
        ("\\boxed{B}", "B", 1.0),
        ("\\boxed{\\text{(B)}}", "B", 1.0),
        ("The answer is (B) 42.", "B", 1.0),
        ("The correct answer is A", "B", 0.0),
        ("<answer>c</answer>", "C", 1.0),
        ("\\boxed{A} or \\boxed{B}", "B", 0.0),
        ("I think it is hard to say", "B", 0.0),
    ],
)
def test_choice_reads_one_letter(completion: str, answer: str, expected: float) -> None:
    assert score("choice", completion, answer) == expected


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("<think>a</think><answer>b</answer>", 1.0),
        (" <think>a</think>\n<answer>b</answer>\n", 1.0),
        ("<think>a</think><answer></answer>", 0.0),
        ("<answer>b</answer><think>a</think>", 0.0),
        ("<think>a</think><answer>b</answer><answer>c</answer>", 0.0),
        ("so <think>a</think><answer>b</answer>", 0.0),
        ("<think>a</think><answer>b</answer> bye", 0.0),
        ("<think>a<answer>b</answer></think>", 0.0),
        ("", 0.0),
    ],
)
def test_format_wants_each_tag_once_and_in_order(completion: str, expected: float) -> None:
    assert score("format", completion, "") == expected


def test_format_knows_that_the_prompt_may_hold_the_first_tag() -> None:
    assert FormatVerifier(prefilled=True)("a</think><answer>b</answer>").score == 1.0


def test_regex_searches_or_matches_in_full() -> None:
    assert score("regex", "abc 123", r"\d+") == 1.0
    assert score("regex", "abc 123", r"\d+", full=True) == 0.0
    assert get_verifier("regex")("x", "(").status == "bad_gold"
    assert get_verifier("regex")("x", "").status == "bad_gold"  # it would match everything


def test_a_regular_expression_that_never_ends_is_stopped() -> None:
    started = time.monotonic()
    verdicts = verify_batch([("a" * 40 + "b", r"(a+)+$"), ("ac", "c")], "regex", timeout_seconds=2.0)
    assert time.monotonic() - started < 60  # the expression would take hours
    assert [verdict.status for verdict in verdicts] == ["timeout", "correct"]


@pytest.mark.parametrize("name", ["exact", "numeric", "regex", "math", "choice", "format"])
def test_a_thought_that_never_ends_earns_nothing(name: str) -> None:
    answer = "A" if name == "choice" else "5"
    for thought in (
        f"<think>\n{answer}",
        f"<think>\n\\boxed{{{answer}}}",
        "<think>" + "so " * 200_000 + f"\\boxed{{{answer}}}",
    ):
        assert score(name, thought, answer) == 0.0


def test_exact_compares_what_is_said_behind_the_thought() -> None:
    assert score("exact", "<think>\n2 and 3 are 5\n</think>\n\n5", "5") == 1.0
    assert score("exact", "<think>\n5\n</think>\n\n6", "5") == 0.0


def test_a_prefilled_tag_that_the_text_already_has_is_not_written_twice() -> None:
    text = "so</think><answer>5</answer>"
    assert FormatVerifier(prefilled=True)(text).score == 1.0
    assert FormatVerifier(prefilled=True)("<think>\n" + text).score == 1.0
    assert FormatVerifier()("<think>\n" + text).score == 1.0
