"""The system calls that the sandbox makes by number, through ctypes: Linux only, x86-64 and arm64.

Most functions here prepare a call and do not make it. A forked child copies each page of memory that it touches, even
by counting a reference. So the calls with which a job confines itself are prepared before the fork, and `perform` does
little more than make them.
"""

import ctypes
import functools
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

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

# From asm-generic/resource.h. The module `resource` is not loaded here: each fork copies what a zygote maps.
RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE = range(5)
RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_AS = range(6, 10)
RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE = 11, 12

MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID = 1, 2
_AT_RECURSIVE, _AT_FDCWD = 0x8000, -100

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP = 1, 4, 8, 22
CAP_DAC_READ_SEARCH = 1 << 2
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_SIGCHLD, _SIGKILL = 17, 9
_CAPABILITIES_V3 = 0x20080522

MACHINE = os.uname().machine
_NUMBERS = {  # from asm/unistd.h: x86-64, arm64
    "capset": (126, 91),
    "chdir": (80, 49),
    "clone": (56, 220),
    "close": (3, 57),
    "fchmodat": (268, 53),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "setgroups": (116, 159),
    "setresgid": (119, 149),
    "setresuid": (117, 147),
    "setpgid": (109, 154),
    "umask": (95, 166),
    "umount2": (166, 39),
    "unshare": (272, 97),
}
_COLUMN = {"x86_64": 0, "aarch64": 1}

_libc = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter lock: its users have one thread
_syscall = _libc.syscall  # looked up here, because a look-up in a fresh child copies a hundred pages
_syscall.restype = ctypes.c_long
_pidfd = ctypes.c_int(-1)  # the kernel writes the pidfd of `clone` here


class SystemCall(NamedTuple):
    """A prepared system call."""

    what: str  # its name in errors
    arguments: tuple[Any, ...]  # its number first


class _FilterProgram(ctypes.Structure):
    _fields_ = (("instructions", ctypes.c_ushort), ("filter", ctypes.c_char_p))  # struct sock_fprog


def make(call: SystemCall) -> int:
    """Make one call and return its result. Raises OSError."""
    result: int = _syscall(*call.arguments)
    if result < 0:
        raise _error(call.what)
    return result


def perform(calls: Iterable[SystemCall]) -> None:
    """Make `calls` in order. Raises OSError at the first that fails."""
    for call in calls:
        if _syscall(*call.arguments) < 0:
            raise _error(call.what)


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def _call(name: str, *arguments: Any, what: str = "") -> SystemCall:
    number = _NUMBERS[name][_COLUMN[MACHINE]]
    return SystemCall(what or name, tuple(_as_argument(argument) for argument in (number, *arguments)))


def _as_argument(value: Any) -> Any:
    if isinstance(value, int):
        return _number(value)
    return ctypes.c_char_p(value) if value is None or isinstance(value, bytes) else value


@functools.cache  # the fewer objects, the fewer pages
def _number(value: int) -> ctypes.c_long:
    return ctypes.c_long(value)


def _prctl(option: int, value: int, what: str, pointer: Any = None) -> SystemCall:
    return _call("prctl", option, value, pointer, None, None, what=what)


def clone(flags: int) -> tuple[int, int]:
    """Fork into new namespaces; returns (pid, pidfd) in the parent and (0, any number) in the child.

    Python's fork hooks do not run. They repair what other threads held during the fork, so the caller must have only
    one thread. `interpreter.run_fork_hooks` does the work of the hooks that modules register.
    """
    pid = make(_clone(flags))
    return pid, _pidfd.value


@functools.cache
def _clone(flags: int) -> SystemCall:
    return _call("clone", flags | CLONE_PIDFD | _SIGCHLD, 0, ctypes.byref(_pidfd), 0, 0)


def fork() -> int:
    """Like `os.fork`, without Python's hooks: the caller must have only one thread."""
    pid: int = _libc.fork()
    if pid < 0:
        raise OSError(ctypes.get_errno(), "fork")
    return pid


def unshare(flags: int) -> SystemCall:
    return _call("unshare", flags)


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> SystemCall:
    return _call(
        "mount",
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        flags,
        options.encode() or None,
        what=f"mount {target}",
    )


def unmount(target: str) -> SystemCall:
    """Detach the mount at `target`; it ends when nothing uses it any more."""
    return _call("umount2", target.encode(), MNT_DETACH, what=f"umount {target}")


def make_read_only(target: str) -> SystemCall:
    """Make the mount at `target` and all mounts below it read-only, and disable set-user-id programs in them."""
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID, 0, 0, 0)
    size = ctypes.sizeof(attributes)
    return _call("mount_setattr", _AT_FDCWD, target.encode(), _AT_RECURSIVE, ctypes.byref(attributes), size)


