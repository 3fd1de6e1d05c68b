"""The system calls that Python's standard library does not offer, through ctypes. Linux only, x86-64 and arm64.

Left out: everything that `os`, `resource` and `signal` already have.
"""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PIDFD = 0x00001000
ALL_NAMESPACES = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)

MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID = 1, 2
_AT_RECURSIVE, _AT_FDCWD = 0x8000, -100

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP = 1, 4, 8, 22
CAP_DAC_READ_SEARCH = 1 << 2
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_SIGCHLD, _SIGKILL = 17, 9

MACHINE = os.uname().machine
_NUMBERS = {
    "x86_64": {"clone": 56, "pivot_root": 155, "capset": 126, "mount_setattr": 442},
    "aarch64": {"clone": 220, "pivot_root": 41, "capset": 91, "mount_setattr": 442},
}
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

# Laid out before any job is forked, where making a ctypes type costs a tenth of a millisecond.
_CAPABILITY_HEADER = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of the interface, the calling process
_CAPABILITIES = (ctypes.c_uint32 * 6)()

_libc = ctypes.CDLL(None, use_errno=True)
# The same library with the interpreter lock held across the call: a clone must not come back in the child while the
# lock is on its way to another thread.
_libc_locked = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc_locked.syscall.restype = ctypes.c_long
# Looked up here, before the fork: in a fresh child each look-up copies a hundred pages.
_clone = _libc_locked.syscall
_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork_in_child = ctypes.pythonapi.PyOS_AfterFork_Child
_after_fork_in_parent = ctypes.pythonapi.PyOS_AfterFork_Parent


def supported() -> bool:
    """Whether the numbers of this machine's system calls are known here."""
    return os.uname().sysname == "Linux" and MACHINE in _NUMBERS


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _call(name: str, *arguments: object) -> int:
    return _checked(_libc.syscall(_NUMBERS[MACHINE][name], *arguments), name)


def clone(flags: int) -> tuple[int, int]:
    """Fork into new namespaces; returns (pid, pidfd) in the parent and (0, -1) in the child.

    Python's own fork hooks run around the call, as `os.fork` would run them. The caller must have one thread only.
    """
    pidfd = ctypes.c_int(-1)
    _before_fork()
    pid = _clone(
        ctypes.c_long(_NUMBERS[MACHINE]["clone"]),
        ctypes.c_ulong(flags | CLONE_PIDFD | _SIGCHLD),
        ctypes.c_void_p(0),
        ctypes.byref(pidfd),
        ctypes.c_void_p(0),
        ctypes.c_void_p(0),
    )
    if pid == 0:
        _after_fork_in_child()
        return 0, -1
    number = ctypes.get_errno()
    _after_fork_in_parent()
    if pid < 0:
        raise OSError(number, f"clone: {os.strerror(number)}")
    return pid, pidfd.value


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    result = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _checked(result, f"mount {target}")


def make_read_only(target: str) -> None:
    """Turn the mount at `target` and all mounts below it read-only and without set-user-id programs."""
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID, 0, 0, 0)
    _call(
        "mount_setattr",
        ctypes.c_int(_AT_FDCWD),
        target.encode(),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )


def pivot_root(new_root: str) -> None:
    """Make `new_root` the root directory of this mount namespace and drop the old one out of it."""
    os.chdir(new_root)
    _call("pivot_root", b".", b".")
    _checked(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


def keep_capabilities() -> None:
    """Let the next change of user leave the permitted capabilities alone; `drop_capabilities` ends that."""
    _checked(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS")


def drop_capabilities(but: int = 0) -> None:
    """Give up all capabilities for good, except those in the bit mask `but`, where this process has them."""
    _CAPABILITIES[0] = _CAPABILITIES[1] = but  # effective, permitted; inheritable stays empty
    _call("capset", _CAPABILITY_HEADER, _CAPABILITIES)


def set_no_new_privileges() -> None:
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")


def set_dumpable(dumpable: bool) -> None:
    """A process that is not dumpable cannot be traced, nor its /proc files opened, by others of the same user."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, int(dumpable), 0, 0, 0), "PR_SET_DUMPABLE")


def die_with_parent() -> None:
    """Ask for SIGKILL when the *thread* that forked this process ends: safe below a process of one thread only."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")


def become_subreaper() -> None:
    """Orphans among this process' descendants become its children instead of being lost to init."""
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "PR_SET_CHILD_SUBREAPER")


class SeccompProgram:
    """A filter laid out in memory once, so that installing it in a job is a single call."""

    def __init__(self, instructions: bytes) -> None:
        self._instructions = ctypes.create_string_buffer(instructions, len(instructions))
        # struct sock_fprog { unsigned short len; struct sock_filter *filter; }, each instruction 8 bytes long.
        self._program = (ctypes.c_uint64 * 2)(len(instructions) // 8, ctypes.addressof(self._instructions))

    def install(self) -> None:
        """Needs no_new_privs; holds for this process and all that it will ever start."""
        mode_filter = 2
        _checked(_libc.prctl(_PR_SET_SECCOMP, mode_filter, ctypes.byref(self._program), 0, 0), "PR_SET_SECCOMP")


def give_back_memory() -> None:
    """Return freed memory to the kernel, where the C library can: a fork copies the page tables of what is held."""
    trim = getattr(_libc, "malloc_trim", None)
    if trim is not None:
        trim(0)


def landlock_version() -> int:
    """The Landlock interface of this kernel; 0 where there is none or it is switched off."""
    version = _libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(1))
    return max(int(version), 0)


def landlock_create(attributes: bytes) -> int:
    """A new ruleset's descriptor. `attributes` is struct landlock_ruleset_attr, as long as the kernel knows it."""
    size = ctypes.c_size_t(len(attributes))
    return _checked(
        _libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), attributes, size, ctypes.c_uint(0)), "landlock_create_ruleset"
    )


def landlock_allow_beneath(ruleset: int, directory: int, access: int) -> None:
    path_beneath = 1
    attribute = access.to_bytes(8, "little") + directory.to_bytes(4, "little")
    _checked(
        _libc.syscall(ctypes.c_long(_LANDLOCK_ADD), ruleset, path_beneath, attribute, ctypes.c_uint(0)),
        "landlock_add_rule",
    )


def landlock_restrict(ruleset: int) -> None:
    _checked(_libc.syscall(ctypes.c_long(_LANDLOCK_RESTRICT), ruleset, ctypes.c_uint(0)), "landlock_restrict_self")
