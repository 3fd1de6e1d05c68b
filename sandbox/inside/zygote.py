"""The process that forks jobs. It knows no tests, no expected value and no secret; it relays descriptors.

Started as `python -I -S` with an empty environment. It has one thread, loads modules that programs commonly use, moves
into its own namespaces, and then answers two kinds of events until its control socket closes or its parent dies:

    a message with descriptors    fork a job, answer {"job", "pid"} with the job's pidfd
    the end of a job              answer {"job", "status"}, the wait status; in tier B after sweeping up its descendants

Control messages are JSON datagrams on a SOCK_SEQPACKET socket.
"""

import array
import functools
import gc
import importlib
import json
import os
import select
import sys
from _socket import CMSG_SPACE, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOL_SOCKET, sethostname, socket
from collections.abc import Callable
from typing import Any

from . import landlock, linux, seccomp, values
from .bounds import Bounds
from .confine import Confinement, become, confine, hard_limits
from .job import CHANNEL, HOUSEKEEPING, ROLES, dress_interpreter, run_job, warm_up
from .rootfs import BOX, JOB_DIRECTORY, enter_private_root
from .sweep import sweep

Role = Callable[[int], None]

MAX_DESCRIPTORS = 8
# This process' own descriptors: received ones land below, and a job's 0 to 4 are free to be set.
_CONTROL, _PARENT, _PROC, _RULESET = 16, 17, 18, 19
_EVENTS = select.POLLIN


