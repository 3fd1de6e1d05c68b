"""The parent's end of one zygote: starts the zygote, starts jobs in it, and makes sure that they end.

Left out: what is sent over a job's channel (grading.py, testing.py) and how many zygotes there are (zygote_pool.py).
"""

import array
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
from dataclasses import dataclass

from . import layout
from .errors import SandboxError
from .inside.bounds import DESCRIPTORS, NEWS, Bounds
from .watchdog import Tree, buffer_bytes, measure, private_bytes, release

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
# Marks a zygote whose jobs run tests: in every tier they have another directory than the jobs that run programs.
TESTER = "tester"
RUNNER = "runner"  # the role of a job that runs a program
_ZYGOTE_AND_READY = 2  # processes that RLIMIT_NPROC counts in tier A besides those of a job
_START_SECONDS = 60.0
_ANSWER_SECONDS = 20.0  # forking and reaping a job take milliseconds; this is for a loaded machine
_ROOM = socket.CMSG_SPACE(2 * DESCRIPTORS.size)
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from inside.zygote import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]))"
)


@dataclass
class Job:
    """A started job. `channel` is the parent's end of the socket that the job has as descriptor 3."""

    pid: int
    pidfd: int
    channel: int
    status: int | None = None  # the wait status, once the job has ended
    killed: str = ""  # why the parent killed it

    def alive(self) -> bool:
        try:
            signal.pidfd_send_signal(self.pidfd, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self, why: str) -> None:
        """Kill the job's first process, which ends its whole process namespace."""
        self.killed = self.killed or why
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def send_descriptor(self, descriptor: int) -> None:
        """Send a descriptor to a tester, which expects it before its first request."""
        try:
            with socket.socket(fileno=os.dup(self.channel)) as sender:
                socket.send_fds(sender, [b"."], [descriptor])
        except (BrokenPipeError, ConnectionResetError):  # the job has ended, which the conversation will report
            pass
        except OSError as error:
            raise SandboxError(f"the program could not be connected to its tester: {error}") from error

    def close_channel(self) -> None:
        if self.channel >= 0:
            os.close(self.channel)
            self.channel = -1

    def close(self) -> None:
        self.close_channel()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


