"""From outcomes to advantages, with all numbers worked by hand."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from rlvr.algorithms.advantage import Outcomes
from rlvr.algorithms.credit import assign_credit, overlong_punishment, shaping
from rlvr.algorithms.objective import Objective

PLAIN = Objective(baseline="mean", scale="none")
MASK = torch.tensor([[False, True, True, True], [False, True, False, False], [True, True, False, False]])


def outcomes(rewards: list[float], **more: object) -> Outcomes:
    """Three completions of one group, with as many tokens as `MASK` has."""
    values = {
        "rewards": torch.tensor(rewards, dtype=torch.float64),
        "group_index": torch.tensor([0, 0, 0]),
        "lengths_B": torch.tensor([3.0, 1.0, 2.0]),
        "moving_average": 0.0,
        "parts": None,
        "part_weights": None,
        "cohort_lag_B": torch.zeros(3),
        "truncated_B": torch.tensor([True, False, False]),
    }
    return Outcomes(**{**values, **more})


def test_each_token_of_a_completion_has_the_completions_advantage() -> None:
    credit = assign_credit(outcomes([1.0, 0.0, 0.5]), MASK, PLAIN, max_tokens=10)
    assert_close(credit.advantages_B, torch.tensor([0.5, -0.5, 0.0]))
    assert_close(credit.advantages, torch.tensor([[0, 0.5, 0.5, 0.5], [0, -0.5, 0, 0], [0.0, 0, 0, 0]]))
    assert credit.shaping_B.tolist() == [0, 0, 0]
    assert credit.trained_B.all()


def test_a_completion_that_was_cut_off_and_masked_counts_in_the_baseline_and_is_not_trained_on() -> None:
    credit = assign_credit(outcomes([0.0, 0.0, 1.5]), MASK, replace(PLAIN, overlong="mask"), max_tokens=3)
    assert_close(credit.advantages_B, torch.tensor([-0.5, -0.5, 1.0]))
    assert credit.trained_B.tolist() == [False, True, True]
    assert_close(credit.advantages, torch.tensor([[0.0, 0, 0, 0], [0, -0.5, 0, 0], [1.0, 1.0, 0, 0]]))


def test_the_punishment_falls_linearly_in_the_last_stretch_before_the_longest() -> None:
    lengths_B = torch.tensor([0.0, 80.0, 85.0, 95.0, 100.0])
    assert_close(overlong_punishment(lengths_B, buffer=20, max_tokens=100), torch.tensor([0, 0, -0.25, -0.75, -1.0]))


@pytest.mark.parametrize(
    ("buffer", "expected"),
    [
        (2, [-0.5, 0.0, 0.0]),  # 3 of 4 tokens, with the last 2 punished: (4 - 2 - 3) / 2
        (4, [-0.75, -0.25, -0.5]),
        (0, [0.0, 0.0, 0.0]),  # a fifth of 4 tokens, but one at least: only the fourth
    ],
)
def test_what_a_completion_is_punished_by_is_added_before_the_baseline(buffer: int, expected: list[float]) -> None:
    objective = replace(PLAIN, overlong="punish", overlong_buffer=buffer)
    credit = assign_credit(outcomes([1.0, 1.0, 1.0]), MASK, objective, max_tokens=4)
    assert credit.shaping_B.tolist() == expected
    mean = sum(expected) / 3
    assert_close(credit.advantages_B, torch.tensor([value - mean for value in expected]))


PENALTY = torch.tensor([[0.0, 0.1, 0.2, 0.3], [0.0, 0.3, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


def test_a_kl_in_the_reward_is_taken_off_the_completion() -> None:
    objective = replace(PLAIN, kl_coef=0.1, kl_in="reward")
    credit = assign_credit(outcomes([1.0, 0.0, 0.5]), MASK, objective, max_tokens=10, penalty=PENALTY)
    assert_close(credit.shaping_B, torch.tensor([-0.6, -0.3, 0.0], dtype=torch.float64), atol=1e-7, rtol=0)
    assert_close(credit.advantages_B, torch.tensor([0.4 - 0.2, -0.3 - 0.2, 0.5 - 0.2]))


def test_a_kl_of_tokens_shapes_no_reward() -> None:
    objective = replace(PLAIN, kl_coef=0.1, kl_in="token_reward")
    assert shaping(outcomes([1.0, 0.0, 0.5]), objective, 10, PENALTY).tolist() == [0, 0, 0]


def test_rewards_themselves_are_never_changed() -> None:
    given = outcomes([1.0, 0.0, 0.5])
    assign_credit(given, MASK, replace(PLAIN, overlong="punish", overlong_buffer=4), max_tokens=4)
    assert given.rewards.tolist() == [1.0, 0.0, 0.5]


def test_where_parts_are_normalized_apart_the_shaping_is_one_more_part() -> None:
    parts: Tensor = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.5, 0.0]])
    objective = replace(PLAIN, combine="decoupled", scale="none", overlong="punish", overlong_buffer=4)
    apart = outcomes([1.0, 0.0, 0.5], parts=parts, part_weights=torch.tensor([1.0, 1.0]))
    credit = assign_credit(apart, MASK, objective, max_tokens=4)
    # Each part minus its mean: (0.5, -0.5, 0) and 0; the shaping (-0.75, -0.25, -0.5) minus -0.5.
    assert_close(credit.advantages_B, torch.tensor([0.25, -0.25, 0.0]))


def test_row_order_changes_nothing() -> None:
    order = torch.tensor([2, 0, 1])
    objective = replace(PLAIN, overlong="mask", scale="group_std")
    given = outcomes([1.0, 0.0, 0.5])
    turned = replace(
        given,
        rewards=given.rewards[order],
        lengths_B=given.lengths_B[order],
        truncated_B=given.truncated_B[order],
    )
    whole = assign_credit(given, MASK, objective, 10)
    other = assign_credit(turned, MASK[order], objective, 10)
    assert_close(other.advantages, whole.advantages[order])
    assert torch.equal(other.trained_B, whole.trained_B[order])


def test_a_mask_of_other_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="completion_mask must have a row for each reward: got 2, expected 3"):
        assign_credit(outcomes([1.0, 0.0, 0.5]), MASK[:2], PLAIN, 10)
