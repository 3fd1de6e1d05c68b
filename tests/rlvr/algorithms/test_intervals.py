import math

import pytest

from rlvr.algorithms.intervals import UNKNOWN, Estimate, mean_estimate, mean_score, proportion, share


def test_the_wilson_interval_of_8_in_10_is_the_textbooks() -> None:
    found = proportion([True] * 8 + [False] * 2)
    assert found.mean == 0.8
    assert found.low == pytest.approx(0.4902, abs=1e-4)
    assert found.high == pytest.approx(0.9433, abs=1e-4)


def test_the_wilson_interval_stays_honest_at_the_ends() -> None:
    assert proportion([True] * 20).low == pytest.approx(0.8389, abs=1e-4)
    assert proportion([True] * 20).high == 1.0
    assert proportion([False] * 20).low == 0.0


def test_the_interval_of_a_mean_is_over_problems() -> None:
    # Variance (0.25 + 0.25) / 4 = 0.125, so 4 * 0.25 / 0.125 = 8 effective draws of p = 0.5:
    # half = 1.96 sqrt(0.25 / 8 + 1.96^2 / 256) / (1 + 1.96^2 / 8) = 0.2848.
    found = mean_estimate([0.0, 0.5, 1.0, 0.5], samples=8)
    assert found.mean == 0.5
    assert found.low == pytest.approx(0.2152, abs=1e-4)
    assert found.high == pytest.approx(0.7848, abs=1e-4)


def test_scores_that_are_all_or_nothing_have_the_interval_of_a_proportion() -> None:
    assert mean_estimate([1.0] * 8 + [0.0] * 2, samples=4) == proportion([True] * 8 + [False] * 2)


@pytest.mark.parametrize("samples", [1, 8])
def test_a_mean_of_nothing_or_of_everything_is_not_certain(samples: int) -> None:
    # z^2 / (n + z^2) with n = 512: what 512 problems can say, however often each was tried.
    none, all_of_them = mean_estimate([0.0] * 512, samples), mean_estimate([1.0] * 512, samples)
    assert (none.low, none.high) == (0.0, pytest.approx(0.00745, abs=1e-5))
    assert (all_of_them.low, all_of_them.high) == (pytest.approx(0.99255, abs=1e-5), 1.0)


def test_problems_that_are_all_equally_hard_count_by_their_samples() -> None:
    assert mean_estimate([0.5] * 10, samples=4) == proportion([True, False] * 20)


def test_scores_of_minus_and_plus_1_have_the_interval_of_the_share_that_they_stand_for() -> None:
    right = [[1.0] * 3 + [0.0], [1.0] * 4, [0.0] * 4, [1.0, 0.0, 1.0, 0.0]]
    found, of_shares = mean_score([[2 * score - 1 for score in own] for own in right]), mean_score(right)
    assert found.mean == pytest.approx(2 * of_shares.mean - 1)
    assert (found.low, found.high) == pytest.approx((2 * of_shares.low - 1, 2 * of_shares.high - 1))
    assert of_shares == mean_estimate([0.75, 1.0, 0.0, 0.5], samples=4)


def test_minus_1_everywhere_is_not_certain_either() -> None:
    found = mean_score([[-1.0, -1.0]] * 20)
    assert (found.mean, found.low) == (-1.0, -1.0)
    assert found.high == pytest.approx(2 * (1 - 0.8389) - 1, abs=1e-4)


def test_scores_of_any_range_have_students_interval_over_problems() -> None:
    # The problems' means are 2, 4, 6, 8: mean 5, standard deviation sqrt(20 / 3), t of 3 degrees 3.1824.
    found = mean_score([[1.0, 3.0], [4.0, 4.0], [2.0, 10.0], [8.0, 8.0]])
    half = 3.182446 * math.sqrt(20 / 3 / 4)
    assert (found.mean, found.low, found.high) == pytest.approx((5.0, 5 - half, 5 + half), abs=1e-5)
    shifted = mean_score([[score - 100 for score in own] for own in [[1.0, 3.0], [4.0, 4.0], [2.0, 10.0], [8.0, 8.0]]])
    assert (shifted.mean, shifted.low, shifted.high) == pytest.approx((-95, -95 - half, -95 + half), abs=1e-5)


def test_one_problem_says_nothing_about_others() -> None:
    found = mean_score([[7.0, 9.0]])
    assert found.mean == 8.0
    assert math.isnan(found.low)


def test_a_share_is_unknown_where_one_problem_is() -> None:
    assert share([True, False]) == proportion([True, False])
    assert share([True, None]) is UNKNOWN
    assert not UNKNOWN.is_known
    assert Estimate(0.5, 0.1, 0.9).is_known