class ZygoteClient:
    """A running zygote process, seen from the parent. Not thread-safe: one worker uses it, in one thread at a time."""

    def __init__(self, tier: str, packages: tuple[str, ...] = (), workdir: str = "") -> None:
        self.tier = tier
        self.workdir = workdir  # the directory of its jobs in tiers B and C; empty in tier A
        self.jobs_started = 0
        self.healthy = True
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise SandboxError(f"the sandbox's helper process cannot be started: {error}") from error
        with theirs:
            options = ["-I", "-S", "-B", "-X", "utf8", "-c", _BOOT]
            command = [layout.executable(), *options, _PACKAGE, str(theirs.fileno()), str(os.getpid())]
            try:
                self._process = subprocess.Popen(
                    command,
                    env={"LD_BIND_NOW": "1"},  # or each job would have to look up the C functions that it calls
                    cwd="/",
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C in a terminal reaches the parent only
                )
            except OSError as error:
                ours.close()
                raise SandboxError(f"the sandbox's helper process cannot be started: {error}") from error
        self._control = ours
        self._jobs: dict[int, Job] = {}  # the jobs that have not ended, by pid
        self._ordered: tuple[str, Bounds] | None = None  # the latest order
        self._orders = 0
        self._ready: list[Job] = []  # received for the latest order and not yet used
        self._outdated: list[Job] = []  # never to be used
        ours.settimeout(_START_SECONDS)
        tester = TESTER in packages
        packages = tuple(package for package in packages if package != TESTER)
        package_directories = [os.path.dirname(layout.package_paths(package)[0]) for package in packages]
        settings = {
            "tier": tier,
            "read": layout.readable_paths(packages),
            "devices": layout.DEVICES,
            "path": [*layout.standard_library(), *package_directories],
            "executable": layout.executable(),
            "environment": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
            "processes_beside": _processes_of_this_user() if tier != "A" else _ZYGOTE_AND_READY,
            "preload": [*layout.PRELOAD, *packages],
            "numpy": "numpy" in packages,
            "tester": tester,
            "user": 0x70000000 + self._process.pid,
            "workdir": workdir,
        }
        try:
            ours.sendall(json.dumps(settings).encode())
            answer = json.loads(ours.recv(1 << 16) or b'{"failed": "it ended at once"}')
        except (OSError, ValueError) as error:
            answer = {"failed": f"no answer: {error}"}
        if "ready" not in answer:
            self.close()
            raise SandboxError(f"the sandbox's helper process cannot work in tier {tier}: {answer.get('failed')}")
        ours.settimeout(None)
        self._poll = select.poll()
        self._poll.register(ours, select.POLLIN)
        self._baseline_bytes = private_bytes(self._process.pid)
        self._place: int | None = None
        self._was_settled = False

    def start(self, role: str, bounds: Bounds) -> Job:
        """A job that runs or is about to.

        In tier A it is forked and confined ahead of time, while the previous job runs. It waits in its own process
        namespace, where no other job can reach it, and has received nothing yet.
        """
        if self._ordered != (role, bounds) or not self._ready or not self._ready[-1].alive():
            self._order(role, bounds)
            while not self._ready:
                self._await()
        job = self._ready.pop()
        while self._outdated:
            other = self._outdated.pop()
            other.kill("over")
            self.wait(other)
            other.close()
        self.jobs_started += 1
        return job

    def _order(self, role: str, bounds: Bounds) -> None:
        self._outdated += self._ready
        self._ready = []
        self._ordered = (role, bounds)
        self._orders += 1
        try:
            self._control.sendall(json.dumps([role, bounds, self.tier == "A"]).encode())
        except OSError as error:
            self.healthy = False
            raise SandboxError(f"the sandbox's helper process has ended: {error}") from error

    def fileno(self) -> int:
        """For polling: readable when there is a message for `hear`."""
        return self._control.fileno()

    def _await(self) -> None:
        """Receive the next message. Raises SandboxError if none comes in time."""
        if not self._poll.poll(_ANSWER_SECONDS * 1000):
            self.healthy = False
            raise SandboxError("the sandbox's helper process does not answer")
        self.hear()

    def hear(self) -> None:
        """Receive one message: a job was started, a job ended, or both. Blocks."""
        try:
            data, ancillary, _, _ = self._control.recvmsg(NEWS.size, _ROOM, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            data, ancillary = b"", []
        if not data:
            self.healthy = False
            raise SandboxError("the sandbox's helper process has ended")
        ended, status, order, pid = NEWS.unpack(data)
        if ended:
            self._jobs.pop(ended).status = status
            # A job may only use a directory that the zygote checked after the previous job had ended.
            self._outdated += self._ready
            self._ready = []
        if pid:
            packed = ancillary[0][2] if ancillary else b""
            if len(packed) < DESCRIPTORS.size:
                for descriptor in array.array("i", packed):
                    os.close(descriptor)
                self.healthy = False
                raise SandboxError("this process has too many open files to start a job")
            channel, pidfd = DESCRIPTORS.unpack(packed)
            job = self._jobs[pid] = Job(pid, pidfd, channel)
            # A job of an earlier order has a directory that is no longer mounted.
            (self._ready if order == self._orders else self._outdated).append(job)

    def wait(self, job: Job) -> None:
        """Wait until a killed job has ended."""
        while job.status is None:
            self._await()

    def settle(self, place: int | None) -> None:
        """Pin the zygote, and so new jobs, to processor number `place` of those that this process may use.

        Short jobs then stay close to the memory that they share with the zygote; the kernel would move half of them.
        None removes the pin, which is better while a processor is idle. Tier A only: in the other tiers jobs may belong
        to a user whose processes this one cannot move back.
        """
        if place == self._place or self.tier != "A":
            return
        self._place = place
        self._was_settled = True
        usable = sorted(os.sched_getaffinity(0))
        with contextlib.suppress(OSError):
            os.sched_setaffinity(self._process.pid, usable if place is None else {usable[place % len(usable)]})

    def unsettle(self, job: Job) -> None:
        """Let a job that turns out to be long run on every processor, with all of its processes."""
        if self._was_settled:  # the job may have been forked ahead, while the zygote was pinned
            release(job.pid)

    def measure(self, job: Job) -> Tree:
        """Measure the job's process tree; without process namespaces, the processes of all jobs of this zygote."""
        if self.tier == "A":
            tree = measure(job.pid, self._baseline_bytes, include_root=True)
            return Tree(tree.processes, tree.memory_bytes + buffer_bytes(job.pid))
        return measure(self._process.pid, self._baseline_bytes, include_root=False)

    def close(self) -> None:
        for job in (*self._ready, *self._outdated):
            job.close()
        self._control.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _processes_of_this_user() -> int:
    """Processes and threads that RLIMIT_NPROC counts besides a job's own, with some room for new ones.

    Zero if this process is root, because the jobs then run as another user.
    """
    if os.geteuid() == 0:
        return 0
    threads = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == os.geteuid():
                threads += len(os.listdir(f"/proc/{pid}/task"))
    return threads + 256
