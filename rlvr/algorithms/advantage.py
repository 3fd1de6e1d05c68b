"""Rewards to advantages: A_i = (r_i - baseline_i) / scale_i, over the group of completions of one problem.

Every choice here maps a step's `Outcomes` to a value `(B,)`, a number for each completion. Completions whose grader
failed are not in these tensors at all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rlvr.algorithms.choices import pick
from rlvr.algorithms.objective import Objective

# Added to a standard deviation before dividing. DeepSeekMath prints no constant; small enough to leave binary rewards
# alone (relative change below 3e-6 at G = 8), large enough to keep a group of equal rewards at zero.
STD_EPSILON = 1e-6


@dataclass(frozen=True)
class Outcomes:
    """What a step's completions came to: a row each, the rows of a group in any order.

    `rewards` (B,); `group_index` (B,), the group of each row; `lengths_B` (B,), tokens of each completion;
    `moving_average`, the mean reward of earlier steps.
    """

    rewards: Tensor
    group_index: Tensor
    lengths_B: Tensor
    moving_average: float = 0.0


def group_sum(values_B: Tensor, group_index: Tensor) -> Tensor:
    """The sum over each row's group, at each row."""
    totals = values_B.new_zeros(int(group_index.max()) + 1 if len(group_index) else 0)
    return totals.index_add(0, group_index, values_B)[group_index]


def group_size(outcomes: Outcomes) -> Tensor:
    return group_sum(torch.ones_like(outcomes.rewards), outcomes.group_index)


def no_baseline(outcomes: Outcomes) -> Tensor:
    return torch.zeros_like(outcomes.rewards)


def group_mean(outcomes: Outcomes) -> Tensor:
    """Mean reward of the row's group."""
    return group_sum(outcomes.rewards, outcomes.group_index) / group_size(outcomes)


def leave_one_out(outcomes: Outcomes) -> Tensor:
    """Mean reward of the *other* rows of the group (Kool et al., 2019; RLOO, arXiv:2402.14740).

    A row that is alone in its group has no others; its own reward is its baseline, so that it carries no signal.
    """
    size = group_size(outcomes)
    others = (group_sum(outcomes.rewards, outcomes.group_index) - outcomes.rewards) / (size - 1).clamp(min=1)
    return torch.where(size > 1, others, outcomes.rewards)


def length_weighted(outcomes: Outcomes) -> Tensor:
    """Mean reward of the group, each row weighted by its length: the baseline of least variance where a completion's
    squared gradient norm grows with its length (OPO, arXiv:2505.23585)."""
    totals = group_sum(outcomes.lengths_B * outcomes.rewards, outcomes.group_index)
    return totals / group_sum(outcomes.lengths_B, outcomes.group_index).clamp(min=1)


def batch_mean(outcomes: Outcomes) -> Tensor:
    """Mean reward over all rows."""
    return outcomes.rewards.mean().expand_as(outcomes.rewards)


def moving_average(outcomes: Outcomes) -> Tensor:
    """Mean reward of earlier steps (REINFORCE with a baseline; Williams, 1992)."""
    return torch.full_like(outcomes.rewards, outcomes.moving_average)


def no_scale(outcomes: Outcomes) -> Tensor:
    return torch.ones_like(outcomes.rewards)


def group_std(outcomes: Outcomes) -> Tensor:
    """Standard deviation of the group's rewards, with Bessel's correction as in `torch.std`; 1 for a single row."""
    size = group_size(outcomes)
    squares = group_sum((outcomes.rewards - group_mean(outcomes)) ** 2, outcomes.group_index)
    std = (squares / (size - 1).clamp(min=1)).sqrt()
    return torch.where(size > 1, std + STD_EPSILON, torch.ones_like(std))


def batch_std(outcomes: Outcomes) -> Tensor:
    """Standard deviation of all rewards of the batch."""
    rewards = outcomes.rewards
    std = rewards.std() + STD_EPSILON if len(rewards) > 1 else rewards.new_ones(())
    return std.expand_as(rewards)


def mean_of_group(outcomes: Outcomes) -> Tensor:
    """The group's mean reward: the gradient becomes that of log p(correct) (MaxRL, arXiv:2602.02710)."""
    return group_mean(outcomes) + STD_EPSILON


Statistic = Callable[[Outcomes], Tensor]

BASELINES: dict[str, Statistic] = {
    "none": no_baseline,
    "mean": group_mean,
    "leave_one_out": leave_one_out,
    "length_weighted": length_weighted,
    "batch_mean": batch_mean,
    "moving_average": moving_average,
}
SCALES: dict[str, Statistic] = {
    "none": no_scale,
    "group_std": group_std,
    "group_mean": mean_of_group,
    "batch_std": batch_std,
}


def advantages(outcomes: Outcomes, objective: Objective) -> Tensor:
    """A_i = (r_i - baseline_i) / scale_i, `(B,)`.

    A group of equal rewards comes out as exact zeros under a group baseline.
    """
    rewards = outcomes.rewards
    if rewards.shape != outcomes.group_index.shape:
        raise ValueError(
            f"rewards must match group_index: got {tuple(rewards.shape)}, expected {tuple(outcomes.group_index.shape)}"
        )
    difference = rewards - pick(BASELINES, objective.baseline, "baseline")(outcomes)
    # A mean of equal numbers can miss them by one rounding, and dividing by a tiny std would blow that up into signal.
    difference = torch.where(difference.abs() <= 4 * torch.finfo(rewards.dtype).eps * rewards.abs(), 0, difference)
    return difference / pick(SCALES, objective.scale, "scale")(outcomes)
