"""Group-relative policy optimization: every preset of `algorithms.presets` runs through this one step.

The rest of the story: `rollout.py` (sample and verify), `types.py` (the nouns), `algorithms/advantage.py`,
`algorithms/weights.py` and `algorithms/policy_loss.py` (the mathematics). Left out: critics, asynchronous sampling.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rlvr.algorithms.correction import correction
from rlvr.algorithms.objective import Objective
from rlvr.algorithms.policy_loss import policy_loss
from rlvr.algorithms.weights import token_weights
from rlvr.batching import minibatches, rollout_batch
from rlvr.build import open_run, prepare
from rlvr.config import GRPOConfig
from rlvr.groups import describe, with_advantages
from rlvr.learner import Learner, Loss
from rlvr.models.policy import TokenScores
from rlvr.rollout import collect
from rlvr.run import Run
from rlvr.seeds import derive
from rlvr.trainers.cold_start import cold_started
from rlvr.types import Batch, Group


def train(config: GRPOConfig) -> Run:
    """Train until `config.steps`, going on from the run folder's last checkpoint where there is one."""
    prepare(config)
    with open_run(config, model=cold_started(config)) as run:
        for step in run.steps():
            with run.clock("sample"):
                groups = sample(run, config)
            with run.clock("learn"):
                groups = with_advantages(groups, config.objective)
                metrics = update(run.learner, config, groups, seed=derive(config.seed, "minibatches", step))
            with run.clock("sync"):
                run.sync_weights(metrics)
            run.finish_step(step, describe(groups) | metrics, groups)
    return run


def sample(run: Run, config: GRPOConfig) -> list[Group]:
    """The groups of the next `prompts_per_step` problems, with verdicts and rewards."""
    problems = run.take_problems(config.prompts_per_step)
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


def update(learner: Learner, config: GRPOConfig, groups: Sequence[Group], seed: int) -> dict[str, float]:
    """All optimizer steps of one step: `epochs` passes in `minibatches` pieces each. No signal, no step, no metrics."""
    objective = config.objective
    if not any(rollout.advantage is not None for group in groups for rollout in group.rollouts):
        return {}
    batch = rollout_batch(groups)
    if not signal_B(batch, objective).any():
        return {}
    batch = with_frozen_logprobs(batch, learner, objective, needs_old=config.epochs * config.minibatches > 1)
    shuffle = torch.Generator().manual_seed(seed)
    steps = []
    for _ in range(config.epochs):
        for rows in minibatches(batch, config.minibatches, shuffle):
            piece = batch.rows(rows)
            weights = token_weights(
                piece.completion_mask, piece.group_index, objective.aggregate, config.sampling.max_tokens
            )
            # The weights count all rows of this step; only then are those left out whose loss is always zero.
            piece = replace(piece, loss_weights=weights)
            piece = piece.rows(signal_B(piece, objective).nonzero().squeeze(-1))
            if len(piece):
                steps.append(learner.update(piece, loss_of(objective), objective.entropy_coef != 0))
    return {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}


def signal_B(batch: Batch, objective: Objective) -> Tensor:
    """Which rows `(B,)` have a gradient: a zero advantage without KL or entropy term has none."""
    assert batch.advantages is not None
    return (batch.advantages != 0).any(-1) | objective.trains_without_advantage


def with_frozen_logprobs(batch: Batch, learner: Learner, objective: Objective, needs_old: bool) -> Batch:
    """Fill `old_logprobs` and `ref_logprobs`, each only where the objective reads it.

    A batch that serves one optimizer step needs no old log-probabilities: they are the current ones, the ratio is 1.
    """
    rows = signal_B(batch, objective).nonzero().squeeze(-1)
    if needs_old:
        batch = replace(batch, old_logprobs=learner.frozen_logprobs(batch, rows))
    if objective.needs_reference:
        batch = replace(batch, ref_logprobs=learner.frozen_logprobs(batch, rows, reference=True))
    return batch


def loss_of(objective: Objective) -> Loss:
    """The objective's loss of a microbatch."""

    def loss(batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.advantages is not None
        assert batch.loss_weights is not None
        assert batch.rollout_logprobs is not None
        old_logprobs = scores.logprobs.detach() if batch.old_logprobs is None else batch.old_logprobs
        gap = old_logprobs - batch.rollout_logprobs
        value, stats = policy_loss(
            scores.logprobs,
            scores.entropy,
            old_logprobs=old_logprobs,
            advantages=batch.advantages * correction(gap, batch.completion_mask, objective),
            mask=batch.completion_mask,
            weights=batch.loss_weights,
            objective=objective,
            ref_logprobs=batch.ref_logprobs,
        )
        # How far the generator's probabilities are from the learner's for the same weights: should be rounding only.
        stats["rollout_gap"] = gap.abs()
        return value, stats

    return loss
