"""What a job does once it is forked: confine itself, say that it is ready, and play its role.

The first frame is either ["broken", why], written before any untrusted code was seen, or ["ready"]. Nothing that
comes later can claim that the sandbox is broken.
"""

import gc
import os
import site
import sys
import types
from collections.abc import Callable

from . import candidate, housekeeping, programs
from .frames import HEADER_BYTES, pack, unpack, write_frame
from .values import decode, encode

CHANNEL = 3
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "USER": "sandbox"}
# The tester's role is not among them: only the zygotes of testers have it, see zygote.py.
ROLES: dict[str, Callable[[int], None]] = {
    "candidate": candidate.serve,
    "program": programs.serve,
    "census": housekeeping.serve_census,
    "cleaning": housekeeping.serve_cleaning,
}
HOUSEKEEPING = ("census", "cleaning")


def dress_interpreter(directory: str) -> None:
    """Make this interpreter look like one that was started for a program in `directory`. Once, in the zygote."""
    os.environ.clear()
    os.environ.update(_ENVIRONMENT | {"HOME": directory, "TMPDIR": directory})
    sys.path.insert(0, directory)
    sys.argv = ["solution.py"]
    for name in [name for name in sys.modules if name.split(".")[0] in (__package__, "__main__")]:
        del sys.modules[name]
    site.setquit()  # `exit` and `quit`, which -S leaves out
    sys.modules["__main__"] = types.ModuleType("__main__")


def warm_up() -> None:
    """Make this interpreter's first compilation and first messages happen in the zygote: they cost a millisecond."""
    source = (
        "import math\nclass A:\n    x: int = 1\ndef f(x, *a, k=0, **b):\n    return [y for y in (x,) if y], f'{k}'\n"
    )
    exec(compile(source, "solution.py", "exec", dont_inherit=True), {"__name__": "warm"})
    unpack(pack(["value", 0, encode([1, 1.5, "a", (None, {True: {2}})])])[HEADER_BYTES:])
    decode(encode([1, 1.5, "a", (None, {True: {2}})]))


def run_job(role: Callable[[int], None], confine: Callable[[], None]) -> None:
    """Play `role` on the channel and leave with status 0; the caller ends the process if this raises."""
    try:
        confine()
    except OSError as error:
        write_frame(CHANNEL, ["broken", str(error)])
        return
    write_frame(CHANNEL, ["ready"])
    gc.enable()
    role(CHANNEL)
    os._exit(0)
