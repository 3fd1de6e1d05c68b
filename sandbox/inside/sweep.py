"""Kills what a job left running in tiers B and C, where no process namespace ends with the job.

Orphans of a job become children of its zygote, which is a subreaper, so no process escapes by forking twice.
"""

import contextlib
import os
import signal

from . import linux


def sweep(user: int, group: int) -> None:
    """Kill and reap every descendant of this process. Returns when none is left."""
    own_user = os.geteuid() == 0 and user not in (0, 65534)
    while True:
        if own_user:
            _kill_all_of(user, group)
        else:
            # Stopped first: a stopped process cannot fork while the others are being killed.
            _signal_descendants(signal.SIGSTOP)
            _signal_descendants(signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def _signal_descendants(number: int) -> None:
    """Signal by process descriptor, because another process may have been given a number that was freed meanwhile."""
    pidfds = {}
    for pid in _descendants():
        with contextlib.suppress(ProcessLookupError):
            pidfds[pid] = os.pidfd_open(pid)
    descendants = set(_descendants())
    for pid, pidfd in pidfds.items():
        if pid in descendants:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(pidfd, number)
        os.close(pidfd)


def _kill_all_of(user: int, group: int) -> None:
    """Kill all processes of this user, which nobody else has, with one signal that no fork can escape."""
    pid = os.fork()
    if pid == 0:
        try:
            linux.perform(linux.become(user, group))
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def _descendants() -> list[int]:
    descendants: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        parent = waiting.pop()
        with contextlib.suppress(OSError):  # it ended meanwhile
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children") as file:
                    children = [int(pid) for pid in file.read().split()]
                descendants += children
                waiting += children
    return descendants
