"""How a freshly forked process becomes a job: its identity, its directory, its limits, and what it may ask the kernel.

Everything happens before a byte of untrusted code is seen, and nothing of it can be undone by the job.
"""

import os
from typing import NamedTuple

from . import linux
from .bounds import Bounds
from .rootfs import JOB_DIRECTORY

_STACKS_BYTES = 256 << 20
# Limits that all jobs have in common: the zygote takes them on itself.
_COMMON_LIMITS = {
    linux.RLIMIT_CORE: 0,
    linux.RLIMIT_MEMLOCK: 0,
    linux.RLIMIT_MSGQUEUE: 0,
    linux.RLIMIT_SIGPENDING: 1024,
}


class Confinement(NamedTuple):
    """What a zygote prepared once for all of its jobs."""

    tier: str
    identity: tuple[int, int]  # user and group of the jobs, as the machine sees them
    filter: bytes = b""  # the seccomp program
    housekeeping_filter: bytes = b""  # for the roles that clean up, which change modes of files
    ruleset: int = -1  # Landlock's; closed in the job
    workdir: str = ""  # tier B and C: the jobs' directory
    # Tiers B and C as root, where the jobs' user may not search the directories above the interpreter (a home of mode
    # 700): jobs keep the capability to read, in tier B what Landlock grants, and no other one.
    hidden_library: bool = False
    processes_beside: int = 0  # of the same user, outside: RLIMIT_NPROC counts them too
    baseline_bytes: int = 0  # what the zygote itself occupies


def bequeathing() -> list[linux.SystemCall]:
    """What a zygote takes on itself so that all of its jobs have it: each call less is time that each job saves."""
    limits = [linux.limit(what, amount) for what, amount in _COMMON_LIMITS.items()]
    return [*limits, linux.set_no_new_privileges(), linux.umask(0o077), SEAL]


def confining(confinement: Confinement, bounds: Bounds, housekeeping: bool) -> list[linux.SystemCall]:
    """The calls that make a process a job. Where one fails, nothing untrusted may run in that process."""
    # Or a signal to its process group would reach the zygote, through the namespace.
    calls = [linux.own_process_group()]
    kept = linux.CAP_DAC_READ_SEARCH if confinement.hidden_library else 0
    directory = JOB_DIRECTORY
    if confinement.tier != "A":
        directory = confinement.workdir
        if os.geteuid() == 0 and confinement.identity[0] != 0:
            if kept:
                calls.append(linux.keep_capabilities())
            calls += linux.become(*confinement.identity)
            calls.append(linux.drop_capabilities(kept))  # makes the kept one effective again
        calls.append(linux.chmod(directory, 0o700))  # the job before may have shut it: a directory's owner can
    calls.append(linux.chdir(directory))
    calls += [linux.limit(what, amount) for what, amount in _limits(bounds, confinement).items()]
    calls.append(linux.die_with_parent())  # not earlier: a change of user clears it
    if confinement.tier == "C":
        return calls
    if confinement.ruleset >= 0:
        calls += [linux.landlock_restrict(confinement.ruleset), linux.close(confinement.ruleset)]
    calls.append(linux.drop_capabilities(kept))
    if confinement.tier != "A":
        calls.append(SEAL)  # again: a change of user undoes it
    program = confinement.housekeeping_filter if housekeeping else confinement.filter
    return [*calls, linux.filter_system_calls(program)]


SEAL = linux.set_dumpable(False)


def _limits(bounds: Bounds, confinement: Confinement) -> dict[int, int]:
    """Limits of each process. The whole tree is bounded by the watchdog and the tmpfs.

    RLIMIT_DATA bounds what a process writes for itself and gives an honest MemoryError; it counts the stacks of threads
    in full, which programs ask for generously and hardly use. RLIMIT_AS is wide, because the C library reserves
    address space for threads that it never uses.
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
