"""Ending what a job left running, where there is no process namespace whose end would do it (tiers B and C).

Orphans of a job become children of its zygote, the subreaper, so that nothing can escape by forking twice.
"""

import contextlib
import os
import signal

from . import linux


def sweep(user: int, group: int) -> None:
    """Kill and reap every descendant of this process. Returns when there is none."""
    own_user = os.geteuid() == 0 and user not in (0, 65534)
    while True:
        if own_user:
            _kill_all_of(user, group)
        else:
            # Stopped first: a process that is stopped forks no successor while the list is worked off.
            _signal_descendants(signal.SIGSTOP)
            _signal_descendants(signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def _signal_descendants(number: int) -> None:
    """Never by number alone: another process of this machine may have a number that was freed meanwhile."""
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
    """No other process has this user: one signal to all of them cannot be outrun."""
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
