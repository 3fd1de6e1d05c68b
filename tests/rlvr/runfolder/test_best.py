"""The records of a run: which values beat which, and what is removed when."""

from pathlib import Path

import pytest

from rlvr.runfolder.best import Record, forget_after, forget_beaten, record_of, records
from rlvr.runfolder.checkpoint import write_checkpoint


def keep(folder: Path, step: int, value: float, metric: str = "a", mode: str = "max", problems: int = 8) -> None:
    notes = {"metric": metric, "mode": mode, "measured": {"problems": problems}, "value": value}
    write_checkpoint(folder, step, lambda to: None, {}, notes)


@pytest.mark.parametrize(
    ("mode", "value", "beats"),
    [("max", 0.4, True), ("max", 0.5, True), ("max", 0.6, False), ("min", 0.6, True), ("min", 0.4, False)],
)
def test_a_record_beats_what_is_not_better(mode: str, value: float, beats: bool) -> None:
    assert Record(Path("x"), 3, "a", mode, {}, 0.5).beats(value) == beats


def test_the_newest_record_of_the_same_metric_and_measurement_is_the_best(tmp_path: Path) -> None:
    assert record_of(tmp_path, "a", "max", {"problems": 8}) is None
    keep(tmp_path, 2, 0.1)
    keep(tmp_path, 4, 0.2)
    keep(tmp_path, 6, 0.9, metric="b")
    keep(tmp_path, 8, 0.8, problems=9)
    best = record_of(tmp_path, "a", "max", {"problems": 8})
    assert best is not None
    assert (best.step, best.value) == (4, 0.2)
    assert str(best) == f"a 0.2 after step 4 ({tmp_path / 'step-000004'})"
    assert record_of(tmp_path, "a", "min", {"problems": 8}) is None
    other = record_of(tmp_path, "a", "max", {"problems": 9})
    assert other is not None
    assert other.step == 8


def test_records_are_forgotten_after_a_step_or_when_they_are_beaten(tmp_path: Path) -> None:
    for step in (2, 4, 6):
        keep(tmp_path, step, step / 10)
    forget_after(tmp_path, 4)
    assert [record.step for record in records(tmp_path)] == [2, 4]
    forget_beaten(tmp_path)
    assert [record.step for record in records(tmp_path)] == [4]
    forget_after(tmp_path, -1)
    assert records(tmp_path) == []
