"""Two roles for the directory that jobs share in turn where they cannot have a tmpfs of their own (tiers B and C).

They run confined like any job: the parent never opens, changes or removes what a job made.
"""

import contextlib
import os
import stat
from typing import Any

from .frames import read_frame, write_frame


def serve_census(channel: int) -> None:
    """["census", bytes, inodes] of this job's directory; counting stops at the bounds that are sent."""
    bounds: Any = read_frame(channel)
    if bounds is None:
        return
    most_bytes, most_inodes = bounds
    occupied = inodes = 0
    waiting = ["."]
    while waiting and occupied <= most_bytes and inodes <= most_inodes:
        for entry in _entries(waiting.pop()):
            with contextlib.suppress(OSError):
                status = os.lstat(entry)
                occupied += status.st_blocks * 512
                inodes += 1
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(entry)
    write_frame(channel, ["census", occupied, inodes])


def serve_cleaning(channel: int) -> None:
    """Any request is answered by ["cleaned", whether nothing is left].

    Directories are flattened, not descended into: depth has no bound.
    """
    if read_frame(channel) is None:
        return
    number = 0
    for _ in range(1 << 20):
        directories = [name for name in os.listdir(".") if stat.S_ISDIR(os.lstat(name).st_mode)]
        for name in set(os.listdir(".")) - set(directories):
            os.unlink(name)
        if not directories:
            break
        for directory in directories:
            for entry in _entries(directory):
                if stat.S_ISDIR(os.lstat(entry).st_mode):
                    number += 1
                    os.chmod(entry, 0o700)  # moving a directory writes its way up into it
                    os.rename(entry, f".{number}-{os.getpid()}")
                else:
                    os.unlink(entry)
            os.rmdir(directory)
    write_frame(channel, ["cleaned", not os.listdir(".")])


def _entries(directory: str) -> list[str]:
    with contextlib.suppress(OSError):
        os.chmod(directory, 0o700, follow_symlinks=True)
        return [os.path.join(directory, name) for name in os.listdir(directory)]
    return []
