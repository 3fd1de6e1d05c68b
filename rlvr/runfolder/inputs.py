"""The data of a run as it was when the run began: a digest of each file, kept in the run folder as `inputs.json`.

A run that goes on with other rows is neither of two runs: which problem comes at a number, and which are held out, may
be others. So a changed file is refused, or accepted by name. Of a data set from the hub the revision is kept, where the
hub's cache knows it.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.constants import HF_HUB_CACHE

from rlvr.config import PolicyRunConfig, RLConfig, RunConfig, TaskConfig
from rlvr.errors import CheckpointError
from rlvr.runfolder.files import whole_file
from tasks import make_task
from tasks.registry import sources_of

INPUTS = "inputs.json"
# The keys that name data sets, where a folder or a hub id may stand.
SOURCE_KEYS = ("train", "test")
# A source -> its digest: of the bytes of a file or of a folder's files, or the revision on the hub.
Inputs = Mapping[str, str]


def inputs_of(config: RunConfig) -> Inputs:
    """The digest of each file and data set that a configuration names."""
    named = list(sources_in(config.rows.model_dump(), "")) if config.rows is not None else []
    for task in tasks_of(config):
        named += sources_in(task.knobs, "")
        named += sources_of(make_task(task.name, task.knobs, config.seed))
    digests = {source: digest_of(source) for source in dict.fromkeys(named)}
    return {source: digest for source, digest in digests.items() if digest is not None}


def tasks_of(config: RunConfig) -> Iterator[TaskConfig]:
    """The tasks that a run trains on and is evaluated on."""
    if config.problems is not None:
        yield config.problems
    if isinstance(config, PolicyRunConfig):
        yield from config.eval.sets.values()
    if isinstance(config, RLConfig) and config.cold_start is not None:
        yield config.task.model_copy(update=config.cold_start.task)


def sources_in(value: Any, key: str) -> Iterator[str]:
    """The texts in `value` that name a file, and under the keys of sources, a folder or a data set of the hub."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from sources_in(entry, str(name))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from sources_in(entry, key)
    elif isinstance(value, str) and value and (key in SOURCE_KEYS or _is_file(value)):
        yield value


def digest_of(source: str) -> str | None:
    """The digest of a file, of all files in a folder, or the cached revision of a data set; `None` if unknown."""
    path = Path(source).expanduser()
    if _is_file(source):
        return f"{path.stat().st_size} bytes, SHA-256 {_sha256(path)}"
    if path.is_dir():
        total = hashlib.sha256()
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            total.update(f"{file.relative_to(path)} {_sha256(file)}\n".encode())
        return f"folder, SHA-256 {total.hexdigest()}"
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        head = Path(HF_HUB_CACHE) / f"datasets--{source.replace('/', '--')}" / "refs" / "main"
        return f"revision {head.read_text().strip()}" if head.is_file() else None
    return None


def check_inputs(folder: Path, inputs: Inputs, accepted: bool, is_bound: bool) -> list[str]:
    """The sources that have changed since the run in `folder` began; none if it would not go on from a checkpoint.

    Raises `CheckpointError` if that is not `accepted`, or if the run `is_bound` to its data by what it made of them.
    """
    path = folder / INPUTS
    if not path.is_file() or not any(folder.rglob("checkpoints/step-*")):
        return []
    before: Inputs = json.loads(path.read_text())
    changed = [
        f"{source} ({_short(before[source])} then, {_short(digest)} now)"
        for source, digest in inputs.items()
        if before.get(source, digest) != digest
    ]
    if changed and (is_bound or not accepted):
        way_out = "" if is_bound else ", or go on with the data as they are now, accept_changed_data=true"
        raise CheckpointError(
            f"the data has changed since this run began: {'; '.join(changed)}. Put the data back, choose another "
            f"folder, out=runs/NAME{way_out}"
        )
    return changed


def keep_inputs(folder: Path, inputs: Inputs, changed: list[str]) -> None:
    """Write the digests; say what has changed and was accepted."""
    if changed:
        print(
            f"warning: the data has changed since this run began, which is accepted: {'; '.join(changed)}. Rows that "
            "were trained on may now be held out",
            flush=True,
        )
    with whole_file(folder / INPUTS) as partial:
        partial.write_text(json.dumps(inputs, indent=1))


def _is_file(source: str) -> bool:
    try:
        return Path(source).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):  # a text that is no path at all
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _short(digest: str) -> str:
    kind, _, value = digest.rpartition(" ")
    return f"{kind} {value[:12]}"
