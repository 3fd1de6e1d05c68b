"""Supervised fine-tuning on worked solutions: maximum likelihood of the solution's tokens given the problem.

    loss = - sum_t log pi(y_t | x, y_<t) / (tokens of all solutions of the step)

Prompt tokens carry no loss. Left out: packing, conversations of several turns.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from rlvr.algorithms.weights import token_weights
from rlvr.batching import token_batch
from rlvr.build import open_run
from rlvr.config import SFTConfig
from rlvr.errors import DataError
from rlvr.models.chat import Chat
from rlvr.models.policy import TokenScores
from rlvr.run import Run
from rlvr.types import Batch
from tasks import Problem


def train(config: SFTConfig) -> Run:
    """Train until `config.steps`, going on from the run folder's last checkpoint where there is one."""
    with open_run(config) as run:
        for step in run.steps():
            with run.clock("learn"):
                problems = list(run.take_problems(config.rows_per_step).values())
                metrics = run.learner.update(solution_batch(problems, run.chat), likelihood_loss).metrics
            run.sync_weights(metrics)
            run.finish_step(step, metrics)
    return run


def solution_batch(problems: Sequence[Problem], chat: Chat) -> Batch:
    """Problems and their worked solutions as rows, every solution token weighing the same."""
    completions = []
    for problem in problems:
        if problem.solution is None:
            raise DataError(
                f"problem {problem.id!r} of {problem.source!r} has no worked solution, and fine-tuning learns "
                "from them; name the column in task.solution_column"
            )
        completions.append(chat.completion_ids(problem.solution))
    prompts = [
        chat.problem_ids(problem, len(completion)) for problem, completion in zip(problems, completions, strict=True)
    ]
    batch = token_batch(prompts, completions, [[True] * len(ids) for ids in completions], range(len(problems)))
    return replace(batch, loss_weights=token_weights(batch.completion_mask, batch.group_index, "token", max_tokens=1))


def likelihood_loss(batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
    assert batch.loss_weights is not None
    return -(batch.loss_weights * scores.logprobs).sum(), {"entropy": scores.entropy.detach()}
