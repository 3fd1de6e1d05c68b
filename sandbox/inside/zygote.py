"""The process that forks jobs. It knows no tests, no expected values and no secrets; it only passes descriptors on.

It is started as `python -I -S` with an almost empty environment and has one thread. It loads modules that programs
commonly use, moves into its own namespaces, and then handles two kinds of events until its control socket closes or its
parent dies:

    an order              fork a job as ordered, report it, and keep another one of that order ready
    the end of a job      report its wait status and hand over the job that was kept ready; in tier B sweep first

Messages are datagrams on a SOCK_SEQPACKET socket. An order is JSON: [role, [bounds], whether to keep a job ready]. A
reply is `NEWS`: a job that ended, a job that was started, or both. After each fork this process also copies the pages
that it touches, so it does little between forks.
"""

import functools
import gc
import importlib
import json
import os
import select
import signal
import sys
from _socket import SCM_RIGHTS, SOL_SOCKET, sethostname, socket, socketpair
from collections.abc import Callable
from typing import Any, NamedTuple

from . import landlock, linux, seccomp, values
from .bounds import DESCRIPTORS, NEWS, Bounds
from .confine import Confinement, bequeathing, confining
from .interpreter import dress_interpreter, open_streams
from .job import CHANNEL, HOUSEKEEPING, JOB_ROLES, Role, run_job, warm_up
from .rootfs import BOX, JOB_DIRECTORY, JobDirectory, enter_private_root
from .sweep import sweep

_MESSAGE_BYTES = 1 << 16
# The numbers of this process' permanent descriptors, above those that come and go.
_CONTROL, _PARENT, _RULESET = 16, 17, CHANNEL + 1
# The only namespace that each job has of its own. Jobs share the others with this process: no system call that they may
# make changes anything in those, and making them takes time, a network namespace as much as a whole job.
_PROCESSES = linux.CLONE_NEWPID
_BROKEN = 70  # the exit code of a job that could not be confined
JOB_USER = 1000  # the user inside the jobs' namespace; not 0, so that starting a program restores no capabilities


class _Order(NamedTuple):
    """What the jobs of one order have in common."""

    role: Role
    bounds: Bounds
    keep_ready: bool
    calls: list[linux.SystemCall]  # the calls that confine them


_RunningJob = tuple[_Order, int, int, socket]  # the order, pid, pidfd, and the parent's end of the channel


