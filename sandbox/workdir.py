"""The directory of a zygote's jobs where they cannot have a tmpfs of their own (tiers B and C).

It is made and removed here, empty. What jobs made in it is counted and removed by jobs (inside/housekeeping.py).
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
    """Only ever an empty one: what could not be cleaned stays, and is no one else's."""
    with contextlib.suppress(OSError):
        os.rmdir(path)


def over_bounds(zygote: ZygoteClient, bounds: Bounds) -> bool:
    """Whether the jobs' directory holds more than one job may write, or the disk below it is about to be full.

    Files that were deleted and are still open are found in no directory: the free space is what bounds them.
    """
    disk = os.statvfs(zygote.workdir)
    if disk.f_bavail * disk.f_frsize < min(_LEAST_FREE_BYTES, disk.f_blocks * disk.f_frsize // 50):
        return True
    answer = _ask(zygote, "census", bounds, [bounds.disk_bytes, bounds.inodes])
    return answer is None or answer[1] > bounds.disk_bytes or answer[2] > bounds.inodes


def clean(zygote: ZygoteClient, bounds: Bounds) -> bool:
    """Empty the jobs' directory; False where something could not be removed."""
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
        return read_frame(job.channel) and read_frame(job.channel)  # the first one is ["ready"]
    except (OSError, BadFrame):
        return None
    finally:
        job.kill("over")
        zygote.wait(job)
        job.close()
