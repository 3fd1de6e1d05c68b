"""Persistent worker processes that can be killed: the only way to give a check a deadline.

A thread cannot be killed and a signal does not stop big-integer C code, so slow work runs in a child process. Children
are forked from a small template process (`verifiers.template`) which has imported what they need: a killed worker is
replaced in milliseconds, and the caller, which may hold threads and a GPU, is itself never forked.

A deadline limits wall-clock time, processor time (`cpu_seconds`), or both. Processor time does not depend on what else
the machine is doing, so that a right answer is not refused because the machine is busy. Neither clock runs before a
worker is ready.

Usable from any thread; from asyncio through `asyncio.to_thread`. When the calling process dies, in whatever way, the
template notices the closed socket and kills its children before it ends.
"""

import contextlib
import functools
import math
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

JOBS_PER_WORKER = 2_000  # then the worker is replaced, and with it all caches that libraries have filled
MAX_SHARED_WORKERS = 64
STARTUP_SECONDS = 60.0
HEADER = struct.Struct("!I")
MAX_MESSAGE_BYTES = 64 * 2**20
CPUCLOCK_SCHED = 2  # of Linux: the clock of another process has the number (~pid << 3) | 2


@dataclass(frozen=True)
class Outcome:
    """The result of one job: its `value`, or how it failed and the reason in words."""

    value: object = None
    failure: Literal["", "timeout", "died", "raised", "unstarted"] = ""
    detail: str = ""
    seconds: float = 0.0


class _Lost(Exception):
    """The other end of a socket is closed."""


class _Unstarted(Exception):
    """No worker could be started; the message says why."""


