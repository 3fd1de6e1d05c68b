"""How a fork of the zygote behaves as an interpreter that was started for one program.

What can be had ready is made in the zygote: its streams, paths and names. The rest happens in the child: what fork
hooks would do, running the program as `__main__`, and what an interpreter does when a program ends.
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

_FRAMES_BELOW = 12  # of this package, below a program: it shall get as deep as outside
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "USER": "sandbox"}
_FORK_HOOKS: list[Callable[[], object]] = []  # what fork hooks would call
# Without one of them a program makes nothing that would speak at its end: no file, destructor or half-way generator.
_LAST_WORDS = ("open", "IO", "__del__", "finally")


def dress_interpreter(directory: str) -> None:
    """Make this interpreter look like one that was started for a program in `directory`. Once, in the zygote."""
    os.environ.clear()
    os.environ.update(_ENVIRONMENT | {"HOME": directory, "TMPDIR": directory})
    sys.path.insert(0, directory)
    sys.argv = ["solution.py"]
    for name in [name for name in sys.modules if name.split(".")[0] in (__package__, "__main__")]:
        del sys.modules[name]
    sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES_BELOW)
    for add in (site.setquit, site.setcopyright, site.sethelper):  # `exit`, `help` and others, which -S leaves out
        add()
    sys.modules["__main__"] = types.ModuleType("__main__")
    # Usually there is nothing to mend: a program loads these modules itself.
    _FORK_HOOKS.extend(sys.modules[name].seed for name in ("random", "numpy.random") if name in sys.modules)
    if "threading" in sys.modules:
        _FORK_HOOKS.append(sys.modules["threading"].main_thread()._set_native_id)


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


def run_fork_hooks() -> None:
    """What fork hooks would do in modules that were loaded before: draw other numbers, know the main thread's own."""
    for hook in _FORK_HOOKS:
        hook()


def play(program: types.CodeType, code: str) -> int:
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
        __file__=f"{sys.path[0]}/solution.py",
        __loader__=SourceLoader(code),
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
