"""What a run writes down while it goes on."""

from pathlib import Path

import pyarrow.parquet
import pytest

from rlvr.runfolder.journal import Journal
from rlvr.runfolder.metrics import read_metrics
from rlvr.types import Group, Rollout
from tasks.problem import question_problem


def group(text: str) -> Group:
    return Group(question_problem("p", "?", "1"), (Rollout([1], [2], [True], [0.0], "stop", 0, text),))


def texts_in(path: Path) -> list[str]:
    return pyarrow.parquet.read_table(path)["completion"].to_pylist()


def test_a_stage_that_comes_twice_in_a_step_is_timed_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 12.0, 20.0, 20.5, 30.0, 31.0])
    with Journal(tmp_path, "grpo", steps=4, done=0) as journal:
        monkeypatch.setattr("rlvr.runfolder.journal.time.monotonic", lambda: next(ticks))
        for stage in ("sample", "sample", "learn"):
            with journal.clock(stage):
                pass
        monkeypatch.undo()
        assert journal.seconds == {"sample": 2.5, "learn": 1.0}


def test_metrics_rollouts_and_evaluations_lie_where_the_run_folder_says(tmp_path: Path) -> None:
    with Journal(tmp_path, "grpo", steps=4, done=0) as journal:
        journal.write(3, {"loss": 0.5})
        journal.keep_rollouts(3, [group("a rollout")])
        journal.keep_evaluation(3, "greedy", [group("an evaluation")])
        journal.keep_evaluation(3, "drawn", [])
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 3, "loss": 0.5}]
    assert texts_in(tmp_path / "rollouts/step-000003.parquet") == ["a rollout"]
    assert [path.name for path in (tmp_path / "evaluations").iterdir()] == ["step-000003-greedy.parquet"]
    assert texts_in(tmp_path / "evaluations/step-000003-greedy.parquet") == ["an evaluation"]


def test_a_journal_that_goes_on_drops_what_was_written_after_the_last_finished_step(tmp_path: Path) -> None:
    with Journal(tmp_path, "grpo", steps=4, done=0) as journal:
        for step in range(4):
            journal.write(step, {"loss": float(step)})
    with Journal(tmp_path, "grpo", steps=4, done=2) as journal:
        journal.write(3, {"loss": -1.0})
    assert [row["loss"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [0.0, 1.0, 2.0, -1.0]


def test_what_is_said_is_printed_as_it_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Journal(tmp_path, "grpo", steps=4, done=0) as journal:
        journal.say("warning: [bold] is no markup")
    assert capsys.readouterr().out == "warning: [bold] is no markup\n"
