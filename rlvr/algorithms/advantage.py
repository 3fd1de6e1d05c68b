"""Rewards to advantages: A_i = weight_i (r_i - baseline_i) / scale_i, over the group of completions of one problem.

Every function here maps a step's `Outcomes` to one number per completion `(B,)`. Completions whose grader failed are
not in these tensors. `returns` turns the advantages of completions into advantages of tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from rlvr.algorithms.choices import pick
from rlvr.algorithms.objective import Objective


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of a step's completions, one row each; the rows of a group may come in any order.

    `rewards` (B,); `group_index` (B,), the group of each row; `lengths_B` (B,), tokens of each completion;
    `moving_average`, the mean reward of earlier steps; `parts` (B, K), several rewards of each completion, and
    `part_weights` (K,), the weight of each part (1 by default); `cohort_lag_B` (B,), how far the mean reward of the
    row's cohort lies below the overall mean (negative: above it; by default no cohort lags); `truncated_B` (B,), which
    completions were cut off (by default none).
    """

    rewards: Tensor
    group_index: Tensor
    lengths_B: Tensor
    moving_average: float = 0.0
    parts: Tensor | None = None
    part_weights: Tensor | None = None
    cohort_lag_B: Tensor | None = None
    truncated_B: Tensor | None = None

    def rows(self, chosen_B: Tensor) -> Self:
        """The outcomes of the rows where `chosen_B` is true."""
        by_row = ("rewards", "group_index", "lengths_B", "parts", "cohort_lag_B", "truncated_B")
        known = {name: value[chosen_B] for name in by_row if (value := vars(self)[name]) is not None}
        return replace(self, **known)


def snapped(values: Tensor, magnitude: Tensor) -> Tensor:
    """`values`, where those that are only rounding errors relative to `magnitude` become exact zeros."""
    return torch.where(values.abs() <= 4 * torch.finfo(values.dtype).eps * magnitude.abs(), 0, values)


def divisor(scale: Tensor, magnitude: Tensor) -> Tensor:
    """`scale`, or 1 where it is zero. No epsilon is added, so the results match the printed formulas."""
    scale = snapped(scale, magnitude)
    return torch.where(scale == 0, 1.0, scale)


def group_sum(values_B: Tensor, group_index: Tensor) -> Tensor:
    """The sum over each row's group, one value per row."""
    totals = values_B.new_zeros(int(group_index.max()) + 1 if len(group_index) else 0)
    return totals.index_add(0, group_index, values_B)[group_index]


def group_size(outcomes: Outcomes) -> Tensor:
    return group_sum(torch.ones_like(outcomes.rewards), outcomes.group_index)


def no_baseline(outcomes: Outcomes) -> Tensor:
    return torch.zeros_like(outcomes.rewards)


def group_mean(outcomes: Outcomes) -> Tensor:
    """Mean reward of the row's group."""
    return group_sum(outcomes.rewards, outcomes.group_index) / group_size(outcomes)


def group_variance(outcomes: Outcomes) -> Tensor:
    """Variance of the rewards of the row's group, with Bessel's correction; 0 for a single row."""
    squares = group_sum((outcomes.rewards - group_mean(outcomes)) ** 2, outcomes.group_index)
    return squares / (group_size(outcomes) - 1).clamp(min=1)


def leave_one_out(outcomes: Outcomes) -> Tensor:
    """Mean reward of the *other* rows of the group (Kool et al., 2019; RLOO, arXiv:2402.14740).

    A row that is alone in its group has no others: its own reward is its baseline, so it carries no signal.
    """
    size = group_size(outcomes)
    others = (group_sum(outcomes.rewards, outcomes.group_index) - outcomes.rewards) / (size - 1).clamp(min=1)
    return torch.where(size > 1, others, outcomes.rewards)


