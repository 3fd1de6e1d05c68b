"""Tensors that are computed once, before the first step, and kept in the run folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlvr.errors import CheckpointError
from rlvr.runfolder.files import whole_file


def cached_tensors(
    path: Path, digest: str, compute: Callable[[], Mapping[str, Tensor]], checkpoints: Sequence[Path]
) -> dict[str, Tensor]:
    """What lies in `path`, where it was made of what has this `digest`; else what `compute` returns, kept there.

    Before the first checkpoint it is made anew. After it the steps so far were taken with what was there, and a run on
    both is nobody's configuration: raises `CheckpointError`.
    """
    if _digest_in(path) != digest:
        if checkpoints:
            raise CheckpointError(
                f"{path} was computed from other rows than data.train and data.test hold now: the data has changed "
                "since this run began. Choose another folder, out=runs/NAME"
            )
        with whole_file(path) as partial:
            save_file(dict(compute()), partial, metadata={"rows": digest})
    return load_file(path)


def _digest_in(path: Path) -> str | None:
    """The digest of what the tensors in a file were made of; `None` where there is no file."""
    if not path.exists():
        return None
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("rows")
