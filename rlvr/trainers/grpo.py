"""Group-relative policy optimization: every preset of `algorithms.presets` runs through this one step.

The rest of the story: `selection.py` (which problems, which groups), `rollout.py` (sample and verify), `types.py` (the
nouns), `algorithms/advantage.py`, `algorithms/weights.py` and `algorithms/policy_loss.py` (the mathematics). Left out:
critics, asynchronous sampling.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rlvr.algorithms.correction import correction
from rlvr.algorithms.objective import Objective
from rlvr.algorithms.policy_loss import policy_loss
from rlvr.algorithms.returns import kl_penalty
from rlvr.algorithms.weights import token_weights
from rlvr.batching import minibatches, rollout_batch, trained_rows
from rlvr.build import open_run, prepare
from rlvr.config import GRPOConfig
from rlvr.learners.local import Learner, Loss
from rlvr.models.policy import TokenScores
from rlvr.rollouts.collect import collect
from rlvr.rollouts.groups import describe, shaped, with_advantages
from rlvr.rollouts.history import History
from rlvr.rollouts.selection import Pool
from rlvr.run import Run
from rlvr.seeds import derive
from rlvr.trainers.cold_start import cold_started
from rlvr.types import Batch, Group
from rlvr.weight_sync import rollout_ratio


def train(config: GRPOConfig) -> Run:
    """Train until `config.steps`, going on from the run folder's last checkpoint where there is one."""
    prepare(config)
    with open_run(config, model=cold_started(config)) as run:
        for step in run.steps():
            objective = run.history.adapted(config.objective)
            with run.clock("sample"):
                pool = sample(run, config)
            with run.clock("learn"):
                seed = derive(config.seed, "minibatches", step)
                groups, metrics = learn(run.learner, config, objective, run.history, pool.batch, seed)
            with run.clock("sync"):
                run.sync_weights(metrics)
            run.pending = pool.pending
            run.history = run.history.updated(step, pool.fresh, pool.kept_share, config.selection.by_problem)
            run.history = run.history.steered(config.objective, metrics)
            metrics = describe(pool.fresh) | pool.describe(groups) | metrics
            run.finish_step(step, metrics, sampled=pool.fresh, settled=[*groups, *pool.left_out])
    return run


def sample(run: Run, config: GRPOConfig) -> Pool:
    """Groups for one step, with verdicts: those that wait, then fresh ones in rounds until the batch is full."""
    pool = Pool.waiting(config.prompts_per_step, config.objective, run.pending, run.learner.step)
    while count := pool.wanted(run.history.kept_share):
        problems = run.take_problems(count, config.selection)
        groups = collect(
            problems=list(problems.values()),
            n=config.group_size,
            sampling=run.sampling,
            seeds=[derive(config.seed, "sample", number) for number in problems],
            generator=run.generator,
            chat=run.chat,
            grade=run.grade,
            version=run.learner.step,
        )
        pool = pool.with_fresh(groups)
    if config.objective.refill_rounds and len(pool.batch) < pool.size:
        run.say_once("short batch", f"warning: {pool.shortfall()}")
    return pool


def learn(
    learner: Learner, config: GRPOConfig, objective: Objective, history: History, groups: Sequence[Group], seed: int
) -> tuple[list[Group], dict[str, float]]:
    """From rewards to new weights. Returns the groups with their advantages, and what was measured."""
    if not groups:
        return [], {}
    batch, penalty = rollout_batch(groups), None
    if objective.kl_in_reward:
        every_row = torch.arange(len(batch))
        old, ref = learner.frozen_logprobs(batch, every_row), learner.frozen_logprobs(batch, every_row, reference=True)
        batch = replace(batch, old_logprobs=old, ref_logprobs=ref)
        penalty = kl_penalty(old, ref, batch.completion_mask, objective)
    groups = with_advantages(shaped(groups, objective, config.sampling.max_tokens, penalty), objective, history)
    batch = trained_rows(batch, groups, objective, penalty)
    return groups, update(learner, config, objective, batch, seed)


def update(learner: Learner, config: GRPOConfig, objective: Objective, batch: Batch, seed: int) -> dict[str, float]:
    """All optimizer steps of one step: `epochs` passes in `minibatches` pieces each. No signal, no step, no metrics."""
    signal = signal_B(batch, objective)
    if not signal.any():
        return {}
    shuffle = torch.Generator().manual_seed(seed)
    plan = [rows for _ in range(config.epochs) for rows in minibatches(batch, config.minibatches, shuffle)]
    plan = [rows for rows in plan if signal[rows].any()]
    batch = with_frozen_logprobs(
        batch, learner, old_B=signal.index_fill(0, plan[0], False), ref_B=signal & objective.kl_in_loss
    )
    version = learner.step
    steps: list[dict[str, float]] = []
    for rows in plan:
        piece = batch.rows(rows)
        weights = token_weights(
            piece.completion_mask, piece.group_index, objective.aggregate, config.sampling.max_tokens
        )
        # The weights count all rows of this step; only then are those left out whose loss is always zero.
        piece = replace(piece, loss_weights=weights).rows(signal[rows])
        if not steps:  # no weight has moved yet: the ratio is 1
            piece = replace(piece, old_logprobs=None)
        done = learner.update(piece, loss_of(objective), objective.entropy_coef != 0)
        if not steps:  # what the first optimizer step found is what the later ones start from
            batch = batch.with_old_logprobs(rows[signal[rows]], done.logprobs)
        steps.append(done.metrics)
    means = {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}
    coefficients = {"objective/kl_coef": objective.kl_coef, "objective/entropy_coef": objective.entropy_coef}
    return means | coefficients | rollout_ratio(batch.rows(signal), version)


def signal_B(batch: Batch, objective: Objective) -> Tensor:
    """Which rows `(B,)` have a gradient: a zero advantage without KL or entropy term has none."""
    assert batch.advantages is not None
    return (batch.advantages != 0).any(-1) | objective.trains_without_advantage


def with_frozen_logprobs(batch: Batch, learner: Learner, old_B: Tensor, ref_B: Tensor) -> Batch:
    """Fill `old_logprobs` of the rows in `old_B` and `ref_logprobs` of those in `ref_B`; what is there stays."""
    if batch.old_logprobs is None and old_B.any():
        batch = replace(batch, old_logprobs=learner.frozen_logprobs(batch, old_B.nonzero().squeeze(-1)))
    if batch.ref_logprobs is None and ref_B.any():
        batch = replace(batch, ref_logprobs=learner.frozen_logprobs(batch, ref_B.nonzero().squeeze(-1), reference=True))
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
        return value, stats

    return loss
