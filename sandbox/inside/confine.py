"""How a freshly forked process becomes a job: its identity, its directory, its limits, and what it may ask the kernel.

Everything happens before a byte of untrusted code is seen, and nothing of it can be undone by the job.
"""

import os
import resource
from typing import NamedTuple

from . import landlock, linux
from .bounds import Bounds
from .rootfs import JOB_DIRECTORY

_STACKS_BYTES = 256 << 20
JOB_USER = 1000  # the job's own name for its user; not 0, so that starting a program gives no capabilities back


class Confinement(NamedTuple):
    """What a zygote prepared once for all of its jobs."""

    tier: str
    identity: tuple[int, int]  # user and group of the jobs, as the machine sees them
    filter: linux.SeccompProgram | None = None
    housekeeping_filter: linux.SeccompProgram | None = None  # for the roles that clean up, which change modes of files
    ruleset: landlock.Ruleset | None = None
    proc: int = -1  # tier A: the directory /proc of the machine, from before it went out of sight; closed in the job
    scratch: str = ""  # tier B and C: the jobs' directory
    # Tier B as root, where the jobs' user may not search the directories above the interpreter (a home of mode 700):
    # jobs keep the capability to read what Landlock grants, and nothing else.
    hidden_library: bool = False
    processes_beside: int = 0  # of the same user, outside: RLIMIT_NPROC counts them too
    baseline_bytes: int = 0  # what the zygote itself occupies


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
    _limit(bounds, confinement.baseline_bytes, confinement.processes_beside)
    if confinement.tier == "C":
        return
    linux.set_no_new_privileges()
    if confinement.ruleset is not None:
        confinement.ruleset.restrict(directory)
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


def _limit(bounds: Bounds, baseline_bytes: int, processes_beside: int) -> None:
    """Per process; the memory and disk of a job's whole tree are bounded by the watchdog and by the tmpfs.

    RLIMIT_DATA bounds what a process writes for itself and gives an honest MemoryError; it counts the stacks of threads
    in full, which programs ask for generously and hardly use. RLIMIT_AS is wide, because the C library reserves
    address space for threads that it never uses.
    """
    for what, amount in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, bounds.cpu_seconds),
        (resource.RLIMIT_NPROC, bounds.processes + processes_beside),
        (resource.RLIMIT_NOFILE, bounds.files),
        (resource.RLIMIT_FSIZE, bounds.file_bytes),
        (resource.RLIMIT_DATA, baseline_bytes + bounds.memory_bytes + _STACKS_BYTES),
        (resource.RLIMIT_AS, baseline_bytes + 2 * bounds.memory_bytes + (2 << 30)),
        (resource.RLIMIT_STACK, min(bounds.memory_bytes, 256 << 20)),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_SIGPENDING, 1024),
    ):
        _, hard = resource.getrlimit(what)
        capped = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(what, (capped, capped))
