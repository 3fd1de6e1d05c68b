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
from .frames import write_frame

CHANNEL = 3
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "USER": "sandbox"}
# The tester's role is not among them: only the zygotes of testers have it, see zygote.py.
ROLES: dict[str, Callable[[int], None]] = {
    "candidate": candidate.serve,
    "program": programs.serve,
    "census": housekeeping.serve_census,
    "cleaning": housekeeping.serve_cleaning,
}


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
