"""Rewards to advantages: A_i = (r_i - baseline_i) / scale_i, over the group of completions of one problem.

Every function here maps rewards `(B,)` and the group of each row `(B,)` to a value `(B,)`. Rows whose grader failed
are not in these tensors at all.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from rlvr.algorithms.choices import pick

# Added to a standard deviation before dividing. DeepSeekMath prints no constant; small enough to leave binary rewards
# alone (relative change below 3e-6 at G = 8), large enough to keep a group of equal rewards at zero.
STD_EPSILON = 1e-6


def group_sum(values_B: Tensor, group_index: Tensor) -> Tensor:
    """The sum over each row's group, at each row."""
    totals = values_B.new_zeros(int(group_index.max()) + 1 if len(group_index) else 0)
    return totals.index_add(0, group_index, values_B)[group_index]


def group_size(rewards: Tensor, group_index: Tensor) -> Tensor:
    return group_sum(torch.ones_like(rewards), group_index)


def group_mean(rewards: Tensor, group_index: Tensor) -> Tensor:
    """Mean reward of the row's group."""
    return group_sum(rewards, group_index) / group_size(rewards, group_index)


def leave_one_out(rewards: Tensor, group_index: Tensor) -> Tensor:
    """Mean reward of the *other* rows of the group (Kool et al., 2019; RLOO, arXiv:2402.14740).

    A row that is alone in its group has no others; its own reward is its baseline, so that it carries no signal.
    """
    size = group_size(rewards, group_index)
    others = (group_sum(rewards, group_index) - rewards) / (size - 1).clamp(min=1)
    return torch.where(size > 1, others, rewards)


def batch_mean(rewards: Tensor, group_index: Tensor) -> Tensor:
    """Mean reward over all rows."""
    return rewards.mean().expand_as(rewards)


def no_baseline(rewards: Tensor, group_index: Tensor) -> Tensor:
    return torch.zeros_like(rewards)


def group_std(rewards: Tensor, group_index: Tensor) -> Tensor:
    """Standard deviation of the group's rewards, with Bessel's correction as in `torch.std`; 1 for a single row."""
    size = group_size(rewards, group_index)
    squares = group_sum((rewards - group_mean(rewards, group_index)) ** 2, group_index)
    std = (squares / (size - 1).clamp(min=1)).sqrt()
    return torch.where(size > 1, std + STD_EPSILON, torch.ones_like(std))


def batch_std(rewards: Tensor, group_index: Tensor) -> Tensor:
    """Standard deviation of all rewards of the batch."""
    std = rewards.std() + STD_EPSILON if len(rewards) > 1 else rewards.new_ones(())
    return std.expand_as(rewards)


def no_scale(rewards: Tensor, group_index: Tensor) -> Tensor:
    return torch.ones_like(rewards)


Statistic = Callable[[Tensor, Tensor], Tensor]

BASELINES: dict[str, Statistic] = {
    "none": no_baseline,
    "mean": group_mean,
    "leave_one_out": leave_one_out,
    "batch_mean": batch_mean,
}
SCALES: dict[str, Statistic] = {
    "none": no_scale,
    "group_std": group_std,
    "batch_std": batch_std,
}


def advantages(rewards: Tensor, group_index: Tensor, baseline: str, scale: str) -> Tensor:
    """A_i = (r_i - baseline_i) / scale_i.

    Args: `rewards` (B,) and `group_index` (B,), the group of each row, in any order.
    Returns: (B,). A group of equal rewards comes out as exact zeros under a group baseline.
    """
    if rewards.shape != group_index.shape:
        raise ValueError(
            f"rewards must match group_index: got {tuple(rewards.shape)}, expected {tuple(group_index.shape)}"
        )
    difference = rewards - pick(BASELINES, baseline, "baseline")(rewards, group_index)
    # A mean of equal numbers can miss them by one rounding, and dividing by a tiny std would blow that up into signal.
    difference = torch.where(difference.abs() <= 4 * torch.finfo(rewards.dtype).eps * rewards.abs(), 0, difference)
    return difference / pick(SCALES, scale, "scale")(rewards, group_index)
