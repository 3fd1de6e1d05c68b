"""A checkpoint: everything that the next step needs. It is written to a temporary name and renamed when complete.

    step-000050/weights.safetensors   the trained weights: all of them, or the adapters
                optimizer.pt          moments of AdamW
                learner.json          optimizer steps taken
                history.json          the memory of earlier steps, and the groups that wait for the next one
                state.json            the step; and the size and SHA-256 of the files above

It contains no random state: every draw is a function of seed and position (`rlvr.seeds`), and so is the learning rate.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors import SafetensorError

from rlvr.errors import CheckpointError
from rlvr.runfolder.files import whole_folder

HISTORY, STATE = "history.json", "state.json"
# Changes with what lies in a checkpoint: 2 since the learner writes files of its own.
FORMAT = 2


def save_checkpoint(
    folder: Path, step: int, save: Callable[[Path], None], history: Mapping[str, Any], keep_last: int
) -> Path:
    """Write `folder/step-N` and remove all but the newest `keep_last`; `save` writes the learner's files.

    Raises `CheckpointError` if it cannot be written; earlier checkpoints stay untouched.
    """
    final = write_checkpoint(folder, step, save, history)
    for old in checkpoints(folder)[:-keep_last]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def write_checkpoint(
    folder: Path,
    step: int,
    save: Callable[[Path], None],
    history: Mapping[str, Any],
    notes: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Write `folder/step-N`, with `notes` in its state. Raises `CheckpointError`; earlier checkpoints stay."""
    final = folder / f"step-{step:06d}"
    try:
        with writing(final), whole_folder(final) as partial:
            save(partial)
            with writing(partial / HISTORY) as path:
                path.write_text(json.dumps(history))  # JSON restores floats exactly
            files = {path.name: _fingerprint(path) for path in sorted(partial.iterdir())}
            with writing(partial / STATE) as path:
                path.write_text(json.dumps({"step": step, "format": FORMAT, "files": files, **notes}, indent=1))
            for path in (*partial.iterdir(), partial):
                _flush(path)
        _flush(folder)
    except CheckpointError:
        for partial in folder.glob("*.partial"):
            shutil.rmtree(partial, ignore_errors=True)
        raise
    return final


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Inside, a file of a checkpoint is written. Raises `CheckpointError` with its name if that fails."""
    try:
        yield path
    except (OSError, SafetensorError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
        raise CheckpointError(
            f"cannot write the checkpoint file {path}: {error}. Earlier checkpoints are untouched; free some space "
            "and start the same command again"
        ) from error


def checkpoints(folder: Path) -> list[Path]:
    """The finished checkpoints in `folder`, oldest first."""
    return sorted((path for path in folder.glob("step-*") if re.fullmatch(r"step-\d+", path.name)), key=step_of)


def step_of(path: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(path.name.removeprefix("step-"))


def is_readable(path: Path) -> bool:
    """Whether a checkpoint was written in the present form; one that is damaged counts as such."""
    try:
        return bool(json.loads((path / STATE).read_text()).get("format") == FORMAT)
    except (OSError, ValueError):
        return True


def read_checkpoint(path: Path) -> tuple[int, dict[str, Any]]:
    """The step and the history of a checkpoint, after checking that all its files are intact.

    Raises `CheckpointError` with the name of a damaged file.
    """
    reading = path / STATE
    try:
        state = json.loads(reading.read_text())
        for name, expected in state["files"].items():
            reading = path / name
            present = _fingerprint(reading)
            if present != expected:
                raise CheckpointError(
                    f"the checkpoint file {reading} is damaged: got {present['bytes']} bytes with SHA-256 "
                    f"{present['sha256'][:12]}, expected {expected['bytes']} bytes with {expected['sha256'][:12]}"
                )
        reading = path / HISTORY
        return state["step"], json.loads(reading.read_text())
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"the checkpoint file {reading} cannot be read: {error}") from error


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _flush(path: Path) -> None:
    """Flush `path` to the disk: a rename must not become durable before the renamed data."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
