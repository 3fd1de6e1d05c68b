"""One run at a time in a folder: a lock that the kernel releases when its holders die, however they die."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rlvr.errors import ConfigError

LOCK = "lock"


@contextmanager
def hold_folder(folder: Path) -> Iterator[int]:
    """Lock `folder` (made if missing) for this process and for those that inherit the yielded descriptor.

    Raises `ConfigError` with the process that holds the lock, or if the folder cannot be made. A folder that stays
    empty is removed again, so that a refused start leaves nothing behind.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError(
            f"out: cannot make the folder {str(folder)!r}: {error}; choose another, out=runs/NAME"
        ) from error
    try:
        take(descriptor, folder)
        try:
            yield descriptor
        finally:
            with suppress(OSError):
                if [path.name for path in folder.iterdir()] == [LOCK]:
                    (folder / LOCK).unlink()
                    folder.rmdir()
    finally:
        os.close(descriptor)


def take(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 32).decode(errors="replace").strip()
        raise ConfigError(
            f"out: process {holder or 'unknown'}, or a run that it started, is using {str(folder)!r}; wait for "
            "its end, end it, or choose another folder, out=runs/NAME"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
