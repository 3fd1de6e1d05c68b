import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from rlvr.algorithms.objective import Objective
from rlvr.algorithms.returns import kl_penalty, reward_to_go, token_advantages

# Completions of 2 and 3 tokens, the first behind a prompt token.
MASK = tensor([[False, True, True], [True, True, True]])


def test_reward_to_go_by_hand() -> None:
    rewards = tensor([[9.0, 1.0, 2.0], [1.0, 0.0, 4.0]])
    assert_close(reward_to_go(rewards, MASK, 0.5), tensor([[0.0, 2.0, 2.0], [2.0, 2.0, 4.0]]))
    assert_close(reward_to_go(rewards, MASK, 1.0), tensor([[0.0, 3.0, 2.0], [5.0, 4.0, 4.0]]))


def test_a_token_that_the_policy_did_not_choose_takes_no_time() -> None:
    mask = tensor([[True, False, True]])
    assert_close(reward_to_go(tensor([[0.0, 7.0, 1.0]]), mask, 0.5), tensor([[0.5, 0.0, 1.0]]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8), st.floats(0, 1))
def test_reward_to_go_is_the_sum_that_it_says(rewards: list[float], discount: float) -> None:
    expected = [
        sum(discount ** (k - t) * reward for k, reward in enumerate(rewards) if k >= t) for t in range(len(rewards))
    ]
    mask = torch.ones(1, len(rewards), dtype=torch.bool)
    assert_close(reward_to_go(tensor([rewards], dtype=torch.float64), mask, discount)[0].tolist(), expected)


def test_a_terminal_advantage_is_discounted_by_the_tokens_that_follow() -> None:
    advantages = tensor([[0.0, 2.0, 2.0], [-4.0, -4.0, -4.0]])
    expected = tensor([[0.0, 1.0, 2.0], [-1.0, -2.0, -4.0]])
    assert_close(token_advantages(advantages, MASK, Objective(discount=0.5)), expected)


def test_without_anything_on_single_tokens_advantages_stay_as_they_are() -> None:
    advantages = tensor([[0.0, 0.1, 0.1], [-0.3, -0.3, -0.3]])
    assert token_advantages(advantages, MASK, Objective(whiten=True)).equal(advantages)


def test_the_kl_penalty_is_the_coefficient_times_the_estimate() -> None:
    old = tensor([[math.nan, math.log(0.5), math.log(0.5)]])
    ref = tensor([[math.nan, math.log(0.25), math.log(0.5)]])
    objective = Objective(kl="k1", kl_coef=0.1, kl_in="token_reward")
    assert_close(kl_penalty(old, ref, MASK[:1], objective), tensor([[0.0, 0.1 * math.log(2), 0.0]]))


def test_a_token_answers_for_the_penalties_from_itself_on() -> None:
    advantages = tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    penalty = tensor([[9.0, 0.25, 0.5], [0.1, 0.2, 0.3]]) * MASK
    objective = Objective(kl="k1", kl_coef=0.1, kl_in="token_reward")
    assert_close(token_advantages(advantages, MASK, objective, penalty), tensor([[0.0, 0.25, 0.5], [-0.6, -0.5, -0.3]]))


def test_advantages_of_tokens_are_whitened_over_the_tokens_of_the_batch() -> None:
    advantages = tensor([[0.0, 2.0, 2.0], [-4.0, -4.0, -4.0]])
    values = tensor([1.0, 2.0, -1.0, -2.0, -4.0])  # mean -0.8, variance 22.8 / 4
    expected = torch.zeros(2, 3).masked_scatter(MASK, (values + 0.8) / 5.7**0.5)
    assert_close(token_advantages(advantages, MASK, Objective(discount=0.5, whiten=True)), expected)


def test_a_missing_penalty_is_refused() -> None:
    objective = Objective(kl_coef=0.1, kl_in="token_reward")
    with pytest.raises(ValueError, match="penalty is missing"):
        token_advantages(torch.zeros(2, 3), MASK, objective)
