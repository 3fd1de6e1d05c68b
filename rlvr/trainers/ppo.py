"""Proximal policy optimization (arXiv:1707.06347) of a language model, with verified or learned rewards.

    r_t   = -kl_coef KL_t at each token, and the score at the last         algorithms/gae.py
    A, R  = GAE(gamma, lambda) with the values of the snapshot that wrote the rollouts; R = A + V
    loss  = clipped surrogate of A + value_coef (V - R)^2 / 2 - entropy_coef H, over epochs of minibatches

The critic is a second head on the policy's backbone, or a model of its own. The KL coefficient is fixed, or halves and
doubles after `objective.kl_target`. With a `trust_region` the policy takes one bounded natural-gradient step instead
(`trainers/trust_region.py`). What differs from GRPO: the advantage belongs to a token, not to a completion.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rlvr.algorithms.advantage import whitened
from rlvr.algorithms.gae import gae, token_rewards
from rlvr.algorithms.objective import Objective
from rlvr.algorithms.policy_loss import policy_loss
from rlvr.algorithms.returns import kl_penalty
from rlvr.algorithms.value_loss import value_loss
from rlvr.algorithms.weights import token_weights
from rlvr.batching import microbatches, minibatches, rollout_batch
from rlvr.build import open_run, prepare
from rlvr.config import PPOConfig
from rlvr.learners.local import Learner, Loss
from rlvr.models.policy import TokenScores
from rlvr.rollouts.collect import collect
from rlvr.rollouts.groups import describe, rewarded
from rlvr.run import Run
from rlvr.seeds import derive
from rlvr.trainers import trust_region
from rlvr.trainers.cold_start import cold_started
from rlvr.types import Batch, Group
from rlvr.weight_sync import rollout_ratio


def train(config: PPOConfig) -> Run:
    """Train until `config.steps`, going on from the run folder's last checkpoint where there is one."""
    prepare(config)
    with open_run(config, model=cold_started(config)) as run:
        for step in run.steps():
            objective = run.history.adapted(config.objective)
            with run.clock("sample"):
                groups = sample(run, config)
            with run.clock("learn"):
                seed = derive(config.seed, "minibatches", step)
                groups, metrics = learn(run.learner, config, objective, groups, seed)
            with run.clock("sync"):
                run.sync_weights(metrics)
            run.history = run.history.updated(step, groups, 1.0, config.selection.by_problem)
            run.history = run.history.steered(config.objective, metrics)
            run.finish_step(step, describe(groups) | metrics, sampled=groups, settled=groups)
    return run


def sample(run: Run, config: PPOConfig) -> list[Group]:
    """The groups of the next `prompts_per_step` problems, with verdicts and rewards."""
    problems = run.take_problems(config.prompts_per_step, config.selection)
    return collect(
        problems=list(problems.values()),
        n=config.group_size,
        sampling=run.sampling,
        seeds=[derive(config.seed, "sample", number) for number in problems],
        generator=run.generator,
        chat=run.chat,
        grade=run.grade,
        version=run.learner.step,
    )


def learn(
    learner: Learner, config: PPOConfig, objective: Objective, groups: Sequence[Group], seed: int
) -> tuple[list[Group], dict[str, float]]:
    """From rewards to new weights; without any reward, no step and no metrics.

    Returns the groups, each rollout with the mean advantage of its tokens, and what was measured.
    """
    if not any(group.rewards for group in groups):
        return list(groups), {}
    batch, metrics = estimated(learner, config, objective, groups)
    assert batch.advantages is not None
    means = iter((batch.advantages.sum(-1) / batch.completion_mask.sum(-1)).tolist())
    told = [
        replace(
            group, rollouts=tuple(r if r.reward is None else replace(r, advantage=next(means)) for r in group.rollouts)
        )
        for group in groups
    ]
    metrics |= rollout_ratio(batch, learner.step) | {"objective/kl_coef": objective.kl_coef}
    improve = update if config.trust_region is None else trust_region.update
    return told, metrics | improve(learner, config, objective, batch, seed)


