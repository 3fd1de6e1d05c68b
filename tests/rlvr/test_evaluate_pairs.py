"""Whether a reward model can be believed, with all numbers worked by hand."""

import math

import pytest
import torch
from torch import Tensor

from rlvr.algorithms.intervals import mean_estimate
from rlvr.evaluate_pairs import PairReport, pair_report


def report(
    better: list[float],
    worse: list[float],
    better_lengths: list[float] | None = None,
    worse_lengths: list[float] | None = None,
    prompts: list[int] | None = None,
) -> PairReport:
    def tensor(values: list[float] | None, default: float) -> Tensor:
        return torch.tensor(values if values is not None else [default] * len(better))

    return pair_report(
        torch.tensor(better),
        torch.tensor(worse),
        tensor(better_lengths, 5.0),
        tensor(worse_lengths, 5.0),
        torch.tensor(prompts or list(range(len(better)))),
    )


def test_a_tie_is_half_right() -> None:
    found = report([2.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0])
    assert found.accuracy.mean == (1 + 0 + 0.5 + 1) / 4
    assert found.comparisons == 4


def test_prompts_count_alike_however_many_comparisons_they_have() -> None:
    # The first prompt is right in 3 of 3 comparisons, the second in 0 of 1.
    found = report([1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], prompts=[4, 4, 4, 7])
    assert found.accuracy == mean_estimate([1.0, 0.0], samples=1)


def test_the_loss_is_that_of_the_logistic_model() -> None:
    found = report([1.0, 0.0], [0.0, 2.0])
    assert found.loss == pytest.approx((math.log(1 + math.exp(-1)) + math.log(1 + math.exp(2))) / 2)


def test_calibration_compares_beliefs_with_how_often_they_are_right() -> None:
    # Two beliefs of 0.75 (ln 3 apart), in one bin, one of them right; and one of 0.5 from a tie, half right.
    found = report([math.log(3), 0.0, 1.0], [0.0, math.log(3), 1.0])
    assert found.calibration_error == pytest.approx((abs(1.5 - 1) + 0) / 3, abs=1e-6)
    sure = report([50.0, 50.0], [0.0, 0.0])
    assert sure.calibration_error == pytest.approx(0.0, abs=1e-9)


def test_scores_that_always_follow_length_correlate_with_it_as_signs_do() -> None:
    # Signs (1, 1, -1) and differences (4, 2, -1): (4 + 2 + 1) / sqrt(3 x 21).
    found = report([1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [9.0, 7.0, 4.0], [5.0, 5.0, 5.0])
    assert found.length_correlation.mean == pytest.approx(7 / math.sqrt(63))
    assert found.label_length_correlation == pytest.approx(5 / math.sqrt(63))


def test_answers_of_equal_length_say_nothing_of_length() -> None:
    found = report([1.0, 0.0], [0.0, 1.0])
    assert found.length_correlation.mean == found.label_length_correlation == 0.0
    assert not found.pays_for_length


def test_a_model_that_pays_for_length_is_warned_of() -> None:
    # The longer answer always scores higher, and is better in half of the comparisons.
    count = 40
    longer = [float(place % 2) for place in range(count)]
    scores, others = [3 * one for one in longer], [3 * (1 - one) for one in longer]
    found = report(scores, others, [5 + 4 * one for one in longer], [5 + 4 * (1 - one) for one in longer])
    assert found.length_correlation.mean == pytest.approx(1.0)
    assert found.label_length_correlation == pytest.approx(0.0)
    assert found.pays_for_length
    assert str(found).endswith("\nwarning: this reward model pays for length more than the comparisons do")
    assert found.metrics()["held_out/pays_for_length"] == 1.0


def test_scores_moved_by_a_constant_and_exchanged_answers_change_what_they_should() -> None:
    better, worse = [2.0, -1.0, 0.5], [1.0, 0.0, 0.0]
    found, moved, turned = (
        report(better, worse),
        report([b + 7 for b in better], [w + 7 for w in worse]),
        report(worse, better),
    )
    assert moved.metrics() == pytest.approx(found.metrics(), rel=1e-6)
    assert turned.accuracy.mean == pytest.approx(1 - found.accuracy.mean)
