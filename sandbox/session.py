"""A conversation with running jobs: sends requests, reads frames, and enforces the deadline and the limits.

One thread, one poll loop. The meaning of the frames is left to grading.py and testing.py.
"""

import math
import os
import select
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from .errors import SandboxError
from .inside.bounds import Bounds
from .inside.frames import BadFrame, FrameBuffer, FrameTooLarge
from .watchdog import look_intervals
from .workdir import over_bounds
from .zygote_client import Job, ZygoteClient

_FRAME_ROOM = 1 << 16  # bytes of frames besides the values: headers, "ready", messages of exceptions


@dataclass(frozen=True)
class Watched:
    """A job, its zygote, and the bounds of its process tree."""

    zygote: ZygoteClient
    job: Job
    bounds: Bounds


def converse(
    main: Watched, outgoing: bytes, deadline: float, max_bytes: int, others: tuple[Watched, ...] = ()
) -> Iterator[object]:
    """Yield the frames that `main` writes, until it and `others` have ended and each `job.status` is set.

    `deadline` is a time of `time.monotonic`; jobs that still run then are killed. When `main` ends, the others are
    killed. `job.killed` is the reason: timeout, memory, processes, disk, output, protocol, or over.
    """
    channel = main.job.channel
    os.set_blocking(channel, False)
    everyone = (main, *others)
    buffer = FrameBuffer(max_bytes + _FRAME_ROOM)
    unsent = _send(channel, memoryview(outgoing))
    poll = select.poll()
    attend = time.monotonic() + (0.0 if unsent else _QUIET_SECONDS)  # the time from which the channel is polled as well
    zygotes = {watched.zygote.fileno(): watched.zygote for watched in everyone}
    for descriptor in zygotes:
        poll.register(descriptor, select.POLLIN)
    first_look, interval = look_intervals(main.zygote.tier)
    next_look = time.monotonic() + first_look
    listening = True
    while any(watched.job.status is None for watched in everyone):
        now = time.monotonic()
        if now >= next_look:
            for watched in everyone:
                _look_after(watched)
            next_look = time.monotonic() + interval
            continue  # this may have received the end of a job
        if now >= deadline + _PATIENCE_SECONDS:
            raise SandboxError("a killed job has not ended")
        if now >= deadline:
            _kill(everyone, "timeout")
        elif main.job.status is not None:
            _kill(others, "over")
        if now >= attend:
            poll.register(channel, select.POLLIN | (select.POLLOUT if unsent else 0))
            attend = math.inf
        wake = min(next_look, attend) if now >= deadline else min(deadline, next_look, attend)
        for descriptor, event in poll.poll(max(0.0, wake - now) * 1000):
            if descriptor in zygotes:
                zygotes[descriptor].hear()
                continue
            if event & select.POLLOUT:
                unsent = _send(channel, unsent)
                if not unsent:
                    poll.modify(channel, select.POLLIN)
            if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                data = _receive(channel)
                if data:
                    listening = yield from _frames(buffer, data, everyone)
                elif data is not None:
                    listening = False
                if not listening:
                    poll.unregister(channel)
    while listening and (data := _receive(channel)):  # what is written but not yet read
        listening = yield from _frames(buffer, data, everyone)
    if buffer.pending:
        main.job.killed = main.job.killed or "protocol"


_PATIENCE_SECONDS = 20.0
# Most jobs end within milliseconds, and their end must be awaited anyway: one wake-up then reads everything.
_QUIET_SECONDS = 0.005


def _frames(buffer: FrameBuffer, data: bytes, everyone: tuple[Watched, ...]) -> Generator[object, None, bool]:
    """Yield the frames that `data` completes. Returns False, and kills the jobs, if it is malformed or too long."""
    try:
        yield from buffer.feed(data)
    except BadFrame as error:
        why = "output" if isinstance(error, FrameTooLarge) else "protocol"
        _kill(everyone, why)
        everyone[0].job.killed = everyone[0].job.killed or why  # even if it has ended already
        return False
    return True


def _kill(everyone: tuple[Watched, ...], why: str) -> None:
    for watched in everyone:
        if watched.job.status is None:
            watched.job.kill(why)


def _look_after(watched: Watched) -> None:
    if watched.job.status is not None:
        return
    zygote, job, bounds = watched.zygote, watched.job, watched.bounds
    zygote.unsettle(job)
    tree = zygote.measure(job)
    if tree.memory_bytes > bounds.memory_bytes:
        job.kill("memory")
    elif tree.processes > bounds.processes:
        job.kill("processes")
    elif zygote.workdir and over_bounds(zygote, bounds):
        job.kill("disk")


def _send(descriptor: int, unsent: memoryview) -> memoryview:
    try:
        return unsent[os.write(descriptor, unsent[: 1 << 20]) :]
    except BlockingIOError:
        return unsent
    except OSError:  # the job ended or closed its channel; what it wrote before still counts
        return unsent[:0]


def _receive(descriptor: int) -> bytes | None:
    """The next bytes; b"" at the end of the stream, None if there is nothing yet."""
    try:
        return os.read(descriptor, 1 << 18)
    except BlockingIOError:
        return None
    except OSError:
        return b""
