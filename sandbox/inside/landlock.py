"""Limits the files that a job may access with Landlock: the only barrier without mount namespaces, a second with them.

Everything that is not granted is refused, including /proc and /dev. TCP is refused from version 4 of the interface on;
signals to processes outside the job and abstract unix sockets from version 6 on.
"""

import os
import stat
from collections.abc import Sequence

from . import linux

_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_READ_ONLY = _EXECUTE | _READ | _LIST
_DEVICE = _READ | _WRITE
_FILE_RIGHTS = _EXECUTE | _WRITE | _READ | 1 << 14  # what a rule on a single file may grant, truncation included
_IOCTL_DEVICE = 1 << 15
_MAKE_BLOCK, _MAKE_CHARACTER = 1 << 11, 1 << 6
_KNOWN_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_RIGHTS = (1 << 16) - 1  # from version 5 on
_TCP = 0b11
_SCOPES = 0b11


def make_ruleset(read: Sequence[str], devices: Sequence[str], directory: str) -> int:
    """The descriptor of a ruleset that grants reading `read`, using `devices`, and everything in `directory`.

    Paths that do not exist are skipped. It is made once, in the zygote; `linux.landlock_restrict` then applies it to a
    job, which needs no_new_privs.
    """
    version = linux.landlock_version()
    handled = _KNOWN_RIGHTS.get(version, _ALL_RIGHTS)
    attributes = handled.to_bytes(8, "little")
    if version >= 4:
        attributes += _TCP.to_bytes(8, "little")
    if version >= 6:
        attributes += _SCOPES.to_bytes(8, "little")
    ruleset = linux.make(linux.landlock_create(attributes))
    full = handled & ~(_MAKE_BLOCK | _MAKE_CHARACTER | _IOCTL_DEVICE)
    for paths, access in ((read, _READ_ONLY), (devices, _DEVICE), ((directory,), full)):
        for path in paths:
            _allow(ruleset, path, access & handled)
    return ruleset


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= _FILE_RIGHTS
        linux.make(linux.landlock_allow_beneath(ruleset, descriptor, access))
    finally:
        os.close(descriptor)
