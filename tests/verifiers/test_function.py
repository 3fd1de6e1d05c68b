"""What a plugin may return, and what is said of anything else."""

import json
import math
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction

import numpy
import pytest
import torch

from verifiers import Verdict, is_solved
from verifiers.function import BatchVerifier, as_verdict


@pytest.mark.parametrize(
    "sound",
    [Verdict(0.5, "partial"), Verdict(None, "bad_gold"), Verdict(-3.0, "scored"), Verdict(1, "correct", "18", "equal"),
     Verdict(-1.0, "wrong"), Verdict(2.5, "correct"), Verdict(0.4, "partial", solved=True)],
)  # fmt: skip
def test_a_sound_verdict_is_taken_as_it_is(sound: Verdict) -> None:
    assert as_verdict(sound) == sound


@pytest.mark.parametrize(
    ("value", "score"),
    [
        (True, 1.0), (False, 0.0), (-1, -1.0), (7, 7.0), (-0.25, -0.25), (1e30, 1e30), (Fraction(3, 4), 0.75),
        (Decimal("-2.5"), -2.5), (numpy.float32(0.5), 0.5), (numpy.float64(-3), -3.0), (numpy.float16(2), 2.0),
        (numpy.int64(-1), -1.0), (numpy.uint8(3), 3.0), (numpy.bool_(True), 1.0), (numpy.array(-1.5), -1.5),
        (torch.tensor(-1.5), -1.5), (torch.tensor(2), 2.0), (torch.tensor(True), 1.0),
        (torch.tensor(0.5, dtype=torch.bfloat16), 0.5),
    ],
)  # fmt: skip
def test_any_finite_number_of_any_type_is_a_score(value: object, score: float) -> None:
    for verdict in (as_verdict(value), as_verdict(Verdict(value, "partial"))):  # type: ignore[arg-type]
        assert (verdict.score, type(verdict.score)) == (score, float)
        assert json.loads(json.dumps(asdict(verdict)))["score"] == score


@pytest.mark.parametrize(
    "value",
    [
        None, math.nan, math.inf, -math.inf, "1", b"1", [1.0], (1.0,), {"score": 1.0}, 1j, object(), 10**400,
        numpy.float32("nan"), numpy.array([1.0, 2.0]), numpy.complex64(1), numpy.str_("1"), torch.tensor([1.0, 2.0]),
        torch.tensor(math.inf), Decimal("NaN"),
    ],
)  # fmt: skip
def test_what_is_no_finite_number_is_the_graders_own_failure(value: object) -> None:
    verdict = as_verdict(value)
    assert (verdict.score, verdict.status) == (None, "error")
    assert verdict.detail.startswith("a verifier returns a Verdict, a bool or a finite number: got ")


def test_a_verdict_holds_plain_numbers_whatever_its_verifier_computes_with() -> None:
    made = Verdict(
        numpy.float32(0.5), "partial", seconds=numpy.float32(0.25), parts={"a": torch.tensor(2)},  # type: ignore[dict-item]
        weights={"a": numpy.int64(-1)}, solved=numpy.bool_(False),  # type: ignore[dict-item, arg-type]
    )  # fmt: skip
    assert json.loads(json.dumps(asdict(as_verdict(made)))) == {
        "score": 0.5, "status": "partial", "extracted": None, "detail": "", "seconds": 0.25, "parts": {"a": 2.0},
        "weights": {"a": -1.0}, "solved": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "solved"),
    [
        (Verdict(1.0, "correct"), True), (Verdict(0.99, "partial"), False), (Verdict(0.0, "wrong"), False),
        (Verdict(-1.0, "wrong"), False), (Verdict(-7.5, "wrong"), False), (Verdict(None, "error"), None),
        (Verdict(2.0, "correct"), True), (Verdict(2.0, "partial"), False), (Verdict(2.0, "scored"), None),
        (Verdict(0.3, "scored"), None), (Verdict(1.0, "scored"), None), (Verdict(0.3, "scored", solved=True), True),
        (Verdict(1.0, "correct", solved=False), False), (Verdict(0.5, "correct"), False),
    ],
)  # fmt: skip
def test_what_solves_a_problem_follows_from_its_verdict(verdict: Verdict, solved: bool | None) -> None:
    assert is_solved(verdict) is solved


@pytest.mark.parametrize(
    ("score", "status"), [(1, "correct"), (0, "wrong"), (-1, "wrong"), (0.5, "partial"), (7.3, "scored")]
)
def test_the_status_of_a_bare_score_says_no_more_than_the_score(score: float, status: str) -> None:
    assert as_verdict(score).status == status


@pytest.mark.parametrize(
    "values", [[0.5, -1], (0.5, -1), numpy.array([0.5, -1]), torch.tensor([0.5, -1.0]), [numpy.float32(0.5), -1]]
)
def test_a_batch_function_returns_a_list_an_array_or_a_tensor(values: object) -> None:
    verdicts = BatchVerifier(lambda completions, answers: values).verify_chunk([("a", ""), ("b", "")])  # type: ignore[arg-type, return-value]
    assert [verdict.score for verdict in verdicts] == [0.5, -1.0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (None, "expected a list with a value for each of 2 completions: got None"),
        ("12", "expected a list with a value for each of 2 completions: got '12'"),
        ([1.0], "expected a value for each of 2 completions: got 1 values"),
    ],
)
def test_a_batch_function_that_does_not_return_a_value_for_each_has_failed_on_all(values: object, said: str) -> None:
    verdicts = BatchVerifier(lambda completions, answers: values).verify_chunk([("a", ""), ("b", "")])  # type: ignore[arg-type, return-value]
    assert [(verdict.score, verdict.detail) for verdict in verdicts] == [(None, said)] * 2


def test_a_failure_of_one_completion_in_a_batch_is_not_one_of_the_others() -> None:
    verdicts = BatchVerifier(lambda *_: [1.0, None, math.nan]).verify_chunk([("a", ""), ("b", ""), ("c", "")])
    assert [verdict.score for verdict in verdicts] == [1.0, None, None]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Verdict(math.nan, "wrong"), "a Verdict's score is a finite number or None: got nan"),
        (Verdict(math.inf, "scored"), "a Verdict's score is a finite number or None: got inf"),
        (Verdict("1", "correct"), "a Verdict's score is a finite number or None: got '1'"),  # type: ignore[arg-type]
        (Verdict(1.0, "correct", 18), "a Verdict's extracted is text: got 18"),  # type: ignore[arg-type]
        (Verdict(1.0, "correct", weights={"a": math.nan}), "a Verdict's weights are finite numbers by the names of"),
        (Verdict(1.0, "correct", parts={"a": None}), "a Verdict's parts are finite numbers by the names of parts"),
        (Verdict(1.0, "correct", solved="yes"), "a Verdict's solved is true, false or None: got 'yes'"),
        (Verdict(1.0, "right"), "a Verdict's status is one of correct, wrong, no_answer, "),  # type: ignore[arg-type]
    ],
)
def test_a_verdict_that_cannot_be_is_the_graders_own_failure(fault: Verdict, sentence: str) -> None:
    found = as_verdict(fault)
    assert (found.score, found.status) == (None, "error")
    assert found.detail.startswith(sentence)
