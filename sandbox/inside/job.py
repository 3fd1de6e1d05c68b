"""What a job does once it is forked: confine itself, say that it is ready, and play its role.

The first frame is either ["broken", why], written before any untrusted code was seen, or ["ready"]. Nothing that
comes later can claim that the sandbox is broken.
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
_ROUNDS = 20  # the interpreter adapts a function after eight calls

Role = Callable[[int], None]  # plays on a channel, until its other end is closed


def _run(channel: int) -> None:
    """Run a program as its first request wants it: as a module to be asked for values, or as a whole program."""
    request: Any = read_frame(channel)
    if request is not None:
        (candidate.serve if request[0] == "load" else programs.serve)(channel, request)


# The tester's role is not among them: only the zygotes of testers have it, see zygote.py.
JOB_ROLES: dict[str, Role] = {
    "runner": _run,
    "census": housekeeping.serve_census,
    "cleaning": housekeeping.serve_cleaning,
}
HOUSEKEEPING = ("census", "cleaning")


def warm_up() -> None:
    """Play the runner's role in the zygote a few times, on harmless programs.

    The interpreter adapts code while it runs and fills caches at first use. What happened before the fork need not
    happen in each job, where it costs time, and a copied page for each thing that it writes to.
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
    """Have a dict grown before it must: it would be copied in each job that puts one more name into it."""
    size = sys.getsizeof(table)
    names: list[str] = []
    while sys.getsizeof(table) == size:
        names.append(f"room{len(names)}")
        table[names[-1]] = sys
    for name in names:
        del table[name]


def run_job(role: Role, calls: Sequence[linux.SystemCall], channel: int, kept: int) -> None:
    """Confine this process by `calls` and play `role` on the channel; leave with status 0.

    The caller ends the process if this raises. Descriptors above `kept` are closed, and by `calls` all but the channel.
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
