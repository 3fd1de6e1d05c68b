"""Measures the memory and the number of processes of a job's whole tree, which no per-process limit covers.

Both are read from /proc outside the job. A job cannot hide a process: all its descendants stay below the first process
of its process namespace (tier A), or below the zygote, which is their subreaper (tier B).
"""

import contextlib
import os
from dataclasses import dataclass

_FIRST_LOOK_SECONDS = 0.03  # most jobs have ended by then
_INTERVAL_SECONDS = 0.02
# Where RLIMIT_NPROC counts per user and not per job, only the watchdog limits the processes of a job.
_SHORT_INTERVAL_SECONDS = 0.01
_FREE_SOCKETS = 64
_SOCKET_BYTES = 212_992  # the kernel defaults of net.core.wmem_default and wmem_max


def look_intervals(tier: str) -> tuple[float, float]:
    """Seconds until the first look at a job, and between looks."""
    return (_FIRST_LOOK_SECONDS, _INTERVAL_SECONDS) if tier == "A" else (_SHORT_INTERVAL_SECONDS,) * 2


@dataclass(frozen=True)
class Tree:
    processes: int
    memory_bytes: int


def measure(root: int, baseline_bytes: int, include_root: bool) -> Tree:
    """Measure the processes below `root`. Each counts with the memory that it does not share with the zygote."""
    waiting = [root]
    processes = memory_bytes = 0
    shared_bytes = 0
    while waiting:
        pid = waiting.pop()
        waiting += _children(pid)
        if pid == root and not include_root:
            continue
        processes += 1
        private, shared = _occupied(pid)
        memory_bytes += max(0, private - baseline_bytes)
        shared_bytes = max(shared_bytes, shared)
    return Tree(processes, memory_bytes + shared_bytes)


def buffer_bytes(pid: int) -> int:
    """Kernel memory that the unix sockets in the network namespace of `pid` can hold; it is charged to no process.

    The first `_FREE_SOCKETS` do not count: few programs have more than a handful.
    """
    try:
        with open(f"/proc/{pid}/net/unix") as file:
            sockets = sum(1 for _ in file) - 1
    except OSError:
        return 0
    return max(0, sockets - _FREE_SOCKETS) * _SOCKET_BYTES


def private_bytes(pid: int) -> int:
    """The private memory of a process."""
    return _occupied(pid)[0]


def release(root: int) -> None:
    """Let all threads of `root` and its descendants run on every processor that this process may use."""
    usable = os.sched_getaffinity(os.getpid())  # not the calling thread's
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        waiting += _children(pid)
        for thread in _threads(pid):
            with contextlib.suppress(OSError):  # it ended meanwhile
                os.sched_setaffinity(thread, usable)


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for thread in _threads(pid):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                children += [int(child) for child in file.read().split()]
    except OSError:  # it ended meanwhile
        pass
    return children


def _threads(pid: int) -> list[int]:
    try:
        return [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
    except OSError:  # it ended meanwhile
        return []


def _occupied(pid: int) -> tuple[int, int]:
    private = shared = 0
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    private = int(line.split()[1]) * 1024
                elif line.startswith("RssShmem:"):
                    shared = int(line.split()[1]) * 1024
    except OSError:
        pass
    return private, shared
