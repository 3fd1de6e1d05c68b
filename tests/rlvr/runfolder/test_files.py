"""Whole or not at all, whatever happens in between."""

from pathlib import Path

import pytest

from rlvr.runfolder.files import whole_file, whole_folder


def test_a_file_takes_its_place_at_the_end_of_the_block_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "notes.txt"
    with whole_file(path) as partial:
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_after_an_error_the_file_that_was_there_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("old")

    def write() -> None:
        with whole_file(path) as partial:
            partial.write_text("half of the n")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert path.read_text() == "old"


def test_a_folder_takes_the_place_of_the_one_that_is_there_with_all_it_held(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old.txt").write_text("old")
    with whole_folder(folder) as partial:
        (partial / "new.txt").write_text("new")
        assert (folder / "old.txt").exists()
    assert [path.name for path in folder.iterdir()] == ["new.txt"]
    assert list(tmp_path.iterdir()) == [folder]


def test_what_an_earlier_attempt_left_half_done_is_no_part_of_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "model"

    def write(name: str) -> None:
        with whole_folder(folder) as partial:
            (partial / name).write_text("")
            raise RuntimeError(name)

    for attempt in ("first", "second"):
        with pytest.raises(RuntimeError, match=attempt):
            write(attempt)
    assert not folder.exists()
    with whole_folder(folder) as partial:
        assert list(partial.iterdir()) == []
    assert folder.is_dir()
