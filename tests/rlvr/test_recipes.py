"""Every recipe in configs/ is loaded, and its loop driven two steps: a tiny random model learns from scripted text."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest
import torch

from rlvr.config import ModelConfig, SFTConfig
from rlvr.config.file import load_config
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.trainers import run_trainer
from tests.conftest import TINY

RECIPES = sorted(p for p in Path("configs").glob("*.yaml") if not p.stem.startswith("compare_"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_loop_of_a_recipe_runs_with_a_tiny_model_and_a_script(
    path: Path, chat: Chat, data: Path, tmp_path: Path
) -> None:
    policy = load_policy(
        ModelConfig(scratch=TINY.model_copy(update={"max_length": 2048})), chat, torch.device("cpu"), 1.0, 0
    )
    policy.model.config.max_position_embeddings = 2048
    (tmp_path / "tiny").mkdir()
    policy.save(tmp_path / "tiny", chat.tokenizer)
    overrides = [
        f"out={tmp_path / 'run'}",
        f"model.path={tmp_path / 'tiny'}",
        "model.scratch=null",
        "cold_start=null",
        "steps=2",
        "prompts_per_step=3",
        "group_size=4",
        "sampling.max_tokens=64",
        "eval={problems: 2, samples: 2}",
        "engine={name: scripted, script: 'tests.rlvr.scripts:half_right'}",
        "verify.verifier=tests.rlvr.scripts:coin",
    ]
    if load_config(path).task.name == "gsm8k":
        overrides += [f"task.{split}={data / f'gsm8k_{split}.jsonl'}" for split in ("train", "test")]
        overrides.append("task.subset=null")
    config = load_config(path, overrides)
    assert not isinstance(config, SFTConfig)
    run_trainer(config)
    out = tmp_path / "run"
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert all(row["grad_norm"] > 0 and row["skipped"] == 0 for row in rows[1:])
    ledger = pyarrow.parquet.read_table(out / "rollouts/step-000002.parquet").to_pylist()
    assert len(ledger) == 12
    assert {row["reward"] for row in ledger} == {0.0, 1.0}
    for group in range(3):
        advantages = [row["advantage"] for row in ledger if row["group"] == group]
        assert abs(sum(advantages)) < 1e-5
    assert {row["policy_version"] for row in ledger} == {1}
    for name in (
        "config.yaml",
        "model/model.safetensors",
        "model/tokenizer.json",
        "checkpoints/step-000002/state.json",
    ):
        assert (out / name).is_file(), name
    assert list((out / "tensorboard").iterdir())

    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(out / "model")
    trained = dict(model.named_parameters())
    assert any((trained[name] != weight).any() for name, weight in policy.named_weights())
    assert AutoTokenizer.from_pretrained(out / "model").chat_template


def test_the_code_quickstart_pays_for_what_passes_in_the_sandbox(chat: Chat, tmp_path: Path) -> None:
    policy = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), 1.0, 0)
    (tmp_path / "tiny").mkdir()
    policy.save(tmp_path / "tiny", chat.tokenizer)
    overrides = [
        f"out={tmp_path / 'run'}",
        f"model.path={tmp_path / 'tiny'}",
        "model.scratch=null",
        "cold_start=null",
        "steps=1",
        "prompts_per_step=4",
        "group_size=4",
        "eval.problems=0",
        "sampling.max_tokens=120",
        "engine={name: scripted, script: 'tests.rlvr.scripts:brackets_or_not'}",
    ]
    run_trainer(load_config("configs/quickstart_code.yaml", overrides))
    ledger = pyarrow.parquet.read_table(tmp_path / "run/rollouts/step-000001.parquet").to_pylist()
    assert len(ledger) == 16
    for group in range(4):
        rows = [row for row in ledger if row["group"] == group]
        right = rows[0]["completion"]
        assert "(x): return" in right
        assert [row["reward"] for row in rows] == [float(row["completion"] == right) for row in rows]
    assert {row["reward"] for row in ledger} == {0.0, 1.0}
