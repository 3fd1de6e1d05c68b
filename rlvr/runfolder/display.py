"""Shows the progress of a run: a bar with live figures in a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

LINE_EVERY = 10  # steps between lines where there is no terminal

# Label, metric, and format. A stage without a metric does not show it.
FIGURES = (
    ("loss", "loss", "{:.3f}"),
    ("reward", "reward/mean", "{:.3f}"),
    ("accuracy", "reward/accuracy", "{:.3f}"),
    ("length", "completion/length", "{:.0f}"),
    ("kept", "groups/with_signal", "{:.0%}"),
    ("sample tok/s", "speed/sample_tokens", "{:,.0f}"),
    ("learn tok/s", "speed/learn_tokens", "{:,.0f}"),
)


class Display:
    """Shows one stage of a run. A context manager; `say` prints a line above the bar."""

    def __init__(self, stage: str, steps: int, done: int) -> None:
        self.stage, self.steps, self.first = stage, steps, done
        self.console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.started = time.monotonic()
        self.live: Live | None = None
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
            )
            self.bar = Progress(*columns, console=self.console)
            self.task = self.bar.add_task(stage, total=steps, completed=done, left="")
            self.live = Live(self.bar, console=self.console)

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            with suppress(OSError):  # as everywhere in this file: a closed terminal must not end a run
                self.live.stop()

    def say(self, line: str) -> None:
        with suppress(OSError):
            self.console.print(line, markup=False)

    def _draw(self, what: RenderableType) -> None:
        if self.live:
            with suppress(OSError):
                self.live.update(what)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Announce something slow that is not a step: below the bar while it lasts, elsewhere as a line."""
        if self.live:
            before = self.live.renderable
            self._draw(Group(before, Text(f"{what} ...")))
            yield
            self._draw(before)
        else:
            self.say(f"{self.stage}: {what} ...")
            yield

    def show(self, done: int, metrics: Mapping[str, float]) -> None:
        """Report that `done` steps are finished."""
        known = {name: value for name, value in metrics.items() if not math.isnan(value)}
        figures = [f"{label} {form.format(known[name])}" for label, name, form in FIGURES if name in known]
        left = f"{_duration(self.seconds_left(done))} left"
        if self.live:
            self.bar.update(self.task, completed=done, left=left)
            self._draw(Group(self.bar, *map(Text, in_rows(figures, self.console.width))))
        elif done % LINE_EVERY == 0 or done == self.steps:
            self.say(f"{self.stage} {done}/{self.steps}  {'  '.join(figures)}  {left}")

    def seconds_left(self, done: int) -> float:
        """The estimated time of the remaining steps, at the average pace since the start."""
        return (time.monotonic() - self.started) / (done - self.first) * (self.steps - done)


def in_rows(figures: Sequence[str], width: int) -> list[str]:
    """The figures in as many rows as the width needs, without breaking any of them."""
    rows = [""]
    for figure in figures:
        if rows[-1] and len(rows[-1]) + 2 + len(figure) > width:
            rows.append("")
        rows[-1] += f"{'  ' if rows[-1] else ''}{figure}"
    return rows


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
