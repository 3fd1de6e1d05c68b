import math

import torch

from rlvr.algorithms.log_ratio import MAX_LOG_RATIO, bounded


def test_ratios_inside_of_the_bounds_are_left_as_they_are() -> None:
    values = torch.tensor([-20.0, -0.3, 0.0, 1.5, 20.0])
    assert torch.equal(bounded(values), values)


def test_ratios_far_off_are_held_where_their_exponential_is_finite() -> None:
    values = torch.tensor([-math.inf, -1e30, 1e30, math.inf])
    assert bounded(values).tolist() == [-MAX_LOG_RATIO, -MAX_LOG_RATIO, MAX_LOG_RATIO, MAX_LOG_RATIO]
    assert bounded(values).exp().isfinite().all()
    assert bounded(values).exp().max() < 5e8  # e^20 = 4.85e8


def test_outside_of_the_bounds_there_is_no_gradient() -> None:
    values = torch.tensor([-30.0, 2.0, 30.0], requires_grad=True)
    bounded(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, 1.0, 0.0]