def estimated(
    learner: Learner, config: PPOConfig, objective: Objective, groups: Sequence[Group]
) -> tuple[Batch, dict[str, float]]:
    """The rollouts that have a reward, with the snapshot's log-probabilities and values, advantages and returns."""
    rollouts = [rollout for _, rollout in rewarded(groups)]
    batch = rollout_batch(groups)
    mask = batch.completion_mask
    old_logprobs, values, after_B = snapshot(learner, batch)
    penalty = torch.zeros_like(old_logprobs)
    if objective.needs_reference:
        ref_logprobs = learner.frozen_logprobs(batch, torch.arange(len(batch)), reference=True)
        batch = replace(batch, ref_logprobs=ref_logprobs)
        penalty = kl_penalty(old_logprobs, ref_logprobs, mask, objective)
    cut_off_B = torch.tensor([config.bootstrap_truncated and rollout.finish == "length" for rollout in rollouts])
    scores_B = config.reward_scale * torch.tensor([rollout.reward for rollout in rollouts])
    rewards = token_rewards(scores_B.masked_fill(cut_off_B, 0.0), penalty, mask)
    advantages = gae(rewards, values, mask, objective.discount, config.gae_lambda, after_B * cut_off_B)
    returns = advantages + values
    unexplained = advantages[mask].var(correction=0) / returns[mask].var(correction=0).clamp(min=1e-12)
    metrics = {
        "return/mean": float(returns[mask].mean()),
        "value/mean": float(values[mask].mean()),
        "value/explained_variance": float(1 - unexplained),
    }
    if objective.whiten:
        advantages = torch.zeros_like(advantages).masked_scatter(mask, whitened(advantages[mask]))
    return replace(batch, old_logprobs=old_logprobs, advantages=advantages, values=values, returns=returns), metrics


@torch.no_grad()
def snapshot(learner: Learner, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities and values `(B, T)` of the weights as they are, and the value after each row `(B,)`.

    One forward pass says all three.
    """
    policy = learner.policy
    policy.train(False)
    longer = one_longer(batch)
    logprobs, values = (torch.zeros(longer.input_ids.shape) for _ in range(2))
    for rows in microbatches(longer, learner.config.microbatch_tokens):
        piece = longer.rows(rows)
        scores = policy.scores(piece.to(policy.device))
        assert scores.values is not None
        width = piece.input_ids.shape[1]
        logprobs[rows, :width], values[rows, :width] = scores.logprobs.cpu(), scores.values.cpu()
    after_B = values[torch.arange(len(batch)), batch.lengths_B]
    return logprobs[:, :-1] * batch.completion_mask, values[:, :-1] * batch.completion_mask, after_B


def one_longer(batch: Batch) -> Batch:
    """Each row with one more token, so that what stands after the last one is before a token too."""
    ids, seen, mask = (
        torch.nn.functional.pad(field, (0, 1))
        for field in (batch.input_ids, batch.attention_mask, batch.completion_mask)
    )
    rows = torch.arange(len(batch))
    seen[rows, batch.lengths_B], mask[rows, batch.lengths_B] = 1, True
    return Batch(ids, seen, mask, batch.group_index)


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
            steps.append(learner.update(piece, loss_of(config, objective), objective.entropy_coef != 0).metrics)
    return {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}


def loss_of(config: PPOConfig, objective: Objective) -> Loss:
    """The policy's and the critic's loss of a microbatch."""

    def loss(batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
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
            objective=objective,
            ref_logprobs=batch.ref_logprobs,
        )
        of_critic = value_loss(scores.values, batch.values, batch.returns, config.value_clip)
        stats["value/loss"] = of_critic.detach()
        return of_policy + config.value_coef * (batch.loss_weights * of_critic).sum(), stats

    return loss
