"""The verifier agrees with every labelled case, in both directions where the label has none."""

import sys

import pytest

from tests.verifiers.math.cases import DIFFERENT, EXTRACTED, ONE_WAY, SAME
from tests.verifiers.math.fresh_cases import ANSWERS, COMPLETIONS, HEDGES, REFUSED
from verifiers import MathVerifier
from verifiers.math.verifier import confirm_pool

VERIFIER = MathVerifier()


@pytest.mark.parametrize("kind", SAME)
def test_equal_answers_are_correct(kind: str) -> None:
    refused = [pair for pair in SAME[kind] if VERIFIER(rf"\boxed{{{pair[0]}}}", pair[1]).score != 1.0]
    assert refused == []


@pytest.mark.parametrize("kind", SAME)
def test_equal_answers_are_correct_the_other_way_round(kind: str) -> None:
    refused = [pair for pair in SAME[kind] if VERIFIER(rf"\boxed{{{pair[1]}}}", pair[0]).score != 1.0]
    assert refused == []


@pytest.mark.parametrize("kind", DIFFERENT)
def test_different_answers_are_not(kind: str) -> None:
    rewarded = [pair for pair in DIFFERENT[kind] if VERIFIER(rf"\boxed{{{pair[0]}}}", pair[1]).score != 0.0]
    assert rewarded == []


def test_what_only_a_completion_or_only_a_truth_may_say_is_right_one_way_round() -> None:
    assert [pair for pair in ONE_WAY if VERIFIER(rf"\boxed{{{pair[0]}}}", pair[1]).score != 1.0] == []
    assert [pair for pair in ONE_WAY if VERIFIER(rf"\boxed{{{pair[1]}}}", pair[0]).score != 0.0] == []


@pytest.mark.parametrize(("completion", "answer", "correct"), EXTRACTED)
def test_the_right_part_of_a_completion_is_read(completion: str, answer: str, correct: bool) -> None:
    verdict = VERIFIER(completion, answer)
    assert (verdict.score == 1.0) == correct, verdict


@pytest.mark.parametrize("kind", ANSWERS)
def test_answers_that_were_labelled_blindly_get_their_label(kind: str) -> None:
    wrong = [
        (truth, answer, right)
        for truth, *answers in ANSWERS[kind]
        for right, group in zip((True, False), answers, strict=True)
        for answer in group
        if (VERIFIER(rf"So it is $\boxed{{{answer}}}$.", truth).score == 1.0) != right
    ]
    assert {(truth, answer) for truth, answer, _ in wrong} == set(REFUSED.get(kind, ()))


@pytest.mark.parametrize(("truth", "right", "wrong"), COMPLETIONS)
def test_completions_that_were_labelled_blindly_get_their_label(truth: str, right: list[str], wrong: list[str]) -> None:
    assert [text for text in right if VERIFIER(text, truth).score != 1.0] == []
    assert [text for text in wrong if VERIFIER(text, truth).score == 1.0] == []


def test_what_does_not_say_that_a_number_is_the_answer_is_not_rewarded_for_it() -> None:
    assert [text for text in HEDGES if VERIFIER(text, "42").score != 0.0] == []


def test_an_order_that_counts_can_be_asked_for() -> None:
    assert MathVerifier(ordered_lists=True)(r"\boxed{2, 1}", "1, 2").score == 0.0
    assert MathVerifier(ordered_lists=True)(r"\boxed{1, 2}", "1,2").score == 1.0


def test_the_modes_differ_in_what_they_read() -> None:
    texts = [r"\boxed{42}", "42", "there are 41 of these, and of those 42"]
    scores = {
        mode: [MathVerifier(mode=mode)(text, "42").score for text in texts]
        for mode in ("marked", "standard", "lenient")
    }
    assert scores == {"marked": [1.0, 0.0, 0.0], "standard": [1.0, 1.0, 0.0], "lenient": [1.0, 1.0, 1.0]}


def test_a_verdict_gives_its_reason() -> None:
    assert VERIFIER(r"\boxed{41}", "42").detail == "a different number from 42 (rule: numbers)"
    assert VERIFIER("", "42").status == "no_answer"
    assert VERIFIER(r"\boxed{42", "42").detail == "the last box is never closed"
    assert VERIFIER("The answer is then clearly", "42").status == "no_answer"
    assert VERIFIER("<think>it is 42", "42").detail == "the thinking never ends"
    empty = VERIFIER("42", "")
    assert (empty.score, empty.status, empty.detail) == (None, "bad_gold", "the ground truth is empty")


def test_what_only_sympy_can_prove_says_so() -> None:
    verdict = VERIFIER(r"\boxed{\sqrt{7+4\sqrt3}}", r"2+\sqrt3")
    assert (verdict.score, verdict.detail) == (1.0, "equal, confirmed by sympy (rule: trees)")


def test_a_proof_that_finds_no_worker_is_no_verdict_and_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    hard = (r"\boxed{\sqrt{7+4\sqrt3}}", r"2+\sqrt3")
    confirm_pool().close()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    verdicts = VERIFIER.verify_batch([(r"\boxed{5}", "5"), hard])
    assert [(verdict.score, verdict.status) for verdict in verdicts] == [(1.0, "correct"), (None, "error")]
    assert verdicts[1].detail.startswith("no verifier worker could be started: ")
    monkeypatch.undo()
    assert VERIFIER(*hard).score == 1.0
