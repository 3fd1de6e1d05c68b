"""Proximal policy optimization (arXiv:1707.06347) of a language model, with verified or learned rewards.

    r_t   = -kl_coef KL_t at each token, and the score at the last         algorithms/gae.py
    A, R  = GAE(gamma, lambda) with the values at the start of the step; R = A + V
    loss  = clipped surrogate of A + value_coef (V - R)^2 / 2 - entropy_coef H, over epochs of minibatches

The critic is a second head on the policy's backbone, or a separate model. The KL coefficient is fixed, or halves and
doubles to follow `objective.kl_target`. With a `trust_region` the policy takes one bounded natural-gradient step
instead (`trainers/trust_region.py`). Unlike in GRPO, an advantage belongs to a token, not to a completion.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rlvr.algorithms.gae import Estimates, estimate
from rlvr.algorithms.objective import Objective
from rlvr.algorithms.policy_loss import policy_loss
from rlvr.algorithms.returns import kl_penalty
from rlvr.algorithms.value_loss import value_loss
from rlvr.algorithms.weights import token_weights
from rlvr.batching import minibatches
from rlvr.build import open_rl_run
from rlvr.config import PPOConfig
from rlvr.learners.base import Learner, mean_metrics
from rlvr.models.policy import TokenScores
from rlvr.rollouts.rows import Rows, rollout_gap
from rlvr.rollouts.selection import Pool
from rlvr.run import Run
from rlvr.trainers import trust_region
from rlvr.trainers.cold_start import cold_started
from rlvr.trainers.grpo import take_steps
from rlvr.types import Batch, Group


def train(config: PPOConfig) -> Run:
    """Train until `config.steps`, from the last checkpoint in the run folder if there is one."""
    run, rollouts = open_rl_run(config, cold_started)
    with run:
        take_steps(run, rollouts, config, learn)
    return run


def learn(
    learner: Learner, config: PPOConfig, objective: Objective, pool: Pool, seed: int
) -> tuple[list[Group], dict[str, float]]:
    """From rewards to new weights; without any reward, no step and no metrics.

    Returns the groups, each rollout with the mean advantage of its tokens, and metrics.
    """
    rows = Rows.of(pool.batch)
    if not rows.rollouts:
        return list(pool.batch), {}
    batch, estimates = estimated(learner, config, objective, rows)
    groups = rows.filled(estimates.mean_B.tolist(), [rollout.shaping for rollout in rows.rollouts])
    metrics = estimates.metrics() | rollout_gap(batch, learner.version) | {"objective/kl_coef": objective.kl_coef}
    improve = update if config.trust_region is None else trust_region.update
    return groups, metrics | improve(learner, config, objective, batch, seed)


def estimated(learner: Learner, config: PPOConfig, objective: Objective, rows: Rows) -> tuple[Batch, Estimates]:
    """The rows with the snapshot's log-probabilities and values, and with advantages and returns."""
    batch = rows.batch()
    snapshot = learner.snapshot(batch)
    penalty = torch.zeros_like(snapshot.logprobs)
    if objective.needs_reference:
        ref_logprobs = learner.frozen_logprobs(batch, torch.arange(len(batch)), reference=True)
        batch = replace(batch, ref_logprobs=ref_logprobs)
        penalty = kl_penalty(snapshot.logprobs, ref_logprobs, batch.completion_mask, objective)
    cut_off_B = torch.tensor([config.bootstrap_truncated and rollout.finish == "length" for rollout in rows.rollouts])
    estimates = estimate(
        scores_B=config.reward_scale * torch.tensor([rollout.reward for rollout in rows.rollouts]),
        penalty=penalty,
        values=snapshot.values,
        after_B=snapshot.after_B,
        cut_off_B=cut_off_B,
        mask=batch.completion_mask,
        discount=objective.discount,
        trace=config.gae_lambda,
        whiten=objective.whiten,
    )
    batch = replace(
        batch,
        old_logprobs=snapshot.logprobs,
        values=snapshot.values,
        advantages=estimates.advantages,
        returns=estimates.returns,
    )
    return batch, estimates


def update(learner: Learner, config: PPOConfig, objective: Objective, batch: Batch, seed: int) -> dict[str, float]:
    """All optimizer steps of one step: `epochs` passes in `minibatches` pieces each."""
    shuffle = torch.Generator().manual_seed(seed)
    steps = []
    for _ in range(config.epochs):
        for rows in minibatches(batch, config.minibatches, shuffle):
            piece = batch.rows(rows)
            weights = token_weights(
                piece.completion_mask, piece.group_index, objective.aggregate, config.sampling.max_tokens
            )
            piece = replace(piece, loss_weights=weights)
            steps.append(learner.update(piece, PPOLoss(objective, config.value_coef, config.value_clip)).metrics)
    return mean_metrics(steps)


@dataclass(frozen=True)
class PPOLoss:
    """The policy's and the critic's loss of a microbatch."""

    objective: Objective
    value_coef: float
    value_clip: float
    whole_groups: bool = False

    @property
    def entropy_gradient(self) -> bool:
        return self.objective.entropy_coef != 0

    def __call__(self, batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.advantages is not None
        assert batch.loss_weights is not None
        assert batch.old_logprobs is not None
        assert batch.values is not None
        assert batch.returns is not None
        assert scores.values is not None
        of_policy, stats = policy_loss(
            scores.logprobs,
            scores.entropy,
            old_logprobs=batch.old_logprobs,
            advantages=batch.advantages,
            mask=batch.completion_mask,
            weights=batch.loss_weights,
            objective=self.objective,
            ref_logprobs=batch.ref_logprobs,
        )
        of_critic = value_loss(scores.values, batch.values, batch.returns, self.value_clip)
        stats["value/loss"] = of_critic.detach()
        return of_policy + self.value_coef * (batch.loss_weights * of_critic).sum(), stats
