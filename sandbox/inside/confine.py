"""How a freshly forked process becomes a job: its identity, its directory, its limits, and what it may ask the kernel.

Everything happens before a byte of untrusted code is seen, and nothing of it can be undone by the job.
"""

import os
import resource
import sys
from typing import NamedTuple

from . import linux
from .bounds import Bounds
from .rootfs import JOB_DIRECTORY

_STACKS_BYTES = 256 << 20
_LIMITED = (
    resource.RLIMIT_CORE,
    resource.RLIMIT_CPU,
    resource.RLIMIT_NPROC,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_DATA,
    resource.RLIMIT_AS,
    resource.RLIMIT_STACK,
    resource.RLIMIT_MEMLOCK,
    resource.RLIMIT_MSGQUEUE,
    resource.RLIMIT_SIGPENDING,
)


class Confinement(NamedTuple):
    """What a zygote prepared once for all of its jobs."""

    tier: str
    identity: tuple[int, int]  # user and group of the jobs, as the machine sees them
    filter: bytes = b""  # the seccomp program
    housekeeping_filter: bytes = b""  # for the roles that clean up, which change modes of files
    ruleset: int = -1  # Landlock's; closed in the job
    scratch: str = ""  # tier B and C: the jobs' directory
    # Tiers B and C as root, where the jobs' user may not search the directories above the interpreter (a home of mode
    # 700): jobs keep the capability to read, in tier B what Landlock grants, and no other one.
    hidden_library: bool = False
    processes_beside: int = 0  # of the same user, outside: RLIMIT_NPROC counts them too
    baseline_bytes: int = 0  # what the zygote itself occupies
    hard_limits: tuple[int, ...] = ()  # that the zygote has itself, in the order of `_LIMITED`


def hard_limits() -> tuple[int, ...]:
    """This process' own bounds, which no limit of a job can be above."""
    hard = [resource.getrlimit(what)[1] for what in _LIMITED]
    return tuple(sys.maxsize if limit == resource.RLIM_INFINITY else limit for limit in hard)


def confining(confinement: Confinement, bounds: Bounds, housekeeping: bool) -> list[linux.Call]:
    """The calls that make a process a job. Where one fails, nothing untrusted may run in that process.

    In tier A the zygote made `SEAL` for all of them. A change of user undoes it: it is made again in the other tiers.
    """
    # Or a signal to its process group would reach the zygote, through the namespace.
    calls = [linux.die_with_parent(), linux.own_process_group()]
    kept = linux.CAP_DAC_READ_SEARCH if confinement.hidden_library else 0
    directory = JOB_DIRECTORY
    if confinement.tier != "A":
        directory = confinement.scratch
        if os.geteuid() == 0 and confinement.identity[0] != 0:
            if kept:
                calls.append(linux.keep_capabilities())
            calls += linux.become(*confinement.identity)
            calls.append(linux.drop_capabilities(kept))  # makes the kept one effective again
        calls.append(linux.chmod(directory, 0o700))  # the job before may have shut it: a directory's owner can
    calls += [linux.chdir(directory), linux.umask(0o077)]
    for what, amount, most in zip(_LIMITED, _amounts(bounds, confinement), confinement.hard_limits, strict=True):
        calls.append(linux.limit(what, min(amount, most)))
    if confinement.tier == "C":
        return calls
    calls.append(linux.set_no_new_privileges())
    if confinement.ruleset >= 0:
        calls += [linux.landlock_restrict(confinement.ruleset), linux.close(confinement.ruleset)]
    calls += [linux.drop_capabilities(kept), linux.die_with_parent()]  # a change of user clears the latter
    if confinement.tier != "A":
        calls.append(SEAL)
    program = confinement.housekeeping_filter if housekeeping else confinement.filter
    return [*calls, linux.filter_system_calls(program)]


SEAL = linux.set_dumpable(False)


def _amounts(bounds: Bounds, confinement: Confinement) -> tuple[int, ...]:
    """Limits of each process, in the order of `_LIMITED`. The whole tree is bounded by the watchdog and the tmpfs.

    RLIMIT_DATA bounds what a process writes for itself and gives an honest MemoryError; it counts the stacks of threads
    in full, which programs ask for generously and hardly use. RLIMIT_AS is wide, because the C library reserves
    address space for threads that it never uses.
    """
    data_bytes = confinement.baseline_bytes + bounds.memory_bytes
    return (
        0,
        bounds.cpu_seconds,
        bounds.processes + confinement.processes_beside,
        bounds.files,
        bounds.file_bytes,
        data_bytes + _STACKS_BYTES,
        data_bytes + bounds.memory_bytes + (2 << 30),
        min(bounds.memory_bytes, 256 << 20),
        0,
        0,
        1024,
    )
