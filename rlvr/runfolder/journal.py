"""The reports of a run in progress: metrics, the ledger, and the display."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rlvr.runfolder.display import Display
from rlvr.runfolder.ledger import write_ledger
from rlvr.runfolder.metrics import MetricsLog
from rlvr.types import Group


class Journal:
    """A context manager that closes its files. `seconds` is the time of each stage of the current step so far."""

    def __init__(self, folder: Path, stage: str, steps: int, done: int) -> None:
        self.folder = folder
        self.log = MetricsLog(folder, done)
        self.display = Display(stage, steps, done)
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.display.__exit__(kind, error, trace)
        self.log.close()

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Time a stage of the step."""
        started = time.monotonic()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started

    def say(self, line: str) -> None:
        self.display.say(line)

    def keep_rollouts(self, step: int, groups: Sequence[Group]) -> None:
        """Write the groups of a step to the ledger."""
        write_ledger(self.folder / "rollouts" / f"step-{step:06d}.parquet", step, groups)

    def keep_evaluation(self, step: int, kind: str, groups: Sequence[Group], of: str = "") -> None:
        """Write the groups of an evaluation; those of the set called `of` in a folder of their own."""
        if groups:
            write_ledger(self.folder / "evaluations" / of / f"step-{step:06d}-{kind}.parquet", step, groups)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self.log.write(step, metrics)
