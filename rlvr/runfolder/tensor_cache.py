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
    """The tensors in `path` if they were computed from inputs with this `digest`, else the saved result of `compute`.

    Before the first checkpoint they are computed again. After it, earlier steps have used the old tensors, and mixing
    them with new ones would match no configuration: raises `CheckpointError`.
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
    """The digest of the inputs of the tensors in a file; `None` if there is no file."""
    if not path.exists():
        return None
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("rows")
