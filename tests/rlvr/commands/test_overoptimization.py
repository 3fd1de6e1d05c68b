"""How far a finished run has gone, from the policy that its steps began with."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from rlvr.commands.overoptimization import final_kl, of_the_same_problems
from rlvr.config import GRPOConfig, LoraConfig, ModelConfig
from rlvr.config.file import load_config
from rlvr.errors import DataError
from rlvr.models.adapters import save_adapters
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.models.policy import Policy
from tasks import Problem
from tests.conftest import TINY

PROBLEM = Problem("p", ({"role": "user", "content": "what is 2 plus 3?"},), "5")
ROWS = [
    {"problem_id": "p", "completion": "it is 5", "finish": "stop"},
    {"problem_id": "p", "completion": "2 plus 3", "finish": "length"},
]


def saved(chat: Chat, folder: Path, seed: int) -> Policy:
    policy = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), 1.0, seed)
    folder.mkdir(parents=True)
    policy.save(folder, chat.tokenizer)
    return policy


def logprob(policy: Policy, chat: Chat) -> float:
    """Of both completions, by the model's own forward pass."""
    total, prompt = 0.0, chat.prompt_ids(PROBLEM.prompt)
    for row in ROWS:
        ids = chat.completion_ids(str(row["completion"]))[: None if row["finish"] == "stop" else -1]
        with torch.no_grad():
            logprobs = policy.model(input_ids=torch.tensor([[*prompt, *ids]])).logits[0].log_softmax(-1)
        total += sum(float(logprobs[len(prompt) - 1 + t, token]) for t, token in enumerate(ids))
    return total


def config(**changes: Any) -> GRPOConfig:
    loaded = load_config("configs/quickstart.yaml", [f"{key}={value}" for key, value in changes.items()])
    assert isinstance(loaded, GRPOConfig)
    return loaded


def test_the_end_is_measured_from_what_the_cold_start_made_as_the_steps_are(chat: Chat, tmp_path: Path) -> None:
    run = tmp_path / "run"
    named, made, final = (saved(chat, tmp_path / name, seed) for seed, name in enumerate(("base", "made", "final")))
    run.mkdir()
    (tmp_path / "final").rename(run / "model")
    problems = {"p": PROBLEM}
    by_path: dict[str, Any] = {"model.path": tmp_path / "base", "model.scratch": "null"}

    from_named = (logprob(final, chat) - logprob(named, chat)) / 2
    from_made = (logprob(final, chat) - logprob(made, chat)) / 2
    assert abs(from_named - from_made) > 1e-3
    assert final_kl(run, config(**by_path, cold_start="null"), problems, ROWS) == pytest.approx(from_named, abs=1e-4)
    assert math.isnan(final_kl(run, config(**by_path), problems, ROWS))  # its cold start was not kept
    (run / "cold_start").mkdir()
    (tmp_path / "made").rename(run / "cold_start" / "model")
    assert final_kl(run, config(**by_path), problems, ROWS) == pytest.approx(from_made, abs=1e-4)
    assert final_kl(run, config(), problems, ROWS) == pytest.approx(from_made, abs=1e-4)
    (run / "model").rename(tmp_path / "elsewhere")
    assert math.isnan(final_kl(run, config(), problems, ROWS))


def test_the_start_of_a_run_that_goes_on_with_adapters_has_them(chat: Chat, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    saved(chat, tmp_path / "base", 0)
    adapted = load_policy(
        ModelConfig(path=str(tmp_path / "base"), lora=LoraConfig(rank=2)), chat, torch.device("cpu"), 1.0, 0
    )
    with torch.no_grad():
        for parameter in adapted.trainable().values():
            parameter.add_(0.1)
    (tmp_path / "adapter").mkdir()
    save_adapters(adapted.adapters, tmp_path / "adapter", chat.tokenizer)
    (run / "model").mkdir()
    adapted.save(run / "model", chat.tokenizer)
    model = f"{{path: {tmp_path / 'base'}, lora: {{path: {tmp_path / 'adapter'}}}}}"
    nowhere = final_kl(run, config(model=model, cold_start="null"), {"p": PROBLEM}, ROWS)
    assert nowhere == pytest.approx(0, abs=1e-4)
    bare = final_kl(run, config(model=f"{{path: {tmp_path / 'base'}}}", cold_start="null"), {"p": PROBLEM}, ROWS)
    assert abs(bare) > 1e-2


def test_evaluations_on_other_problems_than_the_last_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    def evaluation(step: int, *ids: str) -> tuple[int, list[list[dict[str, Any]]]]:
        return step, [[{"problem_id": name}] for name in ids]

    rows = [evaluation(0, "a"), evaluation(2, "a", "b"), evaluation(4, "a", "b")]
    assert of_the_same_problems(Path("run"), rows) == rows[1:]
    assert capsys.readouterr().out == "run: 1 evaluations on other problems than the last are left out\n"
    with pytest.raises(DataError, match="only the last evaluation is on its problems"):
        of_the_same_problems(Path("run"), rows[:2])
