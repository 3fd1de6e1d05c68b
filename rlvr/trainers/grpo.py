"""Group-relative policy optimization: every preset of `algorithms.presets` runs through this one step.

The other parts: `rollouts/source.py` (where groups come from), `rollouts/play.py` (sample and verify), `types.py`
(the nouns), `algorithms/credit.py` and `algorithms/policy_loss.py` (the mathematics). Left out: critics (`ppo.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from rlvr.algorithms.correction import correction
from rlvr.algorithms.credit import assign_credit
from rlvr.algorithms.objective import Objective
from rlvr.algorithms.policy_loss import policy_loss
from rlvr.algorithms.returns import kl_penalty
from rlvr.algorithms.weights import token_weights
from rlvr.batching import minibatches
from rlvr.build import open_rl_run
from rlvr.config import GRPOConfig, RLConfig
from rlvr.learners.base import Learner, mean_metrics
from rlvr.models.policy import TokenScores
from rlvr.rollouts.groups import describe
from rlvr.rollouts.rollouts import Rollouts
from rlvr.rollouts.rows import Rows, rollout_gap
from rlvr.rollouts.selection import Pool
from rlvr.run import Run
from rlvr.seeds import derive
from rlvr.trainers.cold_start import cold_started
from rlvr.types import Batch, Group

C = TypeVar("C", bound=RLConfig)
# From a step's pool to new weights: returns the groups with their advantages, and metrics.
Learn = Callable[[Learner, C, Objective, Pool, int], tuple[list[Group], dict[str, float]]]


def train(config: GRPOConfig) -> Run:
    """Train until `config.steps`, from the last checkpoint in the run folder if there is one."""
    run, rollouts = open_rl_run(config, cold_started)
    with run:
        take_steps(run, rollouts, config, learn)
    return run


def take_steps(run: Run, rollouts: Rollouts, config: C, learn: Learn[C]) -> None:
    """The remaining steps: sample, learn, sync the weights. PPO uses the same steps with another `learn`."""
    caution = rollouts.caution(config.objective)
    if caution and run.done < config.steps:
        run.say(f"warning: {caution}")
    for step in run.steps():
        objective = rollouts.history.adapted(config.objective)
        with run.clock("sample"):
            pool = rollouts.sample(config, step, run.learner.version)
        with run.clock("learn"):
            seed = derive(config.seed, "minibatches", step)
            groups, metrics = learn(run.learner, config, objective, pool, seed)
        with run.clock("sync"):
            rollouts.sync(run.learner, metrics)
        for warning in rollouts.settle(config, pool, metrics):
            run.say(warning)
        metrics = describe(pool.fresh) | metrics
        run.finish_step(step, metrics, sampled=pool.fresh, settled=[*groups, *pool.left_out])


def learn(
    learner: Learner, config: GRPOConfig, objective: Objective, pool: Pool, seed: int
) -> tuple[list[Group], dict[str, float]]:
    """From rewards to new weights. Returns the groups with their advantages, and metrics."""
    if not pool.batch:
        return [], pool.describe([])
    rows = Rows.of(pool.batch)
    batch, penalty = rows.batch(), None
    if objective.kl_in_reward:
        every_row = torch.arange(len(batch))
        old, ref = learner.frozen_logprobs(batch, every_row), learner.frozen_logprobs(batch, every_row, reference=True)
        batch = replace(batch, old_logprobs=old, ref_logprobs=ref)
        penalty = kl_penalty(old, ref, batch.completion_mask, objective)
    outcomes = rows.outcomes(pool.history, decoupled=objective.combine == "decoupled")
    credit = assign_credit(outcomes, batch.completion_mask, objective, config.sampling.max_tokens, penalty)
    groups = rows.credited(credit)
    batch = replace(batch, advantages=credit.advantages).rows(credit.trained_B)
    return groups, pool.describe(groups) | update(learner, config, objective, batch, seed)


def update(learner: Learner, config: GRPOConfig, objective: Objective, batch: Batch, seed: int) -> dict[str, float]:
    """All optimizer steps of one step: `epochs` passes in `minibatches` pieces each. Without signal: no step, no
    metrics."""
    signal = signal_B(batch, objective)
    if not signal.any():
        return {}
    shuffle = torch.Generator().manual_seed(seed)
    plan = [rows for _ in range(config.epochs) for rows in minibatches(batch, config.minibatches, shuffle)]
    plan = [rows for rows in plan if signal[rows].any()]
    batch = with_frozen_logprobs(
        batch, learner, old_B=signal.index_fill(0, plan[0], False), ref_B=signal & objective.kl_in_loss
    )
    version = learner.version
    steps: list[dict[str, float]] = []
    for rows in plan:
        piece = batch.rows(rows)
        weights = token_weights(
            piece.completion_mask, piece.group_index, objective.aggregate, config.sampling.max_tokens
        )
        # The weights count all rows of this optimizer step; only then rows without a loss are left out.
        piece = replace(piece, loss_weights=weights).rows(signal[rows])
        if not steps:  # the weights have not changed yet: the ratio is 1
            piece = replace(piece, old_logprobs=None)
        done = learner.update(piece, GRPOLoss(objective))
        if not steps:  # its log-probabilities are the old ones of the later optimizer steps
            batch = batch.with_old_logprobs(rows[signal[rows]], done.logprobs)
        steps.append(done.metrics)
    coefficients = {"objective/kl_coef": objective.kl_coef, "objective/entropy_coef": objective.entropy_coef}
    return mean_metrics(steps) | coefficients | rollout_gap(batch.rows(signal), version)


def signal_B(batch: Batch, objective: Objective) -> Tensor:
    """Which rows `(B,)` have a gradient: a zero advantage has none without a KL or entropy term."""
    assert batch.advantages is not None
    return (batch.advantages != 0).any(-1) | objective.trains_without_advantage


def with_frozen_logprobs(batch: Batch, learner: Learner, old_B: Tensor, ref_B: Tensor) -> Batch:
    """Fill `old_logprobs` of the rows in `old_B` and `ref_logprobs` of those in `ref_B`; existing values stay."""
    if batch.old_logprobs is None and old_B.any():
        batch = replace(batch, old_logprobs=learner.frozen_logprobs(batch, old_B.nonzero().squeeze(-1)))
    if batch.ref_logprobs is None and ref_B.any():
        batch = replace(batch, ref_logprobs=learner.frozen_logprobs(batch, ref_B.nonzero().squeeze(-1), reference=True))
    return batch


@dataclass(frozen=True)
class GRPOLoss:
    """The objective's loss of a microbatch."""

    objective: Objective
    whole_groups: bool = False

    @property
    def entropy_gradient(self) -> bool:
        return self.objective.entropy_coef != 0

    def __call__(self, batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.advantages is not None
        assert batch.loss_weights is not None
        assert batch.rollout_logprobs is not None
        old_logprobs = scores.logprobs.detach() if batch.old_logprobs is None else batch.old_logprobs
        gap = old_logprobs - batch.rollout_logprobs
        return policy_loss(
            scores.logprobs,
            scores.entropy,
            old_logprobs=old_logprobs,
            advantages=batch.advantages * correction(gap, batch.completion_mask, self.objective),
            mask=batch.completion_mask,
            weights=batch.loss_weights,
            objective=self.objective,
            ref_logprobs=batch.ref_logprobs,
        )
