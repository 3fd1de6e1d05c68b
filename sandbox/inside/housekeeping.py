"""Two roles that look after the jobs' directory in tiers B and C, where it is not a tmpfs: counting and cleaning.

They run confined like any job; the parent itself never opens, changes or removes what a job made.
"""

import contextlib
import os
import stat
from typing import Any

from .frames import read_frame, write_frame


def serve_census(channel: int) -> None:
    """Answer ["census", bytes, inodes] of the directory; the request holds bounds at which counting stops."""
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
    """Empty the directory on any request and answer ["cleaned", whether nothing is left].

    Directories are flattened instead of walked, because their depth has no limit.
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
                    os.chmod(entry, 0o700)  # moving a directory writes to it (its entry for the parent directory)
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
