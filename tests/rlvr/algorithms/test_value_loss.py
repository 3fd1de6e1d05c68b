import torch
from torch.testing import assert_close

from rlvr.algorithms.value_loss import value_loss

# V, V_old and R of four tokens: near the old value, moved towards R too far, moved away from R, moved past R.
VALUES = torch.tensor([[1.1, 2.0, -1.0, 3.0]])
OLD = torch.tensor([[1.0, 1.0, 0.0, 1.0]])
RETURNS = torch.tensor([[2.0, 2.0, 1.0, 2.0]])


def test_without_a_bound_it_is_half_the_squared_distance_to_the_return() -> None:
    # (1.1 - 2)^2 / 2, (2 - 2)^2 / 2, (-1 - 1)^2 / 2, (3 - 2)^2 / 2
    assert_close(value_loss(VALUES, OLD, RETURNS, clip=0.0), torch.tensor([[0.405, 0.0, 2.0, 0.5]]))


def test_with_a_bound_the_larger_loss_of_the_value_and_the_held_value_counts() -> None:
    # The held values are 1.1, 1.2, -0.2, 1.2: losses 0.405, 0.32, 0.72, 0.32 beside those above.
    assert_close(value_loss(VALUES, OLD, RETURNS, clip=0.2), torch.tensor([[0.405, 0.32, 2.0, 0.5]]))


def test_a_value_that_came_near_enough_to_the_return_too_fast_has_no_gradient() -> None:
    values = VALUES.clone().requires_grad_()
    value_loss(values, OLD, RETURNS, clip=0.2).sum().backward()
    assert values.grad is not None
    assert_close(values.grad, torch.tensor([[-0.9, 0.0, -2.0, 1.0]]))
