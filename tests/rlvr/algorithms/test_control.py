import pytest

from rlvr.algorithms.control import (
    MAX_KL_COEF,
    MIN_KL_COEF,
    adapted_entropy_coef,
    adapted_kl_coef,
    entropy_coef_in_use,
)


@pytest.mark.parametrize(
    ("measured", "expected"), [(0.0, 0.05), (0.66, 0.05), (0.67, 0.1), (1.0, 0.1), (1.5, 0.1), (1.51, 0.2)]
)
def test_the_kl_coefficient_is_halved_and_doubled_outside_of_the_target_by_1_5(measured: float, expected: float):
    assert adapted_kl_coef(0.1, measured, target=1.0) == expected


def test_the_kl_coefficient_never_vanishes_nor_overflows() -> None:
    low = high = 1.0
    for _ in range(100):
        low, high = adapted_kl_coef(low, 0.0, 1.0), adapted_kl_coef(high, 9.0, 1.0)
    assert (low, high) == (MIN_KL_COEF, MAX_KL_COEF)


def test_the_entropy_coefficient_steps_up_below_the_target_and_down_above() -> None:
    assert adapted_entropy_coef(0.01, measured=0.1, target=0.2) == pytest.approx(0.015)
    assert adapted_entropy_coef(0.01, measured=0.3, target=0.2) == pytest.approx(0.005)
    assert adapted_entropy_coef(0.003, measured=0.3, target=0.2) == 0.0
    assert adapted_entropy_coef(0.999, measured=0.1, target=0.2) == 1.0


def test_the_entropy_bonus_rests_while_the_entropy_is_above_its_target() -> None:
    assert entropy_coef_in_use(0.01, measured=0.3, target=0.2) == 0.0
    assert entropy_coef_in_use(0.01, measured=0.2, target=0.2) == 0.01
