"""One line of numbers a step."""

import math
from pathlib import Path

import pytest

from rlvr.runfolder.metrics import MetricsLog, read_metrics


def write(folder: Path, done: int, *rows: tuple[int, dict[str, float]]) -> None:
    log = MetricsLog(folder, done)
    for step, metrics in rows:
        log.write(step, metrics)
    log.close()


def test_a_row_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    log.write(1, {"loss": 0.1 + 0.2, "time/sample": 2})
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 0.30000000000000004, "time/sample": 2}]
    log.close()


@pytest.mark.parametrize(("done", "kept"), [(0, []), (1, [0, 1]), (2, [0, 1, 2]), (9, [0, 1, 2, 3])])
def test_rows_after_the_last_finished_step_are_dropped(tmp_path: Path, done: int, kept: list[int]) -> None:
    write(tmp_path, 0, *((step, {"loss": 0.0}) for step in range(4)))
    write(tmp_path, done)
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == kept


def test_what_is_no_number_is_null(tmp_path: Path) -> None:
    write(tmp_path, 0, (1, {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.0}))
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1, "a": None, "b": None, "c": None, "d": 0.0}]


def test_a_last_line_that_was_cut_off_is_left_out_and_written_again(tmp_path: Path) -> None:
    write(tmp_path, 0, (1, {"loss": 1.0}), (2, {"loss": 2.0}))
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-9])
    assert read_metrics(path) == [{"step": 1, "loss": 1.0}]
    write(tmp_path, 1, (2, {"loss": 2.5}))
    assert read_metrics(path) == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 2.5}]


def test_a_file_that_is_not_there_has_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_tensorboard_gets_the_same_numbers(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write(tmp_path, 0, (1, {"loss": 0.5}), (2, {"loss": 0.25}))
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [(event.step, event.value) for event in board.Scalars("loss")] == [(1, 0.5), (2, 0.25)]
