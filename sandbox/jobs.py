"""The budget of one call, and the life of a job from its start to the reason of its end. Shared by the graders."""

import functools
import math
import os
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from . import layout
from .errors import BadTests, SandboxError
from .inside.bounds import Bounds
from .limits import Limits
from .results import Case, Status
from .session import Watched
from .workdir import clean
from .zygote_client import Job, ZygoteClient

ZygoteFor = Callable[[tuple[str, ...]], ZygoteClient]

# Why the parent killed a job -> the status of the program, and the reason in words.
_ENDS: dict[str, tuple[Status, str]] = {
    "timeout": ("timeout", "still running at the deadline"),
    "memory": ("memory", "its processes used more memory than allowed"),
    "processes": ("memory", "it started more processes than allowed"),
    "disk": ("output", "it wrote more files than allowed"),
    "output": ("output", "its answers are longer than allowed"),
    "protocol": ("wrong", "the program wrote to the channel of the sandbox"),
}


@dataclass(frozen=True)
class Budget:
    """The resolved limits of one call."""

    limits: Limits
    timeout_seconds: float
    memory_mb: int

    @property
    def bounds(self) -> Bounds:
        return _bounds(self.limits, self.memory_mb, math.ceil(self.timeout_seconds) + 1)

    def watch(self, zygote: ZygoteClient, job: Job) -> Watched:
        return Watched(zygote, job, self.bounds)


@functools.lru_cache(64)
def _bounds(limits: Limits, memory_mb: int, cpu_seconds: int) -> Bounds:
    return Bounds(
        memory_bytes=memory_mb << 20,
        cpu_seconds=cpu_seconds,
        processes=limits.processes,
        files=limits.files,
        file_bytes=limits.disk_mb << 20,
        disk_bytes=limits.disk_mb << 20,
        inodes=limits.inodes,
    )


@dataclass(frozen=True)
class Findings:
    cases: list[Case]
    unsafe: bool = False


def packages_for(*texts: str) -> tuple[str, ...]:
    """The installed packages that a program mentions by name."""
    needs_numpy = any("numpy" in text for text in texts)
    return ("numpy",) if needs_numpy and layout.is_installed("numpy") else ()


class Started:
    """Runs a job for the length of a `with` block. When the block is left, the job is killed unless it has ended."""

    def __init__(self, zygote: ZygoteClient, role: str, budget: Budget) -> None:
        self._zygote = zygote
        self._bounds = budget.bounds
        self._job = zygote.start(role, self._bounds)

    def __enter__(self) -> Job:
        return self._job

    def __exit__(self, *_: object) -> None:
        try:
            if self._job.status is None:
                self._job.kill("over")
                if self._zygote.healthy:
                    self._zygote.wait(self._job)
            if self._zygote.workdir and self._zygote.healthy:
                self._zygote.healthy = clean(self._zygote, self._bounds)
        finally:
            self._job.close()


def after_ready(job: Job, frames: Iterator[object]) -> Iterator[Any]:
    """The frames after the first one, which the job writes before it has received anything untrusted."""
    first = next(frames, None)
    if first == ["ready"]:
        yield from frames
        return
    for _ in frames:
        pass
    if job.killed != "timeout":
        raise SandboxError(
            f"a job could not be confined: {first if first is not None else f'wait status {job.status}'}"
        )


def end_of(job: Job) -> Case:
    """The result for a test case that a job did not answer."""
    if job.killed in _ENDS:
        return Case(False, *_ENDS[job.killed])
    exit_code = os.waitstatus_to_exitcode(job.status) if job.status is not None else 0
    return Case(False, "crash", f"the program's process ended before its answer, with {exit_text(exit_code)}")


def exit_text(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


def as_text(data: str | bytes) -> str:
    """Decode bytes losslessly, and check that text can be encoded again. Raises BadTests if it cannot."""
    if isinstance(data, bytes):
        return data.decode("utf-8", "surrogateescape")
    try:
        data.isascii() or data.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise BadTests(f"standard input or output cannot be written as UTF-8: {error}") from None
    return data


def brief(value: object) -> str:
    """A short `repr` for messages; cheap for large values."""
    try:
        text = reprlib.repr(value)
    except ValueError:  # an integer with more digits than Python prints
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 200 else text[:197] + "..."
