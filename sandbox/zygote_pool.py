"""Workers. Each handles one call at a time with its own zygotes, which it starts when they are first needed."""

import atexit
import math
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .workdir import make_workdir, remove_workdir
from .zygote_client import ZygoteClient

MAX_JOBS_PER_ZYGOTE = 5000  # after this many, a zygote is replaced whatever its state
_MOMENT_SECONDS = 0.1


class Worker:
    """The zygotes of one worker, by the packages that they have loaded."""

    def __init__(self, tier: str, number: int = 0) -> None:
        self._tier, self._number = tier, number
        self._zygotes: dict[tuple[str, ...], ZygoteClient] = {}
        self.crowded = False  # whether there is a busy worker for each processor

    def zygote(self, packages: tuple[str, ...] = ()) -> ZygoteClient:
        """A healthy zygote with these packages; an unhealthy or worn-out one is replaced."""
        zygote = self._zygotes.get(packages)
        if zygote is not None and (not zygote.healthy or zygote.jobs_started >= MAX_JOBS_PER_ZYGOTE):
            self._drop(packages)
            zygote = None
        if zygote is None:
            workdir = "" if self._tier == "A" else make_workdir()
            try:
                zygote = self._zygotes[packages] = ZygoteClient(self._tier, packages, workdir)
            except BaseException:
                remove_workdir(workdir)
                raise
        zygote.settle(self._number if self.crowded else None)
        return zygote

    def _drop(self, packages: tuple[str, ...]) -> None:
        zygote = self._zygotes.pop(packages)
        zygote.close()
        remove_workdir(zygote.workdir)

    def close(self) -> None:
        for packages in list(self._zygotes):
            self._drop(packages)


class ZygotePool:
    """`size` workers, each lent to one caller at a time; further callers wait."""

    def __init__(self, size: int, tier: str) -> None:
        self._free: queue.LifoQueue[Worker] = queue.LifoQueue()
        self._workers = [Worker(tier, number) for number in range(size)]
        self._many = size >= (os.cpu_count() or 1) > 1
        self._all_busy_at = -math.inf
        self._closing = threading.Lock()
        self._closed = False
        for worker in self._workers:
            self._free.put(worker)
        atexit.register(self._close_at_exit, os.getpid())

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        worker = self._free.get()
        if self._many:
            worker.crowded = self._is_crowded()
        try:
            yield worker
        finally:
            self._free.put(worker)

    def _is_crowded(self) -> bool:
        """Whether all workers are busy or were so a moment ago."""
        now = time.monotonic()
        if self._free.empty():
            self._all_busy_at = now
        return now - self._all_busy_at < _MOMENT_SECONDS

    def close(self) -> None:
        """Wait for the running calls and end all zygotes."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            atexit.unregister(self._close_at_exit)
            for _ in self._workers:
                self._free.get().close()

    def _close_at_exit(self, owner: int) -> None:
        """Close sandboxes that nobody closed, in the process that opened them and not in its forks."""
        if os.getpid() == owner:
            for worker in self._workers:
                worker.close()
