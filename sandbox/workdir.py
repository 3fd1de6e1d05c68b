"""The working directory of a zygote's jobs in tiers B and C, where they cannot have a tmpfs.

Only the empty directory is made and removed here. Jobs count and remove what other jobs left in it, see
inside/housekeeping.py.
"""

import contextlib
import os
import select
import tempfile
from typing import Any

from .inside.bounds import Bounds
from .inside.frames import BadFrame, read_frame, write_frame
from .zygote_client import ZygoteClient

_SECONDS = 10.0
_LEAST_FREE_BYTES = 1 << 30  # or a fiftieth of a small disk


def make_workdir() -> str:
    return tempfile.mkdtemp(prefix="rlvr-sandbox-")


def remove_workdir(path: str) -> None:
    """Remove an empty directory; one that could not be emptied stays, and is not used again."""
    with contextlib.suppress(OSError):
        os.rmdir(path)


def over_bounds(zygote: ZygoteClient, bounds: Bounds) -> bool:
    """Whether the directory holds more than one job may write, or its disk is nearly full.

    Files that were deleted and are still open appear in no directory: only the check of the free space limits them.
    """
    disk = os.statvfs(zygote.workdir)
    if disk.f_bavail * disk.f_frsize < min(_LEAST_FREE_BYTES, disk.f_blocks * disk.f_frsize // 50):
        return True
    answer = _ask(zygote, "census", bounds, [bounds.disk_bytes, bounds.inodes])
    return answer is None or answer[1] > bounds.disk_bytes or answer[2] > bounds.inodes


def clean(zygote: ZygoteClient, bounds: Bounds) -> bool:
    """Empty the directory; False if something could not be removed."""
    with contextlib.suppress(PermissionError), os.scandir(zygote.workdir) as entries:
        if next(entries, None) is None:
            return True
    return _ask(zygote, "cleaning", bounds, []) == ["cleaned", True]


def _ask(zygote: ZygoteClient, role: str, bounds: Bounds, request: object) -> Any:
    job = zygote.start(role, bounds)
    try:
        write_frame(job.channel, request)
        if not select.select([job.channel], [], [], _SECONDS)[0]:
            return None
        return read_frame(job.channel) and read_frame(job.channel)  # the first frame is ["ready"]
    except (OSError, BadFrame):
        return None
    finally:
        job.kill("over")
        zygote.wait(job)
        job.close()