def send_message(channel: socket.socket, message: object) -> None:
    """Write one length-prefixed pickle."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    channel.sendall(HEADER.pack(len(body)) + body)


def receive_message(channel: socket.socket) -> Any:
    """Read one length-prefixed pickle. Raises `EOFError` when the other side has closed."""
    (size,) = HEADER.unpack(_read(channel, HEADER.size))
    if size > MAX_MESSAGE_BYTES:
        raise EOFError(f"a message of {size} bytes: at most {MAX_MESSAGE_BYTES} can pass")
    return pickle.loads(_read(channel, size))


def _read(channel: socket.socket, size: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < size:
        chunk = channel.recv(min(size - len(chunks), 1 << 20))
        if not chunk:
            raise EOFError("the channel was closed")
        chunks += chunk
    return bytes(chunks)


@dataclass
class _Worker:
    pid: int
    channel: socket.socket
    jobs_done: int = 0
    prepared: set[str] = field(default_factory=set)  # what it has loaded, by its `repr`

    def cpu_seconds(self) -> float:
        """The processor time that this process has used so far; 0 where the system does not tell."""
        try:
            return time.clock_gettime(~self.pid << 3 | CPUCLOCK_SCHED)
        except OSError:
            return 0.0


@dataclass
class _Job:
    """One payload that a worker is busy with, and the time at which each clock started."""

    worker: _Worker
    index: int
    started: float
    cpu_started: float


class WorkerPool:
    """At most `workers` processes, started when first needed, each limited to `memory_mb` of address space.

    `preload` names modules (`module`) that the template imports and functions (`module:function`) that it calls, once
    for all its children. Use the pool as a context manager, or leave it to the garbage collector: its processes end
    with it.
    """

    def __init__(self, workers: int = 2, *, memory_mb: int | None = None, preload: tuple[str, ...] = ()) -> None:
        if workers < 1:
            raise ValueError(f"a pool needs at least one worker: got {workers}")
        self.workers = workers
        self._memory_mb = memory_mb
        self._preload = preload
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._idle: list[_Worker] = []
        self._busy = 0
        self._owner = os.getpid()
        self._template: _Template | None = None

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the template process without waiting for it, so that the first job need not wait for its imports.

        Never raises: if no worker can be started, the jobs report it.
        """
        with self._lock, contextlib.suppress(OSError):
            self._living_template()

    def close(self) -> None:
        """End all processes of this pool. A later `run` starts new ones."""
        with self._lock:
            for worker in self._idle:
                worker.channel.close()
            self._idle.clear()
            if self._template is not None:
                self._template.close()
                self._template = None

    def run(
        self,
        task: str,
        payloads: Sequence[object],
        timeout_seconds: float,
        *,
        cpu_seconds: float = math.inf,
        workers: int | None = None,
        total_seconds: float = math.inf,
        first: tuple[str, object] | None = None,
    ) -> list[Outcome]:
        """Call `task` (`module:function`) with each payload; the results are in their order.

        `first` is a task and its payload that each worker does once before its first job of this kind, such as an
        import: it has `STARTUP_SECONDS`, and no clock of a job runs meanwhile.

        A job ends `timeout_seconds` after its start, or when its process has computed for `cpu_seconds`. A job starts
        only while fewer than `workers` of the pool's processes are busy, with this call or others. No job is started
        later than `total_seconds` after the first worker was ready: the remaining ones are reported as timed out.

        Never raises because of a job: one that exceeds its deadline is killed, one that raised or crashed its process
        is reported as such, and neither affects the other jobs. If no worker can be started, the jobs that have none
        yet are reported as unstarted.
        """
        outcomes: list[Outcome | None] = [None] * len(payloads)
        waiting = list(reversed(range(len(payloads))))
        running: dict[socket.socket, _Job] = {}
        at_once = min(workers or self.workers, self.workers)
        begun = math.inf
        try:
            while waiting or running:
                if waiting and time.monotonic() - begun > total_seconds:
                    for index in waiting:
                        outcomes[index] = Outcome(failure="timeout", detail="not started: the batch had no time left")
                    waiting.clear()
                    continue
                while waiting and len(running) < at_once:
                    try:
                        worker = self._acquire(at_once, wait=not running)
                    except _Unstarted as problem:
                        for index in waiting:
                            outcomes[index] = Outcome(failure="unstarted", detail=str(problem))
                        waiting.clear()
                        break
                    if worker is None:
                        break
                    index = waiting.pop()
                    if not self._is_ready(worker, first):
                        self._discard(worker)
                        outcomes[index] = Outcome(
                            failure="timeout", detail=f"loaded for more than {STARTUP_SECONDS:g} s"
                        )
                        continue
                    job = _Job(worker, index, time.monotonic(), worker.cpu_seconds())
                    begun = min(begun, job.started)
                    try:
                        send_message(worker.channel, (task, payloads[index], timeout_seconds))
                    except OSError:
                        self._discard(worker)
                        outcomes[index] = Outcome(failure="died", detail="the worker died before it received the job")
                    except (pickle.PicklingError, TypeError, AttributeError) as problem:
                        self._release(worker)
                        outcomes[index] = Outcome(failure="raised", detail=f"cannot be sent to a worker: {problem}")
                    else:
                        running[worker.channel] = job
                if running:
                    self._collect(running, outcomes, timeout_seconds, cpu_seconds)
        finally:
            for job in running.values():  # there are some only after an exception such as KeyboardInterrupt
                self._discard(job.worker)
        return [outcome if outcome is not None else Outcome(failure="died") for outcome in outcomes]

    def _is_ready(self, worker: _Worker, first: tuple[str, object] | None) -> bool:
        """Have a worker do `first`, unless it has. False if that takes too long; where it fails, so will its jobs."""
        if first is None or repr(first) in worker.prepared:
            return True
        worker.prepared.add(repr(first))
        try:
            worker.channel.settimeout(STARTUP_SECONDS)
            send_message(worker.channel, (*first, STARTUP_SECONDS))
            receive_message(worker.channel)
            worker.channel.settimeout(None)
        except TimeoutError:
            return False
        except (EOFError, OSError, pickle.PickleError, TypeError, AttributeError):
            worker.channel.settimeout(None)
        return True

    def _collect(
        self,
        running: dict[socket.socket, _Job],
        outcomes: list[Outcome | None],
        timeout_seconds: float,
        cpu_seconds: float,
    ) -> None:
        """Wait until a running job ends or may have reached a deadline, and record the outcome of each that did."""
        now = time.monotonic()
        wall_left = min(job.started for job in running.values()) + timeout_seconds - now
        cpu_left = cpu_seconds - max(job.worker.cpu_seconds() - job.cpu_started for job in running.values())
        ready, _, _ = select.select(list(running), [], [], max(0.001, min(wall_left, cpu_left)))
        for channel in ready:
            job = running.pop(channel)
            worker, index = job.worker, job.index
            seconds = time.monotonic() - job.started
            try:
                channel.settimeout(max(0.05, timeout_seconds))
                value, problem = receive_message(channel)
                channel.settimeout(None)
            except (EOFError, OSError, pickle.UnpicklingError):
                outcomes[index] = Outcome(failure="died", detail=self._how_it_ended(worker), seconds=seconds)
                self._discard(worker)
                continue
            worker.jobs_done += 1
            if problem:
                outcomes[index] = Outcome(failure="raised", detail=problem, seconds=seconds)
            else:
                outcomes[index] = Outcome(value=value, seconds=seconds)
            if problem.startswith("MemoryError") or worker.jobs_done >= JOBS_PER_WORKER:
                self._discard(worker)
            else:
                self._release(worker)
        now = time.monotonic()
        for channel, job in list(running.items()):
            seconds, computed = now - job.started, job.worker.cpu_seconds() - job.cpu_started
            if seconds >= timeout_seconds or computed >= cpu_seconds:
                del running[channel]
                self._discard(job.worker)
                waited = f"stopped after {timeout_seconds:g} s"
                detail = waited if seconds >= timeout_seconds else f"stopped after computing {cpu_seconds:g} s"
                outcomes[job.index] = Outcome(failure="timeout", detail=detail, seconds=seconds)

    def _acquire(self, limit: int, *, wait: bool) -> _Worker | None:
        """An idle or new worker; `None` if `limit` are busy and `wait` is false. Raises `_Unstarted`."""
        with self._lock:
            self._forget_if_forked()
            while self._busy >= limit:
                if not wait:
                    return None
                self._freed.wait()
            self._busy += 1
            if self._idle:
                return self._idle.pop()
            worker = None
            try:
                worker = self._new_worker()
            finally:
                if worker is None:
                    self._busy -= 1
                    self._freed.notify_all()
            return worker

    def _new_worker(self) -> _Worker:
        try:
            return self._living_template().fork()
        except (_Lost, OSError):
            self._template = None  # something else killed it: try once more with a new one
        try:
            return self._living_template().fork()
        except (_Lost, OSError) as problem:
            self._template = None
            raise _Unstarted(f"no verifier worker could be started: {problem}") from problem

    def _release(self, worker: _Worker) -> None:
        with self._lock:
            self._busy -= 1
            self._idle.append(worker)
            self._freed.notify_all()

    def _discard(self, worker: _Worker) -> None:
        with self._lock:
            self._busy -= 1
            worker.channel.close()
            if self._template is not None:
                self._template.kill(worker.pid)
            self._freed.notify_all()

    def _how_it_ended(self, worker: _Worker) -> str:
        with self._lock:
            code = self._template.exit_code(worker.pid) if self._template is not None else None
        if code is None:
            return "the worker died"
        if code >= 0:
            return f"the worker ended itself with exit code {code}"
        hint = ": out of memory?" if -code == signal.SIGKILL else ""
        return f"the worker was ended by signal {-code} ({signal.strsignal(-code)}){hint}"

    def _living_template(self) -> "_Template":
        if self._template is None or not self._template.is_alive():
            self._template = _Template(self._memory_mb, self._preload)
            weakref.finalize(self, self._template.close)
        return self._template

    def _forget_if_forked(self) -> None:
        """In a fork of the calling process the sockets still belong to the original process: do not use them."""
        if os.getpid() != self._owner:
            self._owner, self._template, self._busy = os.getpid(), None, 0
            self._idle = []


