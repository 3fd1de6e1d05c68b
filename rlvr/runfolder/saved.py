"""The saved states of a run: which model or checkpoint a command means by a folder and a step."""

from dataclasses import dataclass
from pathlib import Path

from rlvr.config.file import RUN_CONFIG
from rlvr.errors import CheckpointError, ConfigError
from rlvr.runfolder.best import records
from rlvr.runfolder.checkpoint import STATE, checkpoints, is_readable, read_checkpoint, step_of
from rlvr.runfolder.claim import BEST, CHECKPOINTS, model_of, steps_taken


@dataclass(frozen=True)
class Saved:
    """A state of the run in `run` after `step`: its finished model, or the checkpoint in `checkpoint`."""

    run: Path
    step: int
    checkpoint: Path | None = None

    def __str__(self) -> str:
        return f"{self.run} after step {self.step}"


def is_run(path: Path) -> bool:
    """Whether `path` is a run folder."""
    return (path / RUN_CONFIG).is_file()


def is_checkpoint(path: Path) -> bool:
    """Whether `path` is a checkpoint of a run."""
    return (path / STATE).is_file() and is_run(path.parent.parent)


def find_saved(path: Path, step: int | None = None, best: bool = False) -> Saved:
    """The state that `path` means, a run folder or one of its checkpoints.

    Of a run: the checkpoint of `step`, the best one, or without either the finished model, else the newest checkpoint.
    Raises `ConfigError` if there is no such state, `CheckpointError` if it is damaged.
    """
    if is_checkpoint(path):
        if step is not None or best:
            raise ConfigError(f"{path} is one checkpoint; leave --step and --best out, or name {path.parent.parent}")
        return _checked(Saved(path.parent.parent, step_of(path), path))
    if not is_run(path):
        raise ConfigError(
            f"{str(path)!r} is neither the folder of a run nor one of its checkpoints; expected one such as runs/NAME "
            f"or runs/NAME/{CHECKPOINTS}/step-000050"
        )
    if step is not None and best:
        raise ConfigError("--step and --best name two states; expected one of them")
    if best:
        kept = records(path / BEST)
        if not kept:
            raise ConfigError(
                f"{path} keeps no best checkpoint; train with checkpoint.best=eval/greedy or another metric"
            )
        return _checked(Saved(path, kept[-1].step, kept[-1].path))
    finished = steps_taken(path) if model_of(path).exists() else None
    if finished is not None and step in (None, finished):
        return Saved(path, finished)
    kept_paths = {step_of(kept): kept for folder in (BEST, CHECKPOINTS) for kept in checkpoints(path / folder)}
    if not kept_paths:
        raise ConfigError(f"{path} holds no checkpoint yet, so there are no trained weights")
    if step is not None and step not in kept_paths:
        raise ConfigError(
            f"{path} keeps no checkpoint of step {step}; it keeps those of {', '.join(map(str, sorted(kept_paths)))}. "
            "checkpoint.keep_last says how many"
        )
    newest = max(step_of(kept) for kept in checkpoints(path / CHECKPOINTS)) if step is None else step
    return _checked(Saved(path, newest, kept_paths[newest]))


def _checked(saved: Saved) -> Saved:
    assert saved.checkpoint is not None
    if not is_readable(saved.checkpoint):
        raise CheckpointError(
            f"the checkpoint {saved.checkpoint} was written by an older version, and this one cannot read it; use the "
            "version that wrote it"
        )
    read_checkpoint(saved.checkpoint)
    return saved
