import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from rlvr.algorithms.correction import correction
from rlvr.algorithms.objective import Objective

# Ratios pi_old / pi_rollout of 2 x 3 tokens, the last of the first row outside of the mask.
RATIO = tensor([[3.0, 0.4, 9.0], [1.0, 1.5, 0.8]])
MASK = tensor([[True, True, False], [True, True, True]])


@pytest.mark.parametrize(
    ("choice", "level", "expected"),
    [
        ("none", "token", [[1, 1, 1], [1, 1, 1]]),
        ("truncate", "token", [[2, 0.5, 1], [1, 1.5, 0.8]]),
        ("mask", "token", [[0, 0, 1], [1, 1.5, 0.8]]),
        # products over the row: 1.2 and 1.2
        ("truncate", "sequence", [[1.2, 1.2, 1.2], [1.2, 1.2, 1.2]]),
        ("mask", "sequence", [[1.2, 1.2, 1.2], [1.2, 1.2, 1.2]]),
    ],
)
def test_factors_by_hand_in_the_range_from_a_half_to_two(choice: str, level: str, expected: list) -> None:
    objective = Objective(correction=choice, correction_level=level, correction_low=0.5, correction_high=2.0)
    assert_close(correction(RATIO.log(), MASK, objective), tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize(("choice", "expected"), [("truncate", [1.1, 1.1]), ("mask", [0.0, 0.0])])
def test_a_whole_sequence_is_truncated_or_masked_by_its_product(choice: str, expected: list[float]) -> None:
    objective = Objective(correction=choice, correction_level="sequence", correction_high=1.1)
    assert_close(correction(RATIO.log(), MASK, objective)[:, 0], tensor(expected))


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_what_lies_outside_of_the_mask_does_not_count(level: str) -> None:
    objective = Objective(correction="truncate", correction_level=level)
    log_ratio = RATIO.log().masked_fill(~MASK, math.nan)
    assert_close(correction(log_ratio, MASK, objective), correction(RATIO.log(), MASK, objective))


def test_the_factor_has_no_gradient_and_stays_finite() -> None:
    log_ratio = torch.full((1, 3), 300.0, requires_grad=True)
    factor = correction(log_ratio, torch.ones(1, 3, dtype=torch.bool), Objective(correction="truncate"))
    assert factor.tolist() == [[2.0, 2.0, 2.0]]
    assert not factor.requires_grad
