"""Which verifier grades a problem, and when its failures stop a run."""

import pytest

from rlvr.config import VerifyConfig
from rlvr.errors import GraderError
from rlvr.rollouts.grader import check_graders, failures, make_grader
from rlvr.types import Group, Rollout
from tasks import Problem
from tasks.problem import question_problem
from verifiers import Verdict, is_solved

PROBLEM = Problem("p-1", ({"role": "user", "content": "2 + 3?"},), "5", verifier="math")


def says(text: str, verdict: Verdict | None = None) -> Rollout:
    return Rollout([1], [2], [True], [0.0], "stop", 0, text, verdict)


def judged(*verdicts: Verdict | None) -> Group:
    return Group(question_problem("p", "?", "1"), tuple(says("", verdict) for verdict in verdicts))


RIGHT, FAILED = Verdict(1.0, "correct"), Verdict(None, "timeout", detail="it took 5 seconds")


def test_each_problem_is_graded_by_the_verifier_that_it_names_in_the_order_of_its_completions() -> None:
    grade = make_grader(VerifyConfig(workers=1))
    verdicts = grade(PROBLEM, [says("#### 5"), says("#### 6"), says("I do not know.")])
    assert [(verdict.score, verdict.status) for verdict in verdicts] == [
        (1.0, "correct"),
        (0.0, "wrong"),
        (0.0, "no_answer"),
    ]


def test_a_verifier_that_the_run_names_stands_before_the_problems_own() -> None:
    grade = make_grader(VerifyConfig(verifier="tests.rlvr.scripts:coin", workers=1))
    verdicts = grade(PROBLEM, [says("#### 4"), says("#### 5")])
    assert [(verdict.score, verdict.extracted) for verdict in verdicts] == [(1.0, "4"), (0.0, "5")]


def test_a_verifier_is_told_the_prompt_and_the_problem() -> None:
    grade = make_grader(VerifyConfig(verifier="tests.rlvr.scripts:reads_the_context", workers=1))
    (verdict,) = grade(PROBLEM, [says("5")])
    assert (verdict.score, verdict.detail) == (1.0, "p-1 asks 2 + 3?")


def test_a_verifier_that_raises_gives_no_score() -> None:
    grade = make_grader(VerifyConfig(verifier="tests.rlvr.scripts:always_fails", workers=1))
    (verdict,) = grade(PROBLEM, [says("5")])
    assert (verdict.score, verdict.status) == (None, "error")
    assert "the judge is not at home" in verdict.detail


def test_a_share_of_failures_that_is_allowed_passes_and_one_above_it_stops_the_run() -> None:
    groups = [judged(RIGHT, FAILED), judged(RIGHT, RIGHT)]
    check_graders(groups, max_failed_share=0.25)
    expected = r"failed on 25% of this step's completions \(first: timeout: it took 5 seconds\); expected at most 20%"
    with pytest.raises(GraderError, match=expected):
        check_graders(groups, max_failed_share=0.2)


def test_failures_are_counted_with_their_reasons_the_most_frequent_first() -> None:
    broken = Verdict(None, "error", detail="no")
    assert failures([judged(RIGHT, RIGHT)]) is None
    assert failures([judged(RIGHT, FAILED), judged(RIGHT)]) == "1 of 3 graders failed: timeout: it took 5 seconds"
    said = failures([judged(broken, FAILED, broken), judged(RIGHT)])
    assert said == "3 of 4 graders failed: error: no (2); timeout: it took 5 seconds (1)"
    many = failures([judged(*(Verdict(None, "error", detail=str(n)) for n in range(5)))])
    assert many == "5 of 5 graders failed: error: 0 (1); error: 1 (1); error: 2 (1); 2 more"


def test_a_threshold_says_what_is_solved_whatever_the_verifier_says() -> None:
    grade = make_grader(VerifyConfig(verifier="tests.rlvr.scripts:up_to_10", workers=1, solved_at=6))
    verdicts = grade(PROBLEM, [says("1"), says("3"), says("9")])
    assert [(verdict.score, is_solved(verdict)) for verdict in verdicts] == [(2.0, False), (6.0, True), (10.0, True)]


def test_a_failure_without_a_reason_says_so() -> None:
    with pytest.raises(GraderError, match=r"failed on 100% .* \(first: error: no reason given\)"):
        check_graders([judged(Verdict(None, "error"))], max_failed_share=0.99)


def test_what_was_not_judged_is_no_failure() -> None:
    check_graders([], max_failed_share=0.0)
    check_graders([judged(None, None)], max_failed_share=0.0)


def test_a_verifier_that_does_not_apply_is_not_said_to_have_failed() -> None:
    other = Verdict(None, "not_applicable", detail="the reward function returned None")
    said = r"does not apply to 50% .* \(first: the reward function returned None\).*weighted_sum"
    with pytest.raises(GraderError, match=said):
        check_graders([judged(RIGHT, other)], max_failed_share=0.2)
    with pytest.raises(GraderError, match="the verifier failed on"):
        check_graders([judged(FAILED, other)], max_failed_share=0.2)