class Zygote:
    """The loop, and the jobs that are running."""

    def __init__(self, control: socket, parent: int, confinement: Confinement, roles: dict[str, Role]) -> None:
        self.control, self.parent, self.confinement, self.roles = control, parent, confinement, roles
        self.jobs: dict[int, tuple[int, int]] = {}  # pidfd -> (job number, pid)
        self.kept = sorted(fd for fd in (confinement.proc, confinement.ruleset) if fd >= 0)  # until a job is confined

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self.control, _EVENTS)
        poll.register(self.parent, _EVENTS)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self.parent:
                    return
                if descriptor == self.control.fileno():
                    message, received = _receive(self.control)
                    if message is None:
                        return
                    pidfd = self._start(message, received)
                    poll.register(pidfd, _EVENTS)
                else:
                    poll.unregister(descriptor)
                    self._finish(descriptor)

    def _start(self, message: dict[str, Any], received: list[int]) -> int:
        tier = self.confinement.tier
        flags = linux.ALL_NAMESPACES & ~linux.CLONE_NEWNET if tier == "A" else 0
        pid, pidfd = linux.clone(flags)
        if pid == 0:
            self._become_job(message, received)
        for descriptor in received:
            os.close(descriptor)
        self.jobs[pidfd] = (message["job"], pid)
        _send(self.control, {"job": message["job"], "pid": pid}, pidfd)
        return pidfd

    def _become_job(self, message: dict[str, Any], received: list[int]) -> None:
        """Never returns: whatever happens, this process must not become a second zygote."""
        try:
            for target, source in enumerate(received, CHANNEL):
                os.dup2(source, target, False)
            keep = CHANNEL + len(received)
            for kept in self.kept:  # in ascending order
                os.closerange(keep, kept)
                keep = kept + 1
            os.closerange(keep, 1 << 20)
            bounds, housekeeping = Bounds(*message["bounds"]), message["role"] in HOUSEKEEPING
            run_job(self.roles[message["role"]], lambda: confine(self.confinement, bounds, housekeeping))
        finally:
            os._exit(70)

    def _finish(self, pidfd: int) -> None:
        number, pid = self.jobs.pop(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        if self.confinement.tier != "A" and not self.jobs:
            sweep(*self.confinement.identity)
        _send(self.control, {"job": number, "status": status})


def _receive(control: socket) -> tuple[dict[str, Any] | None, list[int]]:
    space = CMSG_SPACE(MAX_DESCRIPTORS * 4)
    data, ancillary, _, _ = control.recvmsg(1 << 16, space, MSG_CMSG_CLOEXEC)
    received = array.array("i")
    for level, kind, payload in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            received.frombytes(payload[: len(payload) // 4 * 4])
    return (json.loads(data) if data else None), received.tolist()


def _send(control: socket, message: dict[str, Any], *descriptors: int) -> None:
    rights = [(SOL_SOCKET, SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    control.sendmsg([json.dumps(message).encode()], rights)


def _move(descriptor: int, place: int) -> int:
    if descriptor != place:
        os.dup2(descriptor, place, False)
        os.close(descriptor)
    return place


def _isolate(settings: dict[str, Any]) -> Confinement:
    """Move this process where its jobs shall live, and say how they are to be confined."""
    tier = settings["tier"]
    user, group = os.geteuid(), os.getegid()
    identity = _identity(settings["user"]) if user == 0 else (user, group)
    if tier != "A":
        linux.become_subreaper()
        os.chown(settings["scratch"], *identity)
        private = identity != (user, group)  # then other files belong to somebody else, and the kernel guards them
        hidden = user == 0 and private and not _readable_for(identity, [settings["scratch"], *settings["read"]])
        confinement = Confinement(tier, identity, scratch=settings["scratch"], hidden_library=hidden)
        if tier == "C":
            return confinement
        program = linux.SeccompProgram(seccomp.build_filter(own_processes=False, own_files=private))
        cleaners = linux.SeccompProgram(seccomp.build_filter(own_processes=False, own_files=True))
        ruleset = _move(landlock.make_ruleset(settings["read"], settings["devices"], settings["scratch"]), _RULESET)
        return confinement._replace(filter=program, housekeeping_filter=cleaners, ruleset=ruleset)
    namespaces = linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    if user == 0:
        linux.unshare(namespaces)
    else:
        linux.unshare(namespaces | linux.CLONE_NEWUSER)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"{group} {group} 1")
        _write("/proc/self/uid_map", f"{user} {user} 1")
    sethostname("sandbox")
    proc = _move(os.open("/proc", os.O_PATH | os.O_CLOEXEC), _PROC)
    enter_private_root([*settings["read"], *settings["devices"]])
    if user == 0:
        become(*identity)
    program = linux.SeccompProgram(seccomp.build_filter(own_processes=True, own_files=True))
    confinement = Confinement(tier, identity, program, proc=proc)
    if not linux.landlock_version():
        return confinement
    return confinement._replace(ruleset=_move(landlock.make_ruleset(["/"], ["/dev"], BOX), _RULESET))


def _identity(wanted: int) -> tuple[int, int]:
    """The user that jobs of a root zygote become: one that nobody else has, where this machine can name it."""
    for user in (wanted, 65534):
        if _succeeds(functools.partial(become, user, user)):
            return user, user
    return 0, 0  # a root without the right to become anybody else; its capabilities are dropped all the same


def _readable_for(identity: tuple[int, int], paths: list[str]) -> bool:
    def look() -> None:
        become(*identity)
        for path in paths:
            os.stat(path)

    return _succeeds(look)


def _succeeds(action: Callable[[], None]) -> bool:
    """Whether `action` raises no OSError, tried in a child."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _occupied_bytes() -> int:
    """This process' own data, as RLIMIT_DATA counts it."""
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmData"].split()[0]) * 1024


def main(control_descriptor: int, parent_pid: int) -> None:
    for descriptor in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    control = socket(fileno=_move(control_descriptor, _CONTROL))  # first: it may have come as any number
    parent = _move(os.pidfd_open(parent_pid), _PARENT)
    for descriptor in range(3, 6):
        os.dup2(0, descriptor)
    settings, _ = _receive(control)
    if settings is None:
        return
    try:
        sys.path[:] = settings["path"]
        sys.executable = settings["executable"]
        os.environ.update(settings["environment"])
        for name in settings["preload"]:
            importlib.import_module(name)
        if settings["numpy"]:
            values.build_numpy_values()
        roles = dict(ROLES)
        if settings["tester"]:
            from .tester import serve

            roles["tester"] = serve
        baseline = _occupied_bytes()
        confinement = _isolate(settings)
        confinement = confinement._replace(
            baseline_bytes=baseline, processes_beside=settings["processes_beside"], hard_limits=hard_limits()
        )
        linux.set_dumpable(False)
        dress_interpreter(confinement.scratch or JOB_DIRECTORY)
        warm_up()
    except (OSError, ImportError) as error:
        _send(control, {"failed": f"{type(error).__name__}: {error}"})
        return
    gc.disable()  # each job switches it on again
    gc.collect()
    gc.freeze()
    linux.give_back_memory()
    _send(control, {"ready": True, "landlock": confinement.ruleset >= 0})
    Zygote(control, parent, confinement, roles).serve()
    if confinement.tier != "A":
        sweep(*confinement.identity)  # the parent is gone; nothing of a job may outlive it
