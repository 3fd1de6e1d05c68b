"""One at a time in a folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlvr.errors import ConfigError
from rlvr.runfolder.lock import hold_folder


def test_the_second_is_refused_with_the_process_that_holds_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with hold_folder(folder):
        (folder / "config.yaml").write_text("")
        with (
            pytest.raises(ConfigError, match=f"process {os.getpid()}, or a run that it started, is using"),
            hold_folder(folder),
        ):
            pytest.fail("two hold it")
        with pytest.raises(ConfigError, match=f"process {os.getpid()}"), hold_folder(folder):
            pytest.fail("the one that was refused has let go of it")
    with hold_folder(folder):
        pass


def test_a_start_that_left_nothing_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with hold_folder(folder):
        assert folder.is_dir()
    assert not folder.exists()


def test_a_folder_in_which_something_lies_stays(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with hold_folder(folder):
        (folder / "metrics.jsonl").write_text("")
    assert (folder / "metrics.jsonl").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    expected = r"out: cannot make the folder .*; choose another, out=runs/NAME"
    with pytest.raises(ConfigError, match=expected), hold_folder(tmp_path / "file" / "run"):
        pytest.fail("it was made")


def test_a_process_that_inherits_the_descriptor_holds_the_folder_until_it_ends(tmp_path: Path) -> None:
    with hold_folder(tmp_path) as descriptor:
        (tmp_path / "config.yaml").write_text("")
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(descriptor,), start_new_session=True
        )
    with pytest.raises(ConfigError, match="a run that it started, is using"), hold_folder(tmp_path):
        pytest.fail("its child is still at work")
    child.communicate(b"\n")
    with hold_folder(tmp_path):
        pass
