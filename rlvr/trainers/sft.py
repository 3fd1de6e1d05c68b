"""Supervised fine-tuning: maximum likelihood of the assistant's answers, in conversations or in worked solutions.

    loss = - sum_t log pi(y_t | x, y_<t) / (tokens of all answers of the step)

Prompts, tool outputs and padding have no loss. With `model.packing` rows share a line without attending to each other.
Left out: loss on the prompt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rlvr.algorithms.weights import token_weights
from rlvr.batching import token_batch
from rlvr.build import open_data_run, task_of
from rlvr.config import SFTConfig
from rlvr.data.examples import Examples, answer_batch, numbers_of
from rlvr.errors import DataError
from rlvr.models.chat import Chat
from rlvr.models.policy import TokenScores
from rlvr.rollouts.fitting import FittingTask, room_for_solutions
from rlvr.run import Run
from rlvr.types import Batch
from tasks import Problem
from tasks.rows import shuffled


def train(config: SFTConfig) -> Run:
    """Train until `config.steps`, from the last checkpoint in the run folder if there is one."""
    run, chat, examples = open_data_run(config)
    batch_of = from_task(config, chat) if examples is None else from_data(run, config, examples)
    with run:
        for step in run.steps():
            with run.clock("learn"):
                batch = batch_of(numbers_of(step, config.rows_per_step))
                metrics = run.learner.update(equal_tokens(batch), LikelihoodLoss()).metrics
            run.sync_weights(metrics)
            run.finish_step(step, metrics)
    return run


def from_data(run: Run, config: SFTConfig, examples: Examples) -> Callable[[range], Batch]:
    """Batches of conversations, in a new order in each pass; held-out conversations are scored at evaluations."""

    def measure() -> dict[str, float]:
        batch = answer_batch(examples.held_out)
        logprobs = run.learner.frozen_logprobs(batch, torch.arange(len(batch)))
        return {"held_out/loss": -float(logprobs.sum() / batch.completion_mask.sum())}

    def batch_of(numbers: range) -> Batch:
        rows = [shuffled(number, len(examples.train), config.seed) for number in numbers]
        return answer_batch([examples.train[row] for row in rows])

    run.measure = measure if examples.held_out else None
    return batch_of


def from_task(config: SFTConfig, chat: Chat) -> Callable[[range], Batch]:
    """Batches of a task's problems with their worked solutions."""
    task = FittingTask(task_of(config), room_for_solutions(chat))
    if left_out := task.look_through():
        print(f"sft: {left_out}", flush=True)

    def batch_of(numbers: range) -> Batch:
        try:
            return solution_batch([task.problem(number) for number in numbers], chat)
        except ValueError as error:
            raise DataError(str(error)) from error

    return batch_of


def solution_batch(problems: Sequence[Problem], chat: Chat) -> Batch:
    """Problems and their worked solutions as rows."""
    prompts, completions = zip(*(chat.solved_ids(problem) for problem in problems), strict=True)
    return token_batch(prompts, completions, [[True] * len(ids) for ids in completions], range(len(problems)))


def equal_tokens(batch: Batch) -> Batch:
    """The batch with an equal weight on every answer token."""
    return replace(batch, loss_weights=token_weights(batch.completion_mask, batch.group_index, "token", max_tokens=1))


@dataclass(frozen=True)
class LikelihoodLoss:
    """The negative weighted log-likelihood of the answer tokens."""

    entropy_gradient: bool = False
    whole_groups: bool = False

    def __call__(self, batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.loss_weights is not None
        return -(batch.loss_weights * scores.logprobs).sum(), {"entropy": scores.entropy.detach()}
