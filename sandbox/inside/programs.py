"""The role of a job that runs whole programs: compile once, fork once per standard input, report what was written.

The job's first process never runs the program: its children do, without the channel, so that what they say of
themselves cannot be mistaken for what was seen of them. A child that writes too much, or is still there at the
deadline, is killed; after a deadline no further input is tried.
"""

import _thread
import atexit
import builtins
import contextlib
import gc
import io
import os
import select
import signal
import sys
import time
import types
from typing import Any, cast

from . import linux
from .candidate import Source, describe
from .frames import LOADED, read_frame, write_bytes, write_frame

_POLL = select.POLLIN | select.POLLHUP
# Without one of them a program makes nothing that would speak at its end: no file, destructor or half-way generator.
_LAST_WORDS = ("open", "IO", "__del__", "finally")


def serve(channel: int, request: Any) -> None:
    """["run", code, seconds, output bytes] and then ["stdin", text] for each run; see `_run` for the answers."""
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
    """(end, exit code or minus the signal, standard output, standard error); end: exit, timeout or output."""
    source = _as_file(stdin)
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    child = _fork(deadline)
    if child == 0:
        for target, descriptor in enumerate((source, out_write, err_write)):
            os.dup2(descriptor, target)
        os.closerange(3, 1 << 20)
        mend_modules()
        os._exit(_play(program, code))
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


def mend_modules() -> None:
    """What fork hooks would do in modules that were loaded before: draw other numbers, know the main thread's own.

    Usually there is nothing to do: a program loads these modules itself.
    """
    for name in ("random", "numpy.random"):
        if name in sys.modules:
            sys.modules[name].seed()
    if "threading" in sys.modules:
        sys.modules["threading"].main_thread()._set_native_id()


def _fork(deadline: float) -> int:
    """Fork, and wait while too many processes run: where they are counted by user, another job may have made them."""
    while True:
        try:
            return linux.fork()
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _as_file(data: bytes) -> int:
    """`data` as an open regular file without a name: programs that size up their input with fstat find its length."""
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
    """What was left in the pipe; a descendant that still holds the other end is not waited for."""
    os.set_blocking(descriptor, False)
    try:
        while (data := os.read(descriptor, 1 << 16)) and _keep(collected, data, output_bytes):
            pass
    except BlockingIOError:
        pass


def _end_descendants() -> None:
    """Without a process namespace this is the zygote's work, once the whole job is over."""
    if os.getpid() != 1:
        return
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def open_streams() -> None:
    """Make the three standard streams anew, for input from a file and output into pipes. Once, in the zygote.

    Making them costs a child a fifth of its time. Their descriptors may be anything until the program starts: what a
    stream remembers of them (whether it can seek, how much to buffer) is the same for all files and all pipes.
    """
    descriptors = [os.dup(standard) for standard in range(3)]
    read, write = os.pipe()
    with open(__file__, "rb") as file:
        for standard, source in enumerate((file.fileno(), write, write)):
            os.dup2(source, standard)
    sys.stdin = _stream(0, "stdin", "r", "surrogateescape")
    sys.stdout = _stream(1, "stdout", "w", "surrogateescape")
    sys.stderr = _stream(2, "stderr", "w", "backslashreplace")
    vars(sys).update(__stdin__=sys.stdin, __stdout__=sys.stdout, __stderr__=sys.stderr)
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
    for descriptor in (*descriptors, read, write):
        os.close(descriptor)


def _stream(descriptor: int, name: str, mode: str, errors: str) -> io.TextIOWrapper:
    """One of them as an interpreter makes it, but for one thing: `input` takes all kinds of line ends for one.

    Tests come from judges of all systems. Errors are written out at the end of each line, output only when it must be.
    """
    raw = io.FileIO(descriptor, mode, closefd=False)
    raw.name = f"<{name}>"
    buffer = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(buffer, "utf-8", errors, line_buffering=name == "stderr")
    stream.mode = mode  # type: ignore[misc]
    return stream


def _play(program: types.CodeType, code: str) -> int:
    """Run the program as `python solution.py` would, up to the exit code."""
    status = _execute(program, code)
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()  # waits for threads that are not daemons
        atexit._run_exitfuncs()
        written = _flush(sys.stdout) & _flush(sys.stderr)
        vars(sys).update(stdin=sys.__stdin__, stdout=sys.__stdout__, stderr=sys.__stderr__)
        # Threads that still run are daemons, which an interpreter would stop here.
        if _thread._count() == 0 and any(word in code for word in _LAST_WORDS):
            _let_go()
        written &= _flush(sys.stdout) & _flush(sys.stderr)
    except BaseException:
        written = False
    return status if written else status or 120  # the interpreter's own code for output that could not be written


def _execute(program: types.CodeType, code: str) -> int:
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__dict__.update(
        __annotations__={},
        __builtins__=builtins,
        __cached__=None,
        __file__=f"{os.getcwd()}/solution.py",
        __loader__=Source(code),
    )
    try:
        exec(program, module.__dict__)
    except SystemExit as leaving:
        return _exit_code(leaving.code)
    except BaseException as error:
        # The program's own frames only, as an interpreter would show them.
        error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None
        _show_error(error)
        return 1
    return 0


def _let_go() -> None:
    """End the life of what the program made: files are flushed then, and objects may want to say something.

    Collected twice, as an interpreter does: the first time brings a file's layers into the order of being closed.
    """
    gc.collect()
    sys.modules.pop("__main__", None)
    gc.collect()


def _flush(stream: Any) -> bool:
    """Whether nothing that was written into `stream` was lost."""
    try:
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()
    except BaseException:
        return False
    return True


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    with contextlib.suppress(BaseException):
        print(code, file=sys.stderr or sys.__stderr__)
    return 1


def _show_error(error: BaseException) -> None:
    try:
        if sys.excepthook is not sys.__excepthook__:
            sys.excepthook(type(error), error, error.__traceback__)
        else:
            import traceback

            traceback.print_exception(error)
    except BaseException:
        pass
