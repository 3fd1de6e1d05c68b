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
JOB_USER = 1000  # the job's own name for its user; not 0, so that starting a program gives no capabilities back


class Confinement(NamedTuple):
    """What a zygote prepared once for all of its jobs."""

    tier: str
    identity: tuple[int, int]  # user and group of the jobs, as the machine sees them
    filter: linux.SeccompProgram | None = None
    housekeeping_filter: linux.SeccompProgram | None = None  # for the roles that clean up, which change modes of files
    ruleset: int = -1  # Landlock's; closed in the job
    proc: int = -1  # tier A: the directory /proc of the machine, from before it went out of sight; closed in the job
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


def confine(confinement: Confinement, bounds: Bounds, housekeeping: bool) -> None:
    """Make this process a job. Raises OSError where a step fails; then nothing untrusted may run here."""
    linux.die_with_parent()
    kept = linux.CAP_DAC_READ_SEARCH if confinement.hidden_library else 0
    if confinement.tier == "A":
        _become_own_user(confinement.proc, confinement.identity)
        options = f"size={bounds.disk_bytes},nr_inodes={bounds.inodes},mode=700"
        linux.mount("tmpfs", JOB_DIRECTORY, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
        directory = JOB_DIRECTORY
    else:
        os.setsid()
        directory = confinement.scratch
        if os.geteuid() == 0 and confinement.identity[0] != 0:
            if kept:
                linux.keep_capabilities()
            become(*confinement.identity)
            linux.drop_capabilities(kept)  # makes the kept one effective again
        os.chmod(directory, 0o700)  # the job before this one may have shut it: a directory's owner can
    os.chdir(directory)
    os.umask(0o077)
    for what, amount, most in zip(_LIMITED, _amounts(bounds, confinement), confinement.hard_limits, strict=True):
        resource.setrlimit(what, (min(amount, most),) * 2)
    if confinement.tier == "C":
        return
    linux.set_no_new_privileges()
    if confinement.ruleset >= 0:
        linux.landlock_restrict(confinement.ruleset)
        os.close(confinement.ruleset)
    linux.drop_capabilities(kept)
    linux.set_dumpable(False)
    linux.die_with_parent()  # a change of user clears it
    program = confinement.housekeeping_filter if housekeeping else confinement.filter
    if program is not None:
        program.install()


def become(user: int, group: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


def _become_own_user(proc: int, identity: tuple[int, int]) -> None:
    linux.set_dumpable(True)  # the files below belong to root otherwise
    outer_user, outer_group = identity
    for name, text in (
        ("setgroups", "deny"),
        ("gid_map", f"{JOB_USER} {outer_group} 1"),
        ("uid_map", f"{JOB_USER} {outer_user} 1"),
    ):
        file = os.open(f"self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        os.write(file, text.encode())
        os.close(file)
    os.close(proc)


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
