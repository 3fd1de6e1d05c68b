"""The cold start of an RL run: a run of its own, taken once."""

from pathlib import Path

import pytest

from rlvr.config import GRPOConfig, LoraConfig
from rlvr.config.file import load_config
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import sft
from rlvr.trainers.cold_start import cold_model, cold_started

TINY = [
    "model.scratch={hidden_size: 16, layers: 1, heads: 1, kv_heads: 1, intermediate_size: 16}",
    "task={name: arithmetic, min_steps: 1, max_steps: 1}",
    "eval={problems: 0}",
]


def config_of(out: Path, *overrides: str) -> GRPOConfig:
    config = load_config("configs/quickstart.yaml", [f"out={out}", *TINY, *overrides])
    assert isinstance(config, GRPOConfig)
    return config


def test_a_cold_start_is_a_run_inside_of_the_runs_folder_and_rl_goes_on_from_its_model(tmp_path: Path) -> None:
    config = config_of(tmp_path, "cold_start={steps: 3, rows_per_step: 4}")
    model = cold_started(config)
    assert (model.path, model.scratch) == (str(tmp_path / "cold_start/model"), None)
    assert (tmp_path / "cold_start/model/model.safetensors").exists()
    assert [row["step"] for row in read_metrics(tmp_path / "cold_start/metrics.jsonl")] == [0, 1, 2, 3]


def test_a_cold_start_that_is_finished_is_not_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cold_start/model").mkdir(parents=True)
    monkeypatch.setattr(sft, "train", lambda config: pytest.fail("it was trained again"))
    assert cold_started(config_of(tmp_path, "cold_start={steps: 3}")).path == str(tmp_path / "cold_start/model")


def test_a_run_without_a_cold_start_begins_with_its_own_model(tmp_path: Path) -> None:
    config = config_of(tmp_path, "model={path: runs/x/model}", "cold_start=null")
    assert cold_started(config) is config.model
    assert list(tmp_path.iterdir()) == []


def test_a_cold_start_that_was_interrupted_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        interrupted = True

    monkeypatch.setattr(sft, "train", lambda config: Interrupted())
    with pytest.raises(KeyboardInterrupt):
        cold_started(config_of(tmp_path, "cold_start={steps: 3}"))


def test_adapters_wait_for_rl_where_the_cold_start_learns_with_all_weights(tmp_path: Path) -> None:
    config = config_of(tmp_path, "cold_start={steps: 3}")
    adapted = config.model_copy(update={"model": config.model.model_copy(update={"lora": LoraConfig(rank=2)})})
    first = adapted.cold_start_config(str(tmp_path / "first"))
    assert first is not None
    assert first.model.lora is None
    assert cold_model(adapted, first).lora == LoraConfig(rank=2)
    assert cold_model(adapted, first).path == str(tmp_path / "first/model")
