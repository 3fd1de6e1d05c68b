"""Runs on own rows: columns reach the verifier, answers keep their type, held-out rows are never trained on."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import torch

from rlvr.commands.evaluate_model import evaluate_model
from rlvr.config import ModelConfig
from rlvr.config.file import load_config
from rlvr.errors import ConfigError, DataError
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.preflight import check
from rlvr.trainers import run_trainer
from tests.conftest import TINY

ANSWERS = ["0.10", "12345678901234567890", "true", '["4", 2.50]', '{"value": 1e-7}']


@pytest.fixture
def tiny(chat: Chat, tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), 1.0, 0).save(folder, chat.tokenizer)
    return folder


def rows(tmp_path: Path, name: str = "rows.jsonl", first: int = 0) -> Path:
    """Ten questions, each three times."""
    path = tmp_path / name
    path.write_text(
        "\n".join(
            f'{{"prompt": [{{"role": "user", "content": "{first + n % 10} apples?"}}], "gold": '
            f'{{"value": {ANSWERS[n % 5]}}}, "level": {n % 10}, "wanted": {n % 10}}}'
            for n in range(30)
        )
    )
    return path


def recipe(tiny: Path, train: Path, *overrides: str, task: str = "") -> Any:
    return load_config(
        "configs/quickstart.yaml",
        [
            f"out={tiny.parent / 'run'}",
            f"model.path={tiny}",
            "model.scratch=null",
            "cold_start=null",
            f"task={{name: dataset, train: {train}, question_column: prompt, answer_column: gold.value{task}}}",
            "steps=4",
            "prompts_per_step=2",
            "group_size=4",
            "eval={problems: 0}",
            "engine={name: scripted, script: 'tests.rlvr.scripts:half_right'}",
            "verify.verifier=tests.rlvr.scripts:wants_the_column",
            *overrides,
        ],
    )


def ledger(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "rollouts").glob("*.parquet"))
    return [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]


def test_a_run_survives_answers_of_any_type_and_goes_on_with_the_same_bits(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = ["selection.max_staleness=2", "checkpoint={every: 2, keep_last: 2}"]
    whole = recipe(tiny, rows(tmp_path), *waiting)
    run_trainer(whole)
    said = capsys.readouterr().out
    assert "30 rows ask 10 different questions; training keeps the repeated ones" in said
    assert "2 of 10 different questions are held out, and 24 rows are trained on" in said
    first = ledger(tmp_path / "run")
    assert {row["answer"] for row in first} <= set(ANSWERS)
    assert len({row["answer"] for row in first}) > 2
    assert not {row["prompt"] for row in first} & {"0 apples?", "5 apples?"}
    assert all(row["detail"] == f"level {row['prompt'][0]}" for row in first)
    state = json.loads((tmp_path / "run/checkpoints/step-000002/history.json").read_text())
    kept = [group["problem"] for groups in state["source"]["finished"].values() for group in groups]
    assert kept
    assert {problem["answer"] for problem in kept} <= set(ANSWERS)
    for path in sorted((tmp_path / "run/checkpoints").glob("step-000004*")):
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    for path in (tmp_path / "run/model", *(tmp_path / "run/rollouts").glob("*[34].parquet")):
        path.rename(tmp_path / path.name)
    run_trainer(whole)
    assert ledger(tmp_path / "run") == first


def test_a_test_file_with_other_columns_is_evaluated_on(tiny: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.jsonl"
    test.write_text('{"problem": "1 apples?", "target": 1, "wanted": 1, "level": 1}\n' * 2)
    columns = f", test: {test}, test_columns: {{question: problem, answer: target}}"
    run_trainer(recipe(tiny, rows(tmp_path), "eval={problems: 5, samples: 1, every: 0}", task=columns))
    trained = {row["prompt"] for row in ledger(tmp_path / "run")}
    assert "1 apples?" not in trained
    evaluations = list((tmp_path / "run/evaluations").glob("*greedy*.parquet"))
    assert {row["prompt"] for file in evaluations for row in pyarrow.parquet.read_table(file).to_pylist()} == {
        "1 apples?"
    }


def test_a_set_without_training_rows_can_be_evaluated_on_and_not_trained_on(tiny: Path, tmp_path: Path) -> None:
    path = rows(tmp_path)
    config = recipe(tiny, path, "eval={problems: 5, samples: 1}", task=f", test: {path}")
    with pytest.raises(DataError, match=r"each of its questions is in the test set .* so there is none to train on"):
        check(config)
    assert len(evaluate_model(config)[""].groups[0]) == 5


def test_the_verifier_of_each_part_of_a_mixture_is_made_before_a_run(tiny: Path, tmp_path: Path) -> None:
    columns = "question_column: prompt, answer_column: level"
    table = f"{{name: dataset, train: {rows(tmp_path)}, {columns}, verifier: mth}}"
    parts = f"{{sums: {{name: arithmetic}}, table: {table}}}"
    config = recipe(tiny, rows(tmp_path), f"task={{name: mixture, parts: {parts}}}", "verify={}")
    with pytest.raises(ConfigError, match="the task's verifier: no verifier is called 'mth': did you mean 'math'"):
        check(config)
