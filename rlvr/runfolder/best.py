"""The best checkpoint of a run by a named metric: `best/step-N`, apart from the checkpoints to resume from.

A better one is written beside the one before, which is removed once a checkpoint to resume from holds that step: a run
that is killed in between takes the steps again, and has the earlier one until then.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr.runfolder.checkpoint import STATE, checkpoints


@dataclass(frozen=True)
class Record:
    """A checkpoint in `best/`: the value of `metric` after `step`. `mode` is max or min: which values are better.

    `measured` says on what, where that may change: only values of the same measurement are compared.
    """

    path: Path
    step: int
    metric: str
    mode: str
    measured: Mapping[str, Any]
    value: float

    def beats(self, value: float) -> bool:
        """Whether this record is at least as good as `value`: of equal values the earliest is kept."""
        return self.value >= value if self.mode == "max" else self.value <= value

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.4g} after step {self.step} ({self.path})"


def records(folder: Path) -> list[Record]:
    """The records in a folder `best/`, oldest first; each is better than the one before of the same metric."""
    states = [(path, json.loads((path / STATE).read_text())) for path in checkpoints(folder)]
    return [
        Record(path, state["step"], state["metric"], state["mode"], state["measured"], state["value"])
        for path, state in states
        if "metric" in state
    ]


def record_of(folder: Path, metric: str, mode: str, measured: Mapping[str, Any]) -> Record | None:
    """The best value so far of this metric; records of another metric or measurement count for nothing."""
    wanted = (metric, mode, measured)
    return next((r for r in reversed(records(folder)) if (r.metric, r.mode, r.measured) == wanted), None)


def forget_after(folder: Path, step: int) -> None:
    """Remove the records of steps that the run is about to take again."""
    for record in records(folder):
        if record.step > step:
            shutil.rmtree(record.path)


def forget_beaten(folder: Path) -> None:
    """Remove all records but the newest."""
    for record in records(folder)[:-1]:
        shutil.rmtree(record.path)
