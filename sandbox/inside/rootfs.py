"""The private root directory of a zygote and its jobs: read-only views of a few paths of the machine, nothing else.

A zygote makes it once, in its own mount namespace. /proc is empty, and /etc but for the cache of the loader. A small
tmpfs for one job at a time is mounted on /box/job; /tmp is a link to it.
"""

import errno
import os
import stat

from . import linux
from .bounds import Bounds

_STAGING = ("/tmp", "/run", "/mnt", "/var/tmp")
# Landlock grants jobs what is below BOX: a rule on JOB_DIRECTORY would not apply to what is mounted there later.
BOX, JOB_DIRECTORY = "/box", "/box/job"


def enter_private_root(paths: list[str]) -> None:
    """Replace the root of this mount namespace by one that contains only `paths`, each in its usual place."""
    linux.make(linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE))
    # Opened first, because the mount on the staging directory may hide some of them.
    sources = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in _outermost(paths) if os.path.exists(path)]
    links = [(name, os.readlink(name)) for name in ("/bin", "/sbin", "/lib", "/lib64") if os.path.islink(name)]
    staging = next(path for path in _STAGING if os.path.isdir(path))
    options = "size=1m,nr_inodes=4k,mode=755"
    linux.make(linux.mount("tmpfs", staging, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options))
    for path, source in sources:
        _show(source, staging + path)
    for name, target in links:
        os.symlink(target, staging + name)
    for name in (JOB_DIRECTORY, "/proc", "/etc", "/dev"):
        os.makedirs(staging + name, exist_ok=True)
    os.symlink(JOB_DIRECTORY, staging + "/dev/shm")  # where the C library keeps named semaphores
    if not os.path.exists(staging + "/tmp"):  # it exists if an interpreter or a package is installed there
        os.symlink(JOB_DIRECTORY, staging + "/tmp")
    for path in _ancestors(paths):  # they lead to visible paths and cannot be listed
        os.chmod(staging + path, 0o111)
    linux.perform([linux.make_read_only(staging), *linux.pivot_root(staging)])
    for _, source in sources:
        os.close(source)


def _outermost(paths: list[str]) -> list[str]:
    outermost: list[str] = []
    for path in sorted(set(paths)):
        if not any(path.startswith(parent + "/") for parent in outermost):
            outermost.append(path)
    return outermost


def _ancestors(paths: list[str]) -> list[str]:
    """Directories above `paths` that only exist to lead there."""
    ancestors = set()
    for path in _outermost(paths):
        while (path := os.path.dirname(path)) not in ("/", "/usr", "/usr/share", "/dev", "/etc"):
            ancestors.add(path)
    return sorted(ancestors, reverse=True)


def _show(source: int, target: str) -> None:
    if stat.S_ISDIR(os.fstat(source).st_mode):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
    linux.make(linux.mount(f"/proc/self/fd/{source}", target, None, linux.MS_BIND | linux.MS_REC))


class JobDirectory:
    """The directory that the jobs of a zygote use in turn: empty for each of them, limited in bytes and inodes.

    Mounting one per job would take a fifth of the time of two workers, because the kernel waits for all processors
    whenever a mount ends. Most jobs leave nothing behind, so the next one can use the same mount.
    """

    def __init__(self) -> None:
        self._size: tuple[int, int] | None = None
        self._fresh: tuple[os.statvfs_result, list[str]] | None = None

    def renew(self, bounds: Bounds) -> None:
        """Mount an empty directory in place of the previous one, whose last users are about to end."""
        if self._size:
            linux.make(linux.unmount(JOB_DIRECTORY))
        self._size = (bounds.disk_bytes, bounds.inodes)
        options = f"size={bounds.disk_bytes},nr_inodes={bounds.inodes},mode=700"
        linux.make(linux.mount("tmpfs", JOB_DIRECTORY, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options))
        self._fresh = _state()

    def is_fresh(self, bounds: Bounds) -> bool:
        """Whether it has these bounds and no trace of an earlier job: no file, not even a deleted one, no attribute."""
        if self._size != (bounds.disk_bytes, bounds.inodes):
            return False
        os.chmod(JOB_DIRECTORY, 0o700)  # a job may have removed all permissions
        return _state() == self._fresh


def _state() -> tuple[os.statvfs_result, list[str]]:
    """Free blocks, free inodes and the rest of statvfs, and the names of the directory's extended attributes."""
    try:
        return os.statvfs(JOB_DIRECTORY), os.listxattr(JOB_DIRECTORY)
    except OSError as error:  # ENOTSUP: the kernel's tmpfs has no extended attributes
        return os.statvfs(JOB_DIRECTORY), [] if error.errno == errno.ENOTSUP else [str(error)]
