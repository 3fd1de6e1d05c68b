"""The memory and the number of processes of a job's whole tree, which no limit of a single process bounds.

Read from /proc of the machine, from outside; a job cannot hide a process, because all descendants of the first process
of a process namespace end up below it (tier A), or below the zygote as their subreaper (tier B).
"""

import contextlib
import os
from dataclasses import dataclass

_FIRST_LOOK_SECONDS = 0.03  # most jobs are over by then
_INTERVAL_SECONDS = 0.02
# Where processes are counted by user and not by job, the watchdog is all that bounds them.
_SHORT_INTERVAL_SECONDS = 0.01
_FREE_SOCKETS = 64
_SOCKET_BYTES = 212_992  # net.core.wmem_default and wmem_max, as kernels come


def look_intervals(tier: str) -> tuple[float, float]:
    """Seconds until the first look at a job, and from one look to the next."""
    return (_FIRST_LOOK_SECONDS, _INTERVAL_SECONDS) if tier == "A" else (_SHORT_INTERVAL_SECONDS,) * 2


@dataclass(frozen=True)
class Tree:
    processes: int
    memory_bytes: int


def measure(root: int, baseline_bytes: int, include_root: bool) -> Tree:
    """The processes below `root`. Each one counts with the memory that it does not share with the zygote."""
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
    """What the unix sockets in the network namespace of `pid` can hold, in the kernel, at no process' expense.

    Few programs have more than a handful: the first ones are free.
    """
    try:
        with open(f"/proc/{pid}/net/unix") as file:
            sockets = sum(1 for _ in file) - 1
    except OSError:
        return 0
    return max(0, sockets - _FREE_SOCKETS) * _SOCKET_BYTES


def private_bytes(pid: int) -> int:
    """What a process occupies for itself."""
    return _occupied(pid)[0]


def release(root: int) -> None:
    """Let all threads of `root` and the processes below it run on every processor that this process may use."""
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
