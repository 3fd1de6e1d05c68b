"""The role of a job that runs whole programs: compile once, fork once per standard input, report the output.

The job's first process never runs the program. Its children do, and they do not have the channel, so they cannot forge
a report. A child that writes too much or still runs at the deadline is killed; after the deadline no further input is
tried.
"""

import os
import select
import signal
import time
import types
from typing import Any, cast

from . import linux
from .candidate import describe
from .frames import LOADED, read_frame, write_bytes, write_frame
from .interpreter import play, run_fork_hooks

_POLL = select.POLLIN | select.POLLHUP


def serve(channel: int, request: Any) -> None:
    """Play the role: ["run", code, seconds, output bytes], then one ["stdin", number, text] per run."""
    _, code, seconds, output_bytes = request
    deadline = time.monotonic() + seconds
    try:
        program = compile(code.removeprefix("\ufeff"), "solution.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        write_frame(channel, ["failed", *describe(error)])
        return
    write_bytes(channel, LOADED)
    while (request := read_frame(channel)) not in (None, ["end"]):
        _, number, text = cast(list[Any], request)
        report = _run(program, code, text.encode("utf-8", "surrogateescape"), deadline, output_bytes)
        write_frame(channel, ["ran", number, *report])
        if report[0] == "timeout":
            return


def _run(
    program: types.CodeType, code: str, stdin: bytes, deadline: float, output_bytes: int
) -> tuple[str, int, str, str]:
    """(end, exit code or minus the signal, standard output, standard error); end is exit, timeout or output."""
    source = _as_file(stdin)
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    child = _fork(deadline)
    if child == 0:
        for target, descriptor in enumerate((source, out_write, err_write)):
            os.dup2(descriptor, target)
        os.closerange(3, 1 << 20)
        run_fork_hooks()
        os._exit(play(program, code))
    for descriptor in (source, out_write, err_write):
        os.close(descriptor)
    pidfd = os.pidfd_open(child)
    written = {out_read: bytearray(), err_read: bytearray()}
    end = _watch(pidfd, written, deadline, output_bytes)
    if end != "exit":
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    _end_descendants()
    for descriptor, collected in written.items():
        _drain(descriptor, collected, output_bytes)
        os.close(descriptor)
    os.close(pidfd)
    out, err = (bytes(data).decode("utf-8", "surrogateescape") for data in written.values())
    return end, os.waitstatus_to_exitcode(status), out, err


def _fork(deadline: float) -> int:
    """Fork, and retry while there are too many processes: where they are counted per user, another job may own them."""
    while True:
        try:
            return linux.fork()
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _as_file(data: bytes) -> int:
    """`data` as an open regular file without a name, so that programs can get its length with fstat."""
    name = ".stdin"
    writer = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with open(writer, "wb") as file:
        file.write(data)
    reader = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    os.unlink(name)
    return reader


def _watch(pidfd: int, written: dict[int, bytearray], deadline: float, output_bytes: int) -> str:
    """Collect output until the child ends."""
    poll = select.poll()
    for descriptor in (pidfd, *written):
        poll.register(descriptor, _POLL)
    while True:
        ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            return "timeout"
        for descriptor, _ in ready:
            if descriptor == pidfd:
                return "exit"
            data = os.read(descriptor, 1 << 16)
            if not data:
                poll.unregister(descriptor)
            elif not _keep(written[descriptor], data, output_bytes):
                return "output"


def _keep(collected: bytearray, data: bytes, output_bytes: int) -> bool:
    room = output_bytes - len(collected)
    collected += data[:room]
    return len(data) <= room


def _drain(descriptor: int, collected: bytearray, output_bytes: int) -> None:
    """Read what is left in the pipe, without waiting for descendants that still hold the other end."""
    os.set_blocking(descriptor, False)
    try:
        while (data := os.read(descriptor, 1 << 16)) and _keep(collected, data, output_bytes):
            pass
    except BlockingIOError:
        pass


def _end_descendants() -> None:
    """Kill what the program left running. Without a process namespace the zygote does it after the job."""
    if os.getpid() != 1:
        return
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
