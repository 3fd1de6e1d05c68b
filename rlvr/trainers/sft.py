"""Supervised fine-tuning: maximum likelihood of what the assistant says, in conversations or in worked solutions.

    loss = - sum_t log pi(y_t | x, y_<t) / (tokens of all answers of the step)

Prompts, tools' outputs and padding carry no loss. Rows share lines without seeing each other under `model.packing`.
Left out: loss on the prompt, bare text without an answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rlvr.algorithms.weights import token_weights
from rlvr.batching import token_batch
from rlvr.build import open_run
from rlvr.config import SFTConfig
from rlvr.data.examples import answer_batch, load_examples
from rlvr.models.chat import Chat
from rlvr.models.policy import TokenScores
from rlvr.run import Run
from rlvr.types import Batch
from tasks import Problem
from tasks.conversations import read_conversations
from tasks.rows import shuffled


def train(config: SFTConfig) -> Run:
    """Train until `config.steps`, going on from the run folder's last checkpoint where there is one."""
    run = open_run(config)
    next_batch = from_task(run, config) if config.data is None else from_data(run, config)
    with run:
        for step in run.steps():
            with run.clock("learn"):
                metrics = run.learner.update(equal_tokens(next_batch()), likelihood_loss).metrics
            run.sync_weights(metrics)
            run.finish_step(step, metrics)
    return run


def from_data(run: Run, config: SFTConfig) -> Callable[[], Batch]:
    """Batches of conversations, in an order of its own in each pass; those held out are measured at evaluations."""
    assert config.data is not None
    examples = load_examples(config.data, read_conversations, run.chat)
    print(f"sft: {examples}", flush=True)

    def measure() -> dict[str, float]:
        batch = answer_batch(examples.held_out)
        logprobs = run.learner.frozen_logprobs(batch, torch.arange(len(batch)))
        return {"held_out/loss": -float(logprobs.sum() / batch.completion_mask.sum())}

    def next_batch() -> Batch:
        rows = [shuffled(number, len(examples.train), config.seed) for number in run.take(config.rows_per_step)]
        return answer_batch([examples.train[row] for row in rows])

    run.measure = measure if examples.held_out else None
    return next_batch


def from_task(run: Run, config: SFTConfig) -> Callable[[], Batch]:
    """Batches of a task's problems with their worked solutions."""
    return lambda: solution_batch(list(run.take_problems(config.rows_per_step).values()), run.chat)


def solution_batch(problems: Sequence[Problem], chat: Chat) -> Batch:
    """Problems and their worked solutions as rows."""
    prompts, completions = zip(*(chat.solved_ids(problem) for problem in problems), strict=True)
    return token_batch(prompts, completions, [[True] * len(ids) for ids in completions], range(len(problems)))


def equal_tokens(batch: Batch) -> Batch:
    """The batch with every answer token weighing the same."""
    return replace(batch, loss_weights=token_weights(batch.completion_mask, batch.group_index, "token", max_tokens=1))


def likelihood_loss(batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
    assert batch.loss_weights is not None
    return -(batch.loss_weights * scores.logprobs).sum(), {"entropy": scores.entropy.detach()}