class Zygote:
    """The event loop and the running jobs."""

    def __init__(self, control: socket, parent: int, confinement: Confinement, roles: dict[str, Role]) -> None:
        self.control, self.parent, self.confinement, self.roles = control, parent, confinement, roles
        self.jobs: dict[int, _RunningJob] = {}  # by pidfd
        self.ready: _RunningJob | None = None  # forked ahead and not handed over yet
        self.latest: _RunningJob | None = None  # the job that was handed over last
        self.directory = JobDirectory() if confinement.tier == "A" else None
        self.orders = 0  # number of orders; jobs of earlier ones may have a directory that is no longer mounted
        self.tidy = True  # whether the latest job left its directory empty; then the next one probably will
        self.poll = select.poll()
        self.prepare = functools.lru_cache(64)(self._prepare)

    def serve(self) -> None:
        for descriptor in (self.control.fileno(), self.parent):
            self.poll.register(descriptor, select.POLLIN)
        while True:
            descriptor = self.poll.poll()[0][0]  # one event at a time: handling it may reuse the numbers of descriptors
            if descriptor == self.parent:
                return
            if descriptor != self.control.fileno():
                self._finish(descriptor)
                continue
            order = self.control.recv(_MESSAGE_BYTES)
            if not order:
                return
            self._fulfil(order)

    def _fulfil(self, order: bytes) -> None:
        self.orders += 1
        self._drop_ready()  # it belongs to another order; otherwise the parent would have it by now
        prepared = self.prepare(order)
        if self.directory is not None and (self.jobs or not self.directory.is_fresh(prepared.bounds)):
            self.directory.renew(prepared.bounds)
        job = self._fork(prepared)
        if job is None:
            raise BlockingIOError("no further process can be started on this machine")
        self._hand_over(job, 0, 0)
        if prepared.keep_ready and self.tidy:
            self.ready = self._fork(prepared)

    def _finish(self, pidfd: int) -> None:
        job = self.jobs[pidfd]
        order, pid, _, _ = job
        status = self._forget(job)
        if job is self.ready:  # the parent does not know it. A replacement might fail as well, and so on for ever
            self.ready = None
            return
        if self.directory is None:
            if not self.jobs:
                sweep(*self.confinement.identity)
        elif job is self.latest and order.keep_ready and status != _BROKEN << 8:
            self.tidy = self.directory.is_fresh(order.bounds)
            following = (self.ready or self._fork(order)) if self.tidy else None
            if following is not None:
                self._hand_over(following, pid, status)
                self.ready = self._fork(order)
                return
        self.control.send(NEWS.pack(pid, status, 0, 0))
        if not self.tidy:
            self._drop_ready()  # it uses the same directory

    def _drop_ready(self) -> None:
        if self.ready is not None:
            os.kill(self.ready[1], signal.SIGKILL)
            self._forget(self.ready)
            self.ready = None

    def _fork(self, order: _Order) -> _RunningJob | None:
        """Fork a job, which confines itself by the prepared calls of `order`. None: no process can be started."""
        ours, theirs = socketpair()
        try:
            pid, pidfd = linux.clone(_PROCESSES if self.confinement.tier == "A" else 0)
        except OSError:
            ours.close()
            theirs.close()
            return None
        if pid == 0:
            try:
                run_job(order.role, order.calls, theirs.fileno(), max(CHANNEL, self.confinement.ruleset))
            finally:
                os._exit(_BROKEN)  # whatever happens, this process must not become a second zygote
        theirs.close()
        self.poll.register(pidfd, select.POLLIN)
        job = self.jobs[pidfd] = (order, pid, pidfd, ours)
        return job

    def _prepare(self, order: bytes) -> _Order:
        name, amounts, keep_ready = json.loads(order)
        bounds = Bounds(*amounts)
        return _Order(self.roles[name], bounds, keep_ready, confining(self.confinement, bounds, name in HOUSEKEEPING))

    def _hand_over(self, job: _RunningJob, ended: int, status: int) -> None:
        _, pid, pidfd, channel = job
        descriptors = DESCRIPTORS.pack(channel.fileno(), pidfd)
        self.control.sendmsg([NEWS.pack(ended, status, self.orders, pid)], [(SOL_SOCKET, SCM_RIGHTS, descriptors)])
        channel.close()
        self.latest = job

    def _forget(self, job: _RunningJob) -> int:
        """Reap a job and return its wait status."""
        _, pid, pidfd, channel = job
        del self.jobs[pidfd]
        self.poll.unregister(pidfd)
        os.close(pidfd)
        channel.close()
        return os.waitpid(pid, 0)[1]

    def end(self) -> None:
        """Kill all jobs, including those that switched off dying with this process."""
        if self.confinement.tier != "A":
            sweep(*self.confinement.identity)
        for _, pid, _, _ in self.jobs.values():
            os.kill(pid, signal.SIGKILL)


def _move(descriptor: int, place: int) -> int:
    if descriptor != place:
        os.dup2(descriptor, place, False)
        os.close(descriptor)
    return place


