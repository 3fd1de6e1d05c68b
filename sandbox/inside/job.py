"""The life of a job after the fork: it confines itself, reports that it is ready, and plays its role.

The first frame is ["broken", reason], written before the job receives untrusted code, or ["ready"]. No later frame can
claim that the sandbox is broken.
"""

import gc
import os
import sys
import types
from _socket import socketpair
from collections.abc import Callable, Sequence
from typing import Any

from . import candidate, housekeeping, linux, programs
from .frames import READY, read_frame, write_frame
from .interpreter import run_fork_hooks
from .values import decode, encode

CHANNEL = 3
_ROUNDS = 20  # the interpreter specializes a function after eight calls

Role = Callable[[int], None]  # runs on a channel until the other end closes it


def _run(channel: int) -> None:
    """Run a program as its first request demands: as a module that returns values, or as a whole program."""
    request: Any = read_frame(channel)
    if request is not None:
        (candidate.serve if request[0] == "load" else programs.serve)(channel, request)


# Without the tester's role, which only the zygotes of testers have; see zygote.py.
JOB_ROLES: dict[str, Role] = {
    "runner": _run,
    "census": housekeeping.serve_census,
    "cleaning": housekeeping.serve_cleaning,
}
HOUSEKEEPING = ("census", "cleaning")


def warm_up() -> None:
    """Play the runner's role in the zygote a few times with a harmless program.

    The interpreter specializes code while it runs and fills caches on first use. Before the fork, this costs the jobs
    neither time nor copied pages.
    """
    source = (
        "import math\nclass A:\n    x: int = 1\ndef f(x, *a, k=0, **b):\n    return [y for y in (x,) if y], f'{k}'\n"
    )
    value = [1, 1.5, "a", (None, {True: {2}})]
    for _ in range(_ROUNDS):
        ours, theirs = socketpair()
        for request in (["load", source, "warm"], ["call", 0, "f", [encode(value)]], ["end"]):
            write_frame(ours.fileno(), request)
        _run(theirs.fileno())
        read_frame(ours.fileno())
        answer: Any = read_frame(ours.fileno())
        decode(answer[2])
        del sys.modules["warm"]
    _make_room(sys.modules)


def _make_room(table: dict[str, types.ModuleType]) -> None:
    """Grow a dict now; otherwise each job that adds one more name would copy it."""
    size = sys.getsizeof(table)
    names: list[str] = []
    while sys.getsizeof(table) == size:
        names.append(f"room{len(names)}")
        table[names[-1]] = sys
    for name in names:
        del table[name]


def run_job(role: Role, calls: Sequence[linux.SystemCall], channel: int, kept: int) -> None:
    """Confine this process by `calls`, play `role` on the channel, and exit with status 0.

    The caller ends the process if this returns or raises. Descriptors above `kept` are closed here; `calls` close the
    rest but for the channel.
    """
    try:
        os.dup2(channel, CHANNEL, False)
        os.closerange(kept + 1, 1 << 20)
        linux.perform(calls)
    except OSError as error:
        write_frame(CHANNEL, ["broken", str(error)])
        return
    gc.enable()
    run_fork_hooks()
    os.write(CHANNEL, READY)
    role(CHANNEL)
    os._exit(0)
