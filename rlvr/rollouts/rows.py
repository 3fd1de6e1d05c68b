"""Groups as rows of tensors. The rows are aligned here: row b of every tensor of a step is the same rollout."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from rlvr.algorithms.advantage import Outcomes
from rlvr.algorithms.correction import rollout_ratio
from rlvr.algorithms.credit import Credit
from rlvr.batching import pad, token_batch
from rlvr.errors import DataError
from rlvr.rollouts.history import History
from rlvr.types import Batch, Group, Rollout
from verifiers import Verdict


@dataclass(frozen=True)
class Rows:
    """The rollouts that have a reward, in the order of their groups. `group_index` is the index of each rollout's
    group."""

    groups: tuple[Group, ...]
    rollouts: tuple[Rollout, ...]
    group_index: tuple[int, ...]

    @classmethod
    def of(cls, groups: Sequence[Group]) -> Self:
        rewarded = [
            (index, rollout)
            for index, group in enumerate(groups)
            for rollout in group.rollouts
            if rollout.reward is not None
        ]
        return cls(tuple(groups), tuple(rollout for _, rollout in rewarded), tuple(index for index, _ in rewarded))

    def batch(self) -> Batch:
        """The tokens of each row, with the generator's log-probabilities and the version of its weights."""
        batch = token_batch(
            [rollout.prompt_ids for rollout in self.rollouts],
            [rollout.completion_ids for rollout in self.rollouts],
            [rollout.completion_mask for rollout in self.rollouts],
            self.group_index,
        )
        logprobs = [[0.0] * len(rollout.prompt_ids) + list(rollout.rollout_logprobs) for rollout in self.rollouts]
        return replace(
            batch,
            policy_version=torch.tensor([rollout.policy_version for rollout in self.rollouts]),
            rollout_logprobs=pad(logprobs, batch.input_ids.shape[1], torch.float32),
        )

    def outcomes(self, history: History, decoupled: bool) -> Outcomes:
        """The outcome of each row, with averages of earlier steps; if `decoupled`, also the parts of its verdict."""
        cohorts = [self.groups[index].problem.cohort for index in self.group_index]
        lag = [history.reward.value - history.cohort_average(cohort) for cohort in cohorts]
        return Outcomes(
            rewards=torch.tensor([rollout.reward for rollout in self.rollouts], dtype=torch.float64),
            group_index=torch.tensor(self.group_index, dtype=torch.long),
            lengths_B=torch.tensor([float(rollout.sampled_tokens) for rollout in self.rollouts]),
            moving_average=history.reward.value,
            parts=torch.tensor(parts_of(self.rollouts)) if decoupled else None,
            part_weights=part_weights_of(self.rollouts) if decoupled else None,
            cohort_lag_B=torch.tensor(lag),
            truncated_B=torch.tensor([rollout.finish == "length" for rollout in self.rollouts], dtype=torch.bool),
        )

    def credited(self, credit: Credit) -> list[Group]:
        """The groups with the credit of each row; a row that is not trained on has no advantage."""
        advantages = zip(credit.advantages_B.tolist(), credit.trained_B.tolist(), strict=True)
        return self.filled([value if trained else None for value, trained in advantages], credit.shaping_B.tolist())

    def filled(self, advantages: Sequence[float | None], shaping: Sequence[float]) -> list[Group]:
        """The groups with the advantage and the shaping of each row."""
        values = iter(zip(advantages, shaping, strict=True))

        def fill(rollout: Rollout) -> Rollout:
            if rollout.reward is None:
                return rollout
            advantage, shaped_by = next(values)
            return replace(rollout, advantage=advantage, shaping=shaped_by)

        return [replace(group, rollouts=tuple(map(fill, group.rollouts))) for group in self.groups]


def parts_of(rollouts: Sequence[Rollout]) -> list[list[float]]:
    """The scores of the parts of each verdict `(B, K)`, in the order of their names; NaN for a part that has a weight
    and does not apply. Raises `DataError` if the verdicts do not have the same parts."""
    verdicts = [rollout.verdict or Verdict(None, "error") for rollout in rollouts]
    names = names_of_parts(verdicts[0]) if verdicts else []
    for verdict in verdicts:
        own = names_of_parts(verdict)
        if not verdict.parts or own != names:
            raise DataError(
                f"objective.combine is 'decoupled', which needs the same parts in every verdict: got {own} "
                f"beside {names}. Name a verifier that is composed of others in verify.verifier, or use combine: sum"
            )
    return [[verdict.parts.get(name, math.nan) for name in names] for verdict in verdicts]


def names_of_parts(verdict: Verdict) -> list[str]:
    """The parts of a verdict, and those that have a weight in it and do not apply."""
    return sorted({*verdict.parts, *verdict.weights})


def part_weights_of(rollouts: Sequence[Rollout]) -> Tensor | None:
    """The weight of each column of `parts_of` `(K,)`, as the verdicts give them.

    A part without a weight counts 1; `None` if no verdict has weights. Raises `DataError` if verdicts disagree.
    """
    verdicts = [rollout.verdict for rollout in rollouts if rollout.verdict]
    if not any(verdict.weights for verdict in verdicts):
        return None
    weights, *others = [[verdict.weights.get(name, 1.0) for name in names_of_parts(verdict)] for verdict in verdicts]
    for other in others:
        if other != weights:
            raise DataError(
                f"objective.combine is 'decoupled', which needs the same weights in every verdict: got {other} beside "
                f"{weights} for the parts {', '.join(names_of_parts(verdicts[0]))}. Name one verifier in "
                "verify.verifier"
            )
    return torch.tensor(weights)


def rollout_gap(batch: Batch, version: int) -> dict[str, float]:
    """Statistics of the ratio between the old and the generator's probabilities, for the log."""
    assert batch.old_logprobs is not None
    assert batch.rollout_logprobs is not None
    assert batch.policy_version is not None
    own_B = batch.policy_version == version
    return rollout_ratio(batch.old_logprobs, batch.rollout_logprobs, batch.completion_mask, own_B)
