"""Makes a fork of the zygote behave like an interpreter that was started for one program.

Streams, paths and names are prepared in the zygote. The rest happens in the child: the work of fork hooks, running the
program as `__main__`, and the shutdown of an interpreter when the program ends.
"""

import _thread
import atexit
import builtins
import contextlib
import gc
import io
import os
import site
import sys
import types
from collections.abc import Callable
from typing import Any

from .candidate import SourceLoader

_FRAMES_BELOW = 12  # frames of this package below a program, which shall reach the usual recursion depth
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "USER": "sandbox"}
_FORK_HOOKS: list[Callable[[], object]] = []  # what fork hooks would have called
# A program without any of these words has nothing to run at its end: no file, destructor or suspended generator.
_CLEANUP_WORDS = ("open", "IO", "__del__", "finally")


def dress_interpreter(directory: str) -> None:
    """Make this interpreter look as if it had been started for a program in `directory`. Called once, in the zygote."""
    os.environ.clear()
    os.environ.update(_ENVIRONMENT | {"HOME": directory, "TMPDIR": directory})
    sys.path.insert(0, directory)
    sys.argv = ["solution.py"]
    for name in [name for name in sys.modules if name.split(".")[0] in (__package__, "__main__")]:
        del sys.modules[name]
    sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES_BELOW)
    for add in (site.setquit, site.setcopyright, site.sethelper):  # `exit`, `help` and others, which -S omits
        add()
    sys.modules["__main__"] = types.ModuleType("__main__")
    # Usually there is nothing to do, because a program loads these modules itself.
    _FORK_HOOKS.extend(sys.modules[name].seed for name in ("random", "numpy.random") if name in sys.modules)
    if "threading" in sys.modules:
        _FORK_HOOKS.append(sys.modules["threading"].main_thread()._set_native_id)


def open_streams() -> None:
    """Create the three standard streams, for input from a file and output to pipes. Called once, in the zygote.

    Creating them would cost a child a fifth of its time. The descriptors may be replaced until the program starts: what
    a stream caches about them (whether it can seek, how much to buffer) is the same for all files and for all pipes.
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
    """A stream as an interpreter creates it, except that `input` accepts all kinds of line endings.

    Tests were written on many systems. Standard error is flushed after each line, standard output only when needed.
    """
    raw = io.FileIO(descriptor, mode, closefd=False)
    raw.name = f"<{name}>"
    buffer = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(buffer, "utf-8", errors, line_buffering=name == "stderr")
    stream.mode = mode  # type: ignore[misc]
    return stream


def run_fork_hooks() -> None:
    """Do the work of fork hooks in modules loaded before the fork: reseed generators, set the main thread's id."""
    for hook in _FORK_HOOKS:
        hook()


def play(program: types.CodeType, code: str) -> int:
    """Run the program as `python solution.py` would, and return its exit code."""
    status = _execute(program, code)
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()  # waits for threads that are not daemons
        atexit._run_exitfuncs()
        written = _flush(sys.stdout) & _flush(sys.stderr)
        vars(sys).update(stdin=sys.__stdin__, stdout=sys.__stdout__, stderr=sys.__stderr__)
        # Threads that still run are daemons, which an interpreter would stop here.
        if _thread._count() == 0 and any(word in code for word in _CLEANUP_WORDS):
            _run_destructors()
        written &= _flush(sys.stdout) & _flush(sys.stderr)
    except BaseException:
        written = False
    return status if written else status or 120  # the interpreter's exit code for output that could not be written


def _execute(program: types.CodeType, code: str) -> int:
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__dict__.update(
        __annotations__={},
        __builtins__=builtins,
        __cached__=None,
        __file__=f"{sys.path[0]}/solution.py",
        __loader__=SourceLoader(code),
    )
    try:
        exec(program, module.__dict__)
    except SystemExit as system_exit:
        return _exit_code(system_exit.code)
    except BaseException as error:
        # The program's own frames only, as an interpreter would show them.
        error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None
        _show_error(error)
        return 1
    return 0


def _run_destructors() -> None:
    """Destroy the program's objects, which flushes files and runs destructors.

    Garbage is collected twice, as an interpreter does: the first time sorts out the order in which the layers of a file
    are closed.
    """
    gc.collect()
    sys.modules.pop("__main__", None)
    gc.collect()


def _flush(stream: Any) -> bool:
    """Flush `stream`; returns whether nothing was lost."""
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
