"""Which version of a hub id a run began with: a branch may have moved when the run goes on."""

import json
from pathlib import Path

from rlvr.errors import CheckpointError
from rlvr.runfolder.checkpoint import checkpoints
from rlvr.runfolder.files import whole_file

BASE_MODEL = "base_model.json"


def note_base_model(folder: Path, path: str | None, commit: str | None) -> None:
    """Keep the `commit` of the hub id `path` in the run folder; a local folder has none.

    Raises `CheckpointError` if a run that goes on would get other weights than it began with.
    """
    if commit is None:
        return
    note = folder / BASE_MODEL
    before = json.loads(note.read_text())["commit"] if note.exists() else commit
    if before != commit and checkpoints(folder / "checkpoints"):
        raise CheckpointError(
            f"{folder} began with commit {before} of {path}, which is at {commit} now: the checkpoint does not belong "
            f"to these weights. Set model.revision={before}, or choose another folder, out=runs/NAME"
        )
    with whole_file(note) as partial:
        partial.write_text(json.dumps({"path": path, "commit": commit}) + "\n")
