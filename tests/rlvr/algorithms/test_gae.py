import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from rlvr.algorithms.gae import gae, token_rewards
from rlvr.algorithms.returns import reward_to_go
from rlvr.algorithms.value_loss import value_loss

ALL = torch.ones(1, 4, dtype=torch.bool)


def test_the_textbook_example() -> None:
    # Score 2, KL estimates 0.03, 0.02, 0.04, 0.01, beta 1, gamma 1.
    rewards = token_rewards(tensor([2.0]), tensor([[0.03, 0.02, 0.04, 0.01]]), ALL)
    assert_close(rewards, tensor([[-0.03, -0.02, -0.04, 1.99]]))
    values = tensor([[0.5, 1.0, 1.5, 1.8]])
    advantages = gae(rewards, values, ALL, discount=1.0, trace=1.0)
    assert_close(advantages + values, tensor([[1.90, 1.93, 1.95, 1.99]]))


def test_lambda_0_is_the_td_residual_and_lambda_1_the_return_minus_the_value() -> None:
    torch.manual_seed(0)
    rewards, values = torch.randn(3, 4), torch.randn(3, 4)
    mask = ALL.expand(3, 4)
    following = torch.cat([values[:, 1:], torch.zeros(3, 1)], dim=1)
    assert_close(gae(rewards, values, mask, 0.9, 0.0), rewards + 0.9 * following - values)
    assert_close(gae(rewards, values, mask, 0.9, 1.0), reward_to_go(rewards, mask, 0.9) - values)


def test_between_by_hand() -> None:
    # delta = (0 + .9 * 2 - 1, 1 - 2) = (.8, -1); A = (.8 + .9 * .5 * -1, -1).
    mask = torch.ones(1, 2, dtype=torch.bool)
    assert_close(gae(tensor([[0.0, 1.0]]), tensor([[1.0, 2.0]]), mask, 0.9, 0.5), tensor([[0.35, -1.0]]))


def test_after_the_end_there_is_no_value_and_where_it_was_cut_off_there_may_be() -> None:
    rewards, values = torch.zeros(2, 4), torch.zeros(2, 4)
    cut_off = gae(rewards, values, ALL.expand(2, 4), 0.5, 1.0, after_B=tensor([0.0, 8.0]))
    assert_close(cut_off, tensor([[0.0] * 4, [0.5, 1.0, 2.0, 4.0]]))


def test_prompt_padding_and_tool_output_take_no_time() -> None:
    mask = tensor([[False, True, False, True, False]])
    rewards = token_rewards(tensor([1.0]), torch.full((1, 5), 0.1), mask)
    assert_close(rewards, tensor([[0.0, -0.1, 0.0, 0.9, 0.0]]))
    garbage = tensor([[9.0, 0.2, 9.0, 0.4, 9.0]])
    short = gae(tensor([[-0.1, 0.9]]), tensor([[0.2, 0.4]]), torch.ones(1, 2, dtype=torch.bool), 0.9, 0.8)
    found = gae(rewards, garbage, mask, 0.9, 0.8)
    assert_close(found[:, [1, 3]], short)
    assert (found[~mask] == 0).all()


def test_the_value_loss_by_hand() -> None:
    values, old, returns = tensor([[1.0, 0.1]]), tensor([[0.0, 0.0]]), tensor([[2.0, 2.0]])
    assert_close(value_loss(values, old, returns, clip=0.0), tensor([[0.5, 1.805]]))
    # Bounded at 0.2: (0.2 - 2)^2 / 2 = 1.62 is the larger; the second is within the bound.
    assert_close(value_loss(values, old, returns, clip=0.2), tensor([[1.62, 1.805]]))


def test_a_value_beyond_its_bound_has_no_gradient_towards_the_return() -> None:
    values = tensor([[1.0]], requires_grad=True)
    value_loss(values, tensor([[0.0]]), tensor([[2.0]]), clip=0.2).sum().backward()
    assert values.grad is not None
    assert values.grad.item() == 0.0


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(1, 3\) and \(1, 4\), expected \(1, 4\)"):
        gae(torch.zeros(1, 3), torch.zeros(1, 4), ALL, 1.0, 1.0)
