"""Checkpoints that are whole, and what is said of those that are not."""

from pathlib import Path

import pytest

from rlvr.errors import CheckpointError
from rlvr.runfolder.checkpoint import checkpoints, read_checkpoint, save_checkpoint


def save(folder: Path, step: int, keep_last: int = 2, weights: bytes = b"weights") -> Path:
    return save_checkpoint(
        folder, step, lambda to: (to / "w.bin").write_bytes(weights), {"mean": 0.1, "step": step}, keep_last
    )


def test_a_checkpoint_gives_back_its_step_and_history_to_the_last_digit(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 50, lambda to: None, {"mean": 0.1 + 0.2, "names": ["a"]}, 1)
    assert path == tmp_path / "step-000050"
    assert read_checkpoint(path) == (50, {"mean": 0.30000000000000004, "names": ["a"]})


def test_the_newest_are_kept_and_listed_oldest_first(tmp_path: Path) -> None:
    for step in (5, 90, 100, 7):
        save(tmp_path, step, keep_last=3)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000007", "step-000090", "step-000100"]


def test_a_checkpoint_of_the_same_step_is_written_anew(tmp_path: Path) -> None:
    save(tmp_path, 5, weights=b"old")
    path = save(tmp_path, 5, weights=b"new")
    assert (path / "w.bin").read_bytes() == b"new"
    assert read_checkpoint(path)[0] == 5


def test_one_that_is_half_written_is_none(tmp_path: Path) -> None:
    save(tmp_path, 5)
    (tmp_path / "step-000010.partial").mkdir()
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000005"]


@pytest.mark.parametrize(
    "error", [OSError("No space left on device"), RuntimeError("enforce fail at inline_container")]
)
def test_a_disk_that_does_not_take_it_is_an_error_and_leaves_what_there_was(tmp_path: Path, error: Exception) -> None:
    kept = save(tmp_path, 5, keep_last=1)

    def fail(folder: Path) -> None:
        (folder / "w.bin").write_bytes(b"half")
        raise error

    with pytest.raises(CheckpointError, match=f"cannot write the checkpoint .*step-000010: {error}. Earlier"):
        save_checkpoint(tmp_path, 10, fail, {}, 1)
    assert list(tmp_path.iterdir()) == [kept]
    assert read_checkpoint(kept)[0] == 5


def test_a_damaged_file_is_named_with_what_was_expected_of_it(tmp_path: Path) -> None:
    path = save(tmp_path, 5)
    (path / "w.bin").write_bytes(b"weighty")  # as long as before
    with pytest.raises(CheckpointError, match=r"w\.bin is damaged: got 7 bytes with SHA-256 .* expected 7 bytes with"):
        read_checkpoint(path)
    (path / "w.bin").write_bytes(b"weigh")
    with pytest.raises(CheckpointError, match=r"w\.bin is damaged: got 5 bytes with SHA-256 .* expected 7 bytes with"):
        read_checkpoint(path)


@pytest.mark.parametrize("name", ["state.json", "history.json", "w.bin"])
def test_a_file_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    path = save(tmp_path, 5)
    (path / name).unlink()
    with pytest.raises(CheckpointError, match=f"the checkpoint file .*{name} cannot be read"):
        read_checkpoint(path)


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_a_state_that_says_nothing_is_no_checkpoint(tmp_path: Path, text: str) -> None:
    path = save(tmp_path, 5)
    (path / "state.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"the checkpoint file .*state\.json cannot be read"):
        read_checkpoint(path)


def test_where_nothing_was_saved_there_is_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoints(tmp_path / "nowhere") == []