class _Template:
    """The caller's side of the template process, which forks and kills workers on request."""

    def __init__(self, memory_mb: int | None, preload: tuple[str, ...]) -> None:
        self._control, theirs = socket.socketpair()
        self._ready = False
        self._owner = os.getpid()
        search_path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "verifiers.template", str(theirs.fileno()), str(memory_mb or 0), *preload],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": search_path},
            start_new_session=True,  # Ctrl-C is for the caller, which then closes the pool
        )
        theirs.close()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def fork(self) -> _Worker:
        """A new worker. The first call waits until the template has finished its imports."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._control.settimeout(STARTUP_SECONDS)
            try:
                socket.send_fds(self._control, [b"fork".ljust(16)], [theirs.fileno()])
                pid = int(_read(self._control, 16))
            except (OSError, EOFError, ValueError) as problem:
                ours.close()
                raise _Lost(str(problem)) from problem
        return _Worker(pid, ours)

    def exit_code(self, pid: int) -> int | None:
        """The exit code of a worker, negative for a signal; `None` if the template does not know it."""
        try:
            self._control.settimeout(STARTUP_SECONDS)
            self._control.sendall(f"how {pid}".encode().ljust(16))
            answer = _read(self._control, 16).decode().strip()
        except (OSError, EOFError):
            return None
        return None if answer == "None" else int(answer)

    def kill(self, pid: int) -> None:
        """Have its parent kill a worker, so that a reused process id is never hit. Does not wait for it."""
        try:
            self._control.sendall(f"kill {pid}".encode().ljust(16))
        except OSError:
            return  # the template is gone, and its children with it

    def close(self) -> None:
        if os.getpid() != self._owner:
            return
        self._control.close()  # this ends it as soon as its imports are done; nobody needs to wait for that
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.2)


@functools.cache
def shared_pool(memory_mb: int | None = None, preload: tuple[str, ...] = ()) -> WorkerPool:
    """This process's pool with these settings, kept from call to call; each call says how many workers it wants."""
    return WorkerPool(MAX_SHARED_WORKERS, memory_mb=memory_mb, preload=preload)