def length_weighted(outcomes: Outcomes) -> Tensor:
    """Mean reward of the group, each row weighted by its length: the minimum-variance baseline if a completion's
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
    """Standard deviation of the group's rewards, with Bessel's correction as in `torch.std`; 1 where all are equal."""
    return divisor(group_variance(outcomes).sqrt(), outcomes.rewards)


def batch_std(outcomes: Outcomes) -> Tensor:
    """Standard deviation of all rewards of the batch; 1 where all are equal."""
    rewards = outcomes.rewards
    return divisor(rewards.std(correction=min(1, len(rewards) - 1)).expand_as(rewards), rewards)


def mean_of_group(outcomes: Outcomes) -> Tensor:
    """The group's mean reward: the gradient becomes that of log p(correct) (MaxRL, arXiv:2602.02710); 1 where all are
    wrong."""
    return divisor(group_mean(outcomes), outcomes.rewards)


def equal_weight(outcomes: Outcomes, objective: Objective) -> Tensor:
    return torch.ones_like(outcomes.rewards)


def informative(outcomes: Outcomes, objective: Objective) -> Tensor:
    """The variance of the group's rewards, divided by its mean over the groups with a nonzero variance.

    Equal rewards give 0, and the mean over the groups with spread is 1. With a success probability p the variance is
    p (1 - p), so problems that the policy solves half of the time count most. The total effect depends on `scale`: an
    advantage grows with the group's standard deviation s if `scale` is `none`, and does not if it is `group_std`, so a
    group moves the policy by s^3 or by s^2.
    """
    variance = snapped(group_variance(outcomes).sqrt(), outcomes.rewards) ** 2
    # Each row counts 1 / size of its group, so that every group counts once, whatever its size.
    share = 1 / group_size(outcomes)
    mean = (variance * share).sum() / ((variance > 0) * share).sum().clamp(min=1)
    return variance / torch.where(mean > 0, mean, 1.0)


def cohort(outcomes: Outcomes, objective: Objective) -> Tensor:
    """exp(strength * lag), divided by its mean over the rows: cohorts below the average count more.

    These are the exponential weights of group DRO (Sagawa et al., arXiv:1911.08731, algorithm 1), but computed from the
    current lag instead of multiplied up over the steps: a cohort that has caught up counts like the others at once.
    """
    if outcomes.cohort_lag_B is None:
        return equal_weight(outcomes, objective)
    weight = (objective.cohort_strength * outcomes.cohort_lag_B).to(outcomes.rewards.dtype).exp()
    return weight / weight.mean()


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
GROUP_WEIGHTS: dict[str, Callable[[Outcomes, Objective], Tensor]] = {
    "none": equal_weight,
    "informative": informative,
    "cohort": cohort,
}


def summed(outcomes: Outcomes, objective: Objective) -> Tensor:
    """(r - baseline) / scale of a completion's single reward, the score of its verdict."""
    rewards = outcomes.rewards
    difference = rewards - pick(BASELINES, objective.baseline, "baseline")(outcomes)
    # The mean of equal numbers can be off by a rounding error, which division by a tiny std would turn into signal.
    return snapped(difference, rewards) / pick(SCALES, objective.scale, "scale")(outcomes)


def decoupled(outcomes: Outcomes, objective: Objective) -> Tensor:
    """sum_k weight_k (r_k - baseline_k) / scale_k: each reward is normalized by itself before the sum, so that
    combinations with equal sums stay distinct (GDPO, arXiv:2601.05242). The weights are used as given. A part that does
    not apply to a row (NaN) adds nothing there, and is normalized over the other rows."""
    if outcomes.parts is None:
        raise ValueError(
            "parts is missing: expected (B, K) where combine is decoupled; use a verifier whose verdicts have parts"
        )
    columns = outcomes.parts.unbind(-1)
    weights = [1.0] * len(columns) if outcomes.part_weights is None else outcomes.part_weights.tolist()
    each = [summed_where_known(replace(outcomes, rewards=column), objective) for column in columns]
    return torch.stack([weight * part for weight, part in zip(weights, each, strict=True)]).sum(0)


def summed_where_known(outcomes: Outcomes, objective: Objective) -> Tensor:
    """`summed` over the rows whose reward is known, and 0 in the others."""
    known_B = ~outcomes.rewards.isnan()
    if known_B.all():
        return summed(outcomes, objective)
    values = torch.zeros_like(outcomes.rewards)
    values[known_B] = summed(outcomes.rows(known_B), objective)
    return values


COMBINES: dict[str, Callable[[Outcomes, Objective], Tensor]] = {"sum": summed, "decoupled": decoupled}


def whitened(values: Tensor) -> Tensor:
    """`values` with mean 0 and standard deviation 1; equal values become exact zeros."""
    if len(values) < 2:
        return torch.zeros_like(values)
    return snapped(values - values.mean(), values) / divisor(values.std(), values)


def advantages(outcomes: Outcomes, objective: Objective) -> Tensor:
    """A_i = weight_i (r_i - baseline_i) / scale_i `(B,)`, then whitened if the objective asks for it.

    Where advantages differ within a completion, `returns.token_advantages` whitens them per token instead. With a group
    baseline, a group of equal rewards gets exact zeros before whitening.
    """
    rewards = outcomes.rewards
    if rewards.shape != outcomes.group_index.shape:
        raise ValueError(
            f"rewards must match group_index: got {tuple(rewards.shape)}, expected {tuple(outcomes.group_index.shape)}"
        )
    values = pick(COMBINES, objective.combine, "combine")(outcomes, objective)
    values = values * pick(GROUP_WEIGHTS, objective.group_weight, "group_weight")(outcomes, objective)
    return whitened(values) if objective.whiten and not objective.advantage_per_token else values
