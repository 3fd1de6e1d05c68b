"""Turns a freshly forked process into a job: its identity, directory, resource limits and allowed system calls.

All of it happens before the process receives untrusted code, and the job cannot undo any of it.
"""

import os
from typing import NamedTuple

from . import linux
from .bounds import Bounds
from .rootfs import JOB_DIRECTORY

_STACKS_BYTES = 256 << 20
# Limits that all jobs have in common; they inherit them from the zygote.
_COMMON_LIMITS = {
    linux.RLIMIT_CORE: 0,
    linux.RLIMIT_MEMLOCK: 0,
    linux.RLIMIT_MSGQUEUE: 0,
    linux.RLIMIT_SIGPENDING: 1024,
}


class Confinement(NamedTuple):
    """What a zygote prepares once for all of its jobs."""

    tier: str
    identity: tuple[int, int]  # user and group of the jobs, outside of their user namespace
    filter: bytes = b""  # the seccomp program
    housekeeping_filter: bytes = b""  # for the housekeeping roles, which change the modes of files
    ruleset: int = -1  # descriptor of the Landlock ruleset; closed in the job
    workdir: str = ""  # tiers B and C: the jobs' directory
    # Tiers B and C as root, where the jobs' user may not search the directories above the interpreter (a home of mode
    # 700): jobs keep the capability to read and no other. In tier B Landlock still limits what they read.
    hidden_library: bool = False
    processes_beside: int = 0  # other processes of the same user, which RLIMIT_NPROC counts too
    baseline_bytes: int = 0  # memory of the zygote itself


def bequeathing() -> list[linux.SystemCall]:
    """The calls that a zygote makes for itself and its jobs inherit, which saves each job the time of making them."""
    limits = [linux.limit(what, amount) for what, amount in _COMMON_LIMITS.items()]
    return [*limits, linux.set_no_new_privileges(), linux.umask(0o077), SEAL]


def confining(confinement: Confinement, bounds: Bounds, housekeeping: bool) -> list[linux.SystemCall]:
    """The calls that turn a process into a job. If one fails, nothing untrusted may run in that process."""
    # Otherwise a signal to its process group would reach the zygote, across the namespace.
    calls = [linux.own_process_group()]
    kept = linux.CAP_DAC_READ_SEARCH if confinement.hidden_library else 0
    directory = JOB_DIRECTORY
    if confinement.tier != "A":
        directory = confinement.workdir
        if os.geteuid() == 0 and confinement.identity[0] != 0:
            if kept:
                calls.append(linux.keep_capabilities())
            calls += linux.become(*confinement.identity)
            calls.append(linux.drop_capabilities(kept))  # makes the kept capability effective again
        calls.append(linux.chmod(directory, 0o700))  # the previous job may have removed all permissions
    calls.append(linux.chdir(directory))
    calls += [linux.limit(what, amount) for what, amount in _limits(bounds, confinement).items()]
    calls.append(linux.die_with_parent())  # after the change of user, which clears it
    if confinement.tier == "C":
        return calls
    if confinement.ruleset >= 0:
        calls += [linux.landlock_restrict(confinement.ruleset), linux.close(confinement.ruleset)]
    calls.append(linux.drop_capabilities(kept))
    if confinement.tier != "A":
        calls.append(SEAL)  # again, because a change of user undoes it
    program = confinement.housekeeping_filter if housekeeping else confinement.filter
    return [*calls, linux.filter_system_calls(program)]


SEAL = linux.set_dumpable(False)


def _limits(bounds: Bounds, confinement: Confinement) -> dict[int, int]:
    """Limits of each process. The watchdog and the tmpfs limit the whole tree.

    RLIMIT_DATA limits the private memory of a process and gives a proper MemoryError. It counts the stacks of threads
    in full, which are large and hardly used. RLIMIT_AS is generous because the C library reserves address space for
    threads that it never uses.
    """
    data_bytes = confinement.baseline_bytes + bounds.memory_bytes
    return {
        linux.RLIMIT_CPU: bounds.cpu_seconds,
        linux.RLIMIT_NPROC: bounds.processes + confinement.processes_beside,
        linux.RLIMIT_NOFILE: bounds.files,
        linux.RLIMIT_FSIZE: bounds.file_bytes,
        linux.RLIMIT_DATA: data_bytes + _STACKS_BYTES,
        linux.RLIMIT_AS: data_bytes + bounds.memory_bytes + (2 << 30),
        linux.RLIMIT_STACK: min(bounds.memory_bytes, 256 << 20),
    }
