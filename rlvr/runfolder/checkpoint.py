"""A checkpoint: everything that the next step needs, written beside and then renamed, so that it is whole or not there.

    step-000050/weights.safetensors   what training changes: all weights, or the adapters
                optimizer.pt          moments of AdamW
                history.json          what earlier steps tell the next one, and the groups that wait for it
                state.json            step, cursor, ...; and the size and SHA-256 of the files above

Randomness is no part of it: every draw is a function of seed and position (`rlvr.seeds`), and so is the learning rate.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlvr.errors import CheckpointError

WEIGHTS, OPTIMIZER, HISTORY, STATE = "weights.safetensors", "optimizer.pt", "history.json", "state.json"


def save_checkpoint(
    folder: Path,
    step: int,
    weights: Mapping[str, Tensor],
    optimizer: Mapping[str, Any],
    history: Mapping[str, Any],
    state: Mapping[str, Any],
    keep_last: int,
) -> Path:
    """Write `folder/step-N` and remove all but the newest `keep_last`.

    Raises `CheckpointError` where the disk does not take it; what was there before is untouched then.
    """
    final = folder / f"step-{step:06d}"
    partial = final.with_suffix(".partial")
    writing = partial
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        writing = partial / WEIGHTS
        save_file({name: weight.detach().cpu().contiguous() for name, weight in weights.items()}, writing)
        writing = partial / OPTIMIZER
        torch.save(dict(optimizer), writing)
        writing = partial / HISTORY
        writing.write_text(json.dumps(history))  # a float comes back from JSON as it was
        files = {name: _fingerprint(partial / name) for name in (WEIGHTS, OPTIMIZER, HISTORY)}
        writing = partial / STATE
        writing.write_text(json.dumps({"step": step, **state, "files": files}, indent=1))
        for path in (*partial.iterdir(), partial):
            _flush(path)
        writing = final
        if final.exists():  # only after going back to an earlier checkpoint: this one is being written again
            shutil.rmtree(final)
        partial.rename(final)
        _flush(folder)
    except (OSError, SafetensorError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            f"cannot write the checkpoint file {writing}: {error}. Earlier checkpoints are untouched; free some space "
            "and start the same command again"
        ) from error
    for old in checkpoints(folder)[:-keep_last]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def checkpoints(folder: Path) -> list[Path]:
    """The finished checkpoints in `folder`, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.suffix != ".partial")


def load_checkpoint(
    path: Path, device: torch.device
) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Weights, optimizer state, history and state of a checkpoint. Raises `CheckpointError` naming a damaged file."""
    reading = path / STATE
    try:
        state = json.loads(reading.read_text())
        for name, expected in state["files"].items():
            reading = path / name
            found = _fingerprint(reading)
            if found != expected:
                raise CheckpointError(
                    f"the checkpoint file {reading} is damaged: got {found['bytes']} bytes with SHA-256 "
                    f"{found['sha256'][:12]}, expected {expected['bytes']} bytes with {expected['sha256'][:12]}"
                )
        reading = path / WEIGHTS
        weights = load_file(reading, device=str(device))
        reading = path / OPTIMIZER
        optimizer = torch.load(reading, map_location=device, weights_only=True)
        reading = path / HISTORY
        return weights, optimizer, json.loads(reading.read_text()), state
    except (OSError, ValueError, KeyError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint file {reading} cannot be read: {error}") from error


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _flush(path: Path) -> None:
    """Have the kernel write `path` to the disk: a rename must not overtake the data it names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