def pivot_root(new_root: str) -> tuple[SystemCall, ...]:
    """Make `new_root` the root directory of this mount namespace and detach the old one."""
    return chdir(new_root), _call("pivot_root", b".", b"."), unmount("."), chdir("/")


def chdir(directory: str) -> SystemCall:
    return _call("chdir", directory.encode())


def chmod(path: str, mode: int) -> SystemCall:
    return _call("fchmodat", _AT_FDCWD, path.encode(), mode)


def close(descriptor: int) -> SystemCall:
    return _call("close", descriptor)


def umask(mask: int) -> SystemCall:
    return _call("umask", mask)


def own_process_group() -> SystemCall:
    return _call("setpgid", 0, 0)


def limit(what: int, amount: int) -> SystemCall:
    """Set the soft and the hard limit `what` (one of RLIMIT_*) of the caller, at most to its present hard limit."""
    amount = min(amount, hard_limit(what))
    limits = (ctypes.c_uint64 * 2)(amount, amount)
    return _call("prlimit64", 0, what, ctypes.byref(limits), None, what=f"prlimit64 {_name_of_limit(what)}")


def hard_limit(what: int) -> int:
    """The hard limit `what` of this process."""
    limits = (ctypes.c_uint64 * 2)()
    make(_call("prlimit64", 0, what, None, ctypes.byref(limits)))
    return int(limits[1])


def _name_of_limit(what: int) -> str:
    return next(name for name, value in globals().items() if name.startswith("RLIMIT_") and value == what)


def become(user: int, group: int) -> tuple[SystemCall, ...]:
    """Change user and group permanently; drop the supplementary groups."""
    return _call("setgroups", 0, None), _call("setresgid", group, group, group), _call("setresuid", user, user, user)


def keep_capabilities() -> SystemCall:
    """Keep the permitted capabilities across the next change of user, until `drop_capabilities`."""
    return _prctl(_PR_SET_KEEPCAPS, 1, "PR_SET_KEEPCAPS")


def drop_capabilities(but: int = 0) -> SystemCall:
    """Drop all capabilities permanently, except those in the bit mask `but` that this process has."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    sets = (ctypes.c_uint32 * 6)(but, but)  # effective, permitted; inheritable stays empty
    return _call("capset", ctypes.byref(header), ctypes.byref(sets))


def set_no_new_privileges() -> SystemCall:
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")


def set_dumpable(dumpable: bool) -> SystemCall:
    """Other processes of the same user cannot trace a process that is not dumpable, nor open its /proc files."""
    return _prctl(_PR_SET_DUMPABLE, int(dumpable), "PR_SET_DUMPABLE")


def die_with_parent() -> SystemCall:
    """Ask for SIGKILL when the *thread* that forked this process ends; so the parent must have only one thread."""
    return _prctl(_PR_SET_PDEATHSIG, _SIGKILL, "PR_SET_PDEATHSIG")


def become_subreaper() -> SystemCall:
    """Make this process, instead of init, the parent of its orphaned descendants."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1, "PR_SET_CHILD_SUBREAPER")


def filter_system_calls(instructions: bytes) -> SystemCall:
    """Install a BPF program for the caller and all of its future descendants. Needs no_new_privs."""
    program = _FilterProgram(len(instructions) // 8, instructions)
    mode_filter = 2
    return _prctl(_PR_SET_SECCOMP, mode_filter, "PR_SET_SECCOMP", ctypes.byref(program))


def landlock_version() -> int:
    """The version of Landlock in this kernel; 0 if it is missing or switched off."""
    try:
        return make(_call("landlock_create_ruleset", None, 0, 1))
    except OSError:
        return 0


def landlock_create(attributes: bytes) -> SystemCall:
    """Create a ruleset; the result is its descriptor. `attributes`: the known part of landlock_ruleset_attr."""
    return _call("landlock_create_ruleset", attributes, len(attributes), 0)


def landlock_allow_beneath(ruleset: int, directory: int, access: int) -> SystemCall:
    path_beneath = 1
    attribute = access.to_bytes(8, "little") + directory.to_bytes(4, "little")
    return _call("landlock_add_rule", ruleset, path_beneath, attribute, 0)


def landlock_restrict(ruleset: int) -> SystemCall:
    return _call("landlock_restrict_self", ruleset, 0)


def give_back_memory() -> None:
    """Return freed memory to the kernel if the C library can, because a fork copies the page tables of held memory."""
    trim = getattr(_libc, "malloc_trim", None)
    if trim is not None:
        trim(0)
