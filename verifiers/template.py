"""The process that workers are forked from, and the loop that a worker runs. Only `verifiers.pool` starts it.

It stays single-threaded, so that forking it is safe, and keeps a table of its children, so that it never kills another
program that has been given the process id of a dead worker, and can tell how each worker ended.
"""

import contextlib
import ctypes
import gc
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable

from verifiers.names import load
from verifiers.pool import receive_message, send_message

ORPHAN_CHECK_SECONDS = 1.0
ENDING_SECONDS = 0.5  # a worker's socket closes a moment before the kernel tells how the worker ended
PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>


def serve(control: socket.socket, memory_mb: int) -> None:
    """Fork and kill workers on request, and tell how they ended, until the owner closes the socket or dies."""
    owner = os.getppid()
    children: dict[int, int | None] = {}  # the exit code of each, negative for a signal; `None` while it is alive
    gc.collect()
    gc.freeze()  # the children share these pages then, and do not copy them at their first collection
    while True:
        readable, _, _ = select.select([control], [], [], ORPHAN_CHECK_SECONDS)
        _reap(children)
        if not readable:
            if os.getppid() != owner:
                break
            continue
        request, descriptors, _, _ = socket.recv_fds(control, 16, 1)
        if not request:
            break
        command, _, argument = request.decode().strip().partition(" ")
        if command == "fork":
            pid = os.fork()
            if pid == 0:
                control.close()
                die_with_parent()
                os.setpgid(0, 0)
                with socket.socket(fileno=descriptors[0]) as channel:
                    work(channel, memory_mb)
                os._exit(0)
            children[pid] = None
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)  # here too, because either process may come first
            os.close(descriptors[0])
            control.sendall(str(pid).encode().ljust(16))
        elif command == "kill" and children.pop(int(argument), 0) is None:
            kill_group(int(argument))
        elif command == "how":
            control.sendall(str(_ending(children, int(argument))).encode().ljust(16))
    for pid, code in children.items():
        if code is None:
            kill_group(pid)


def kill_group(pid: int) -> None:
    """Kill a worker and all processes that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def die_with_parent() -> None:
    """Have the kernel kill this process when the template dies. Only Linux can; elsewhere a worker may outlive it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _reap(children: dict[int, int | None]) -> None:
    with contextlib.suppress(ChildProcessError):  # there are none
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in children:
                children[pid] = os.waitstatus_to_exitcode(status)


def _ending(children: dict[int, int | None], pid: int) -> int | None:
    deadline = time.monotonic() + ENDING_SECONDS
    while children.get(pid) is None and time.monotonic() < deadline:
        time.sleep(0.005)
        _reap(children)
    return children.get(pid)


def work(channel: socket.socket, memory_mb: int) -> None:
    """Answer jobs `(task, payload, timeout_seconds)` with `(value, problem)` until the channel closes."""
    if memory_mb:
        limit = memory_mb * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tasks: dict[str, Callable[[object], object]] = {}
    while True:
        try:
            task, payload, timeout_seconds = receive_message(channel)
        except (EOFError, OSError):
            return
        # A second limit behind the owner's deadline, in case the owner itself is stopped.
        allowed_cpu_seconds = int(time.process_time() + timeout_seconds) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (allowed_cpu_seconds, resource.RLIM_INFINITY))
        value: object = None
        problem = ""
        try:
            if task not in tasks:
                tasks[task] = load(task)
            value = tasks[task](payload)
        except (Exception, SystemExit) as error:  # an exception is the result of the job
            problem = f"{type(error).__name__}: {error}"[:500]
        try:
            send_message(channel, (value, problem))
        except OSError:
            return
        except Exception as error:  # the value cannot be pickled
            send_message(channel, (None, f"{type(error).__name__}: {error}"[:500]))


def main() -> None:
    """`python -m verifiers.template DESCRIPTOR MEMORY_MB [MODULE[:FUNCTION] ...]`"""
    control = socket.socket(fileno=int(sys.argv[1]))
    for path in sys.argv[3:]:
        preloaded = load(path)
        if ":" in path:
            preloaded()
    serve(control, int(sys.argv[2]))


if __name__ == "__main__":
    main()
