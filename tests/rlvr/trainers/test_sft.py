from pathlib import Path

import pytest
import torch

from rlvr.config_file import load_config
from rlvr.errors import DataError
from rlvr.metrics import read_metrics
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy
from rlvr.trainers import sft
from tasks import Problem
from tasks.arithmetic import Arithmetic


def test_only_the_solution_carries_loss_and_it_ends_with_the_end_token(chat: Chat) -> None:
    problems = [Arithmetic().problem(number) for number in range(3)]
    batch = sft.solution_batch(problems, chat)
    for row, problem in enumerate(problems):
        scored = batch.input_ids[row][batch.completion_mask[row]].tolist()
        assert scored == chat.completion_ids(problem.solution or "")
        assert scored[-1] in chat.end_ids
    assert batch.loss_weights is not None
    assert batch.loss_weights.sum().item() == pytest.approx(1.0)
    assert (batch.loss_weights[~batch.completion_mask] == 0).all()


def test_prompt_and_padding_carry_no_gradient(chat: Chat, policy: Policy) -> None:
    batch = sft.solution_batch([Arithmetic().problem(number) for number in range(3)], chat)
    logprobs = policy.scores(batch)
    leaf = logprobs.logprobs.detach().requires_grad_()
    loss, _ = sft.likelihood_loss(batch, type(logprobs)(leaf, logprobs.entropy))
    loss.backward()
    assert leaf.grad is not None
    assert (leaf.grad[~batch.completion_mask] == 0).all()
    assert (leaf.grad[batch.completion_mask] < 0).all()
    expected = -leaf.detach()[batch.completion_mask].mean()
    torch.testing.assert_close(loss.detach(), expected)


def test_it_learns_the_solutions(tmp_path: Path) -> None:
    path = tmp_path / "sft.yaml"
    path.write_text(
        "trainer: sft\n"
        "model: {scratch: {hidden_size: 32, layers: 2, heads: 2, kv_heads: 2, intermediate_size: 64}}\n"
        "task: {name: arithmetic, min_steps: 1, max_steps: 1, max_number: 9, max_value: 20}\n"
        "steps: 60\nrows_per_step: 32\noptimizer: {lr: 5.0e-3}\neval: {problems: 0}\n"
    )
    run = sft.train(load_config(path, [f"out={tmp_path / 'run'}"]))
    losses = [row["loss"] for row in read_metrics(run.folder / "metrics.jsonl") if "loss" in row]
    assert losses[0] > 5
    assert losses[-1] < 1.0
    assert (run.model_folder / "model.safetensors").is_file()


def test_a_problem_without_a_worked_solution_is_named(chat: Chat) -> None:
    problem = Problem("row-7", ({"role": "user", "content": "?"},), "1", source="rows.jsonl")
    with pytest.raises(DataError, match=r"problem 'row-7' of 'rows.jsonl' has no worked solution"):
        sft.solution_batch([problem], chat)
