"""What a plugin may return, and what is said of anything else."""

import math

import pytest

from verifiers import Verdict
from verifiers.function import as_verdict


@pytest.mark.parametrize(
    "sound",
    [Verdict(0.5, "partial"), Verdict(None, "bad_gold"), Verdict(-3.0, "scored"), Verdict(1, "correct", "18", "equal")],
)
def test_a_sound_verdict_is_taken_as_it_is(sound: Verdict) -> None:
    assert as_verdict(sound) is sound


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Verdict(2.0, "correct"), "a Verdict's score is a number in [0, 1] or None: got 2.0"),
        (Verdict(math.nan, "wrong"), "a Verdict's score is a number in [0, 1] or None: got nan"),
        (Verdict(math.inf, "scored"), "a Verdict's score is a number in [0, 1] or None: got inf"),
        (Verdict("1", "correct"), "a Verdict's score is a number in [0, 1] or None: got '1'"),  # type: ignore[arg-type]
        (Verdict(1.0, "correct", 18), "a Verdict's extracted is text: got 18"),  # type: ignore[arg-type]
        (Verdict(1.0, "correct", weights={"a": math.nan}), "a Verdict's weights are finite numbers by the names of"),
        (Verdict(1.0, "right"), "a Verdict's status is one of correct, wrong, no_answer, "),  # type: ignore[arg-type]
    ],
)
def test_a_verdict_that_cannot_be_is_the_graders_own_failure(fault: Verdict, sentence: str) -> None:
    found = as_verdict(fault)
    assert (found.score, found.status) == (None, "error")
    assert found.detail.startswith(sentence)