def _isolate(settings: dict[str, Any]) -> Confinement:
    """Move this process into the namespaces of its jobs and return how they are to be confined."""
    tier = settings["tier"]
    user, group = os.geteuid(), os.getegid()
    identity = _identity(settings["user"]) if user == 0 else (user, group)
    if tier != "A":
        linux.make(linux.become_subreaper())
        os.chown(settings["workdir"], *identity)
        private = identity != (user, group)  # then the jobs own no other files, and the kernel protects those
        hidden = user == 0 and private and not _readable_for(identity, [settings["workdir"], *settings["read"]])
        confinement = Confinement(tier, identity, workdir=settings["workdir"], hidden_library=hidden)
        if tier == "C":
            return confinement
        masters = os.getpid(), os.getppid()
        program = seccomp.build_filter(own_processes=False, own_files=private, masters=masters)
        cleaners = seccomp.build_filter(own_processes=False, own_files=True)
        ruleset = _move(landlock.make_ruleset(settings["read"], settings["devices"], settings["workdir"]), _RULESET)
        return confinement._replace(filter=program, housekeeping_filter=cleaners, ruleset=ruleset)
    if user == 0:  # the visible paths may be in directories that are closed to the jobs' user
        linux.make(linux.unshare(linux.CLONE_NEWNS))
        proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)  # opened before it becomes invisible
        enter_private_root([*settings["read"], *settings["devices"]])
        linux.perform(linux.become(*identity))
        linux.make(linux.set_dumpable(True))  # otherwise its files in /proc belong to root
        _enter_user_namespace(proc, identity)
    else:
        proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
        _enter_user_namespace(proc, identity)
        enter_private_root([*settings["read"], *settings["devices"]])
    os.close(proc)
    sethostname("sandbox")
    confinement = Confinement(tier, identity, seccomp.build_closing_filter())
    if linux.landlock_version():
        ruleset = _move(landlock.make_ruleset(["/"], ["/dev"], BOX), _RULESET)
        confinement = confinement._replace(ruleset=ruleset)
    # Jobs inherit the long filter, because installing it means waiting until the kernel has translated it.
    program = seccomp.build_filter(own_processes=True, own_files=True, may_confine=True)
    linux.perform([linux.set_no_new_privileges(), linux.filter_system_calls(program)])
    return confinement


def _enter_user_namespace(proc: int, identity: tuple[int, int]) -> None:
    """Enter new namespaces of all kinds that jobs share, in which this process may change its mounts."""
    linux.make(linux.unshare(linux.ALL_NAMESPACES & ~_PROCESSES))
    user, group = (f"{JOB_USER} {outer} 1" for outer in identity)
    for name, text in (("setgroups", "deny"), ("gid_map", group), ("uid_map", user)):
        with open(os.open(f"self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc), "w") as file:
            file.write(text)


def _identity(wanted: int) -> tuple[int, int]:
    """The user that jobs of a root zygote become: one that nobody else has, if this machine supports its number."""
    for user in (wanted, 65534):
        if _succeeds(functools.partial(linux.perform, linux.become(user, user))):
            return user, user
    return 0, 0  # root without the right to change its user; the capabilities are dropped nevertheless


def _readable_for(identity: tuple[int, int], paths: list[str]) -> bool:
    def stat_all() -> None:
        linux.perform(linux.become(*identity))
        for path in paths:
            os.stat(path)

    return _succeeds(stat_all)


def _succeeds(action: Callable[[], None]) -> bool:
    """Whether `action` raises no OSError when run in a child process."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def _occupied_bytes() -> int:
    """The size of this process' data, as RLIMIT_DATA counts it."""
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmData"].split()[0]) * 1024


def main(control_descriptor: int, parent_pid: int) -> None:
    for descriptor in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    control = socket(fileno=_move(control_descriptor, _CONTROL))  # first, because it may have any number
    parent = _move(os.pidfd_open(parent_pid), _PARENT)
    for descriptor in range(3, 6):
        os.dup2(0, descriptor)
    data = control.recv(_MESSAGE_BYTES)
    if not data:
        return
    settings = json.loads(data)
    try:
        sys.path[:] = settings["path"]
        sys.executable = settings["executable"]
        os.environ.update(settings["environment"])
        for name in settings["preload"]:
            importlib.import_module(name)
        if settings["numpy"]:
            values.build_numpy_values()
        roles = dict(JOB_ROLES)
        if settings["tester"]:
            from .tester import serve

            roles["tester"] = serve
        open_streams()
        # Descriptors in transit through sockets count per user, those of jobs too; this process must always send two.
        linux.make(linux.limit(linux.RLIMIT_NOFILE, sys.maxsize))
        baseline = _occupied_bytes()
        confinement = _isolate(settings)
        confinement = confinement._replace(baseline_bytes=baseline, processes_beside=settings["processes_beside"])
        linux.perform(bequeathing())
        dress_interpreter(confinement.workdir or JOB_DIRECTORY)
        warm_up()
    except (OSError, ImportError) as error:
        control.send(json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode())
        return
    gc.disable()  # each job enables it again
    gc.collect()
    gc.freeze()
    linux.give_back_memory()
    control.send(b'{"ready": true}')
    zygote = Zygote(control, parent, confinement, roles)
    try:
        zygote.serve()  # a killed parent can show up as various errors
    finally:
        zygote.end()
