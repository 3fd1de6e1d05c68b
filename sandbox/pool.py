"""Workers: each runs one call at a time, on zygotes of its own that it starts when they are first needed."""

import atexit
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .scratch import make_scratch, remove_scratch
from .worker import Zygote

MAX_JOBS_PER_ZYGOTE = 5000  # then it is replaced by a fresh one, whatever its state


class Worker:
    """The zygotes of one worker, by the packages that they hold."""

    def __init__(self, tier: str, processor: int | None = None) -> None:
        self._tier, self._processor = tier, processor
        self._zygotes: dict[tuple[str, ...], Zygote] = {}

    def zygote(self, packages: tuple[str, ...] = ()) -> Zygote:
        """A zygote in good order; a worn one is replaced."""
        zygote = self._zygotes.get(packages)
        if zygote is not None and (not zygote.healthy or zygote.jobs_started >= MAX_JOBS_PER_ZYGOTE):
            self._drop(packages)
            zygote = None
        if zygote is None:
            scratch = "" if self._tier == "A" else make_scratch()
            try:
                zygote = self._zygotes[packages] = Zygote(self._tier, packages, scratch, self._processor)
            except BaseException:
                remove_scratch(scratch)
                raise
        return zygote

    def _drop(self, packages: tuple[str, ...]) -> None:
        zygote = self._zygotes.pop(packages)
        zygote.close()
        remove_scratch(zygote.scratch)

    def close(self) -> None:
        for packages in list(self._zygotes):
            self._drop(packages)


class Pool:
    """`size` workers, handed to one caller each; more callers wait in line."""

    def __init__(self, size: int, tier: str) -> None:
        self._workers = [Worker(tier, processor) for processor in _processors(size)]
        self._free: list[Worker] = []  # the one used last comes first: its memory is warm
        self._turns: queue.SimpleQueue[None] = queue.SimpleQueue()  # as many as are free
        self._closing = threading.Lock()
        self._closed = False
        for worker in self._workers:
            self._give_back(worker)
        atexit.register(self._close_at_exit, os.getpid())

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        worker = self._take()
        try:
            yield worker
        finally:
            self._give_back(worker)

    def _take(self) -> Worker:
        self._turns.get()
        return self._free.pop()

    def _give_back(self, worker: Worker) -> None:
        self._free.append(worker)
        self._turns.put(None)

    def close(self) -> None:
        """Waits for calls that are under way."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            atexit.unregister(self._close_at_exit)
            for _ in self._workers:
                self._take().close()

    def _close_at_exit(self, owner: int) -> None:
        """For sandboxes that nobody closed; a fork of the process that opened them leaves them alone."""
        if os.getpid() == owner:
            for worker in self._workers:
                worker.close()


def _processors(size: int) -> list[int | None]:
    """A processor for each worker, where every processor has one: then short jobs are best run where they were forked.

    Fewer workers are left to the kernel, which finds a second processor for what one of them does ahead.
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [usable[i % len(usable)] if 1 < len(usable) <= size else None for i in range(size)]
