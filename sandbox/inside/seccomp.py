"""The system calls that a job may make, as a classic BPF program.

An unknown call fails with ENOSYS, so that a library falls back to an older one; a known call that is refused fails with
EPERM. Numbers above the ends of the tables are newer than this list and therefore unknown. The program is assembled
from the tables below; their numbers come from the kernel's headers (asm/unistd.h).
"""

import errno
import struct

from .linux import ALL_NAMESPACES, MACHINE

_X86_64, _AARCH64 = 0xC000003E, 0xC00000B7  # AUDIT_ARCH_*
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000  # SECCOMP_RET_*
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN, _MASK = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments are 8 bytes each, low half first

_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE_MASK = 1, 1, 0xF

# fmt: off
_DENIED = {
    # inspecting or controlling another process
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "move_pages": (279, 239), "migrate_pages": (256, 238), "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    # file systems, namespaces, the machine
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "setns": (308, 268),
    "unshare": (272, 97), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "acct": (163, 89),
    "quotactl": (179, 60), "syslog": (103, 116), "sethostname": (170, 161), "setdomainname": (171, 162),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "init_module": (175, 105), "delete_module": (176, 106), "finit_module": (313, 273), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27), "lookup_dcookie": (212, 18), "vhangup": (153, 58),
    "nfsservctl": (180, 42), "personality": (135, 92),
    # kernel features with a long record of vulnerabilities
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "seccomp": (317, 277), "vmsplice": (278, 75),
    "io_setup": (206, 0), "io_destroy": (207, 1), "io_submit": (209, 2), "io_cancel": (210, 3),
    "io_getevents": (208, 4), "memfd_create": (319, 279),
    # objects that outlive a process or have names outside the file system
    "shmget": (29, 194), "shmctl": (31, 195), "shmat": (30, 196), "shmdt": (67, 197), "semget": (64, 190),
    "semctl": (66, 191), "semtimedop": (220, 192), "semop": (65, 193), "msgget": (68, 186), "msgctl": (71, 187),
    "msgrcv": (70, 188), "msgsnd": (69, 189), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "mq_timedsend": (242, 182), "mq_timedreceive": (243, 183), "mq_notify": (244, 184), "mq_getsetattr": (245, 185),
    # the network: no socket may be created or addressed; `socketpair` is handled below
    "socket": (41, 198), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242),
    "connect": (42, 203),
}
_DENIED_ON_X86_64 = (
    134, 139, 154, 156, 172, 173, 174, 177, 178, 181, 182, 183, 184, 185, 205, 211, 214, 215, 236, 253,
    # uselib, sysfs, modify_ldt, _sysctl, iopl, ioperm, create_module, get_kernel_syms, query_module, the slots
    # that were never built (getpmsg .. security, set_thread_area, get_thread_area, epoll_*_old, vserver), inotify_init
)
# Calls that change the metadata of a file. Landlock does not check them, so jobs without a mount namespace or a user of
# their own could use them on any file of the same user. Modes and times: chmod, fchmod, fchmodat, utime, utimes,
# futimesat, utimensat, fchmodat2. Owners and attributes: the chown, setxattr and removexattr families.
_MODES_AND_TIMES = ((90, 91, 132, 235, 261, 268, 280, 452), (52, 53, 88, 452))
_OWNERS_AND_ATTRIBUTES = ((92, 93, 94, 188, 189, 190, 197, 198, 199, 260), (5, 6, 7, 14, 15, 16, 54, 55))
_CLONE, _SOCKETPAIR, _PRLIMIT = (56, 220), (53, 199), (302, 261)
_MOUNTING = ((165, 166), (40, 39))  # mount, umount2
_LANDLOCK_RESTRICT_SELF = (446, 446)
_IOCTL, _TERMINAL_COMMANDS = (16, 29), 0x54  # the group of commands with the one for the size of a pipe's contents
_SETPRIORITY, _SENDTO = (141, 140), (44, 206)
_FCNTL, _SET_OWNER = (72, 25), (8, 15)  # F_SETOWN, F_SETOWN_EX: whom to signal when a descriptor is ready
_NOTIFY = 1026  # F_NOTIFY: a signal when any process on the machine uses a directory's contents
# Filters that the kernel translates. It has some hundred MB for them, shared by all users, and when that is full no job
# can be confined. PR_SET_SECCOMP; SO_ATTACH_FILTER, SO_ATTACH_BPF, and the two SO_ATTACH_REUSEPORT_*.
_PRCTL, _SET_SECCOMP = (157, 167), 22
_SETSOCKOPT, _ATTACH = (54, 208), (26, 50, 51, 52)
# Calls that address a process by its number: kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_open.
_BY_NUMBER = ((62, 200, 234, 129, 297, 434), (129, 130, 131, 138, 240, 434))
_TABLE_END = 512  # all later numbers are unknown
_LAST_OLD = (334, 293)  # rseq: all numbers up to here were reviewed one by one
# Later numbers are the same on all machines: pidfd_open, close_range, faccessat2, epoll_pwait2, futex_waitv,
# fchmodat2, and the futex calls of newer libraries.
_NEW_ALLOWED = (434, 436, 439, 441, 449, 452, 454, 455, 456)
# fmt: on


def _statement(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, operand & 0xFFFFFFFF)


def _refuse(number: int) -> bytes:
    return _statement(_RETURN, _ERRNO | number)


def _low(argument: int) -> bytes:
    return _statement(_LOAD, _ARGUMENTS + 8 * argument)


def _high(argument: int) -> bytes:
    return _statement(_LOAD, _ARGUMENTS + 8 * argument + 4)


def build_filter(
    own_processes: bool, own_files: bool, masters: tuple[int, ...] = (), may_confine: bool = False
) -> bytes:
    """The program for this machine, 8 bytes per instruction.

    `own_processes`: the job has a process namespace, so `kill(-1)` only reaches its own processes. Without it, signals
    to the processes `masters`, whose numbers a job can find out, are refused. `own_files`: the job cannot reach files
    of others. Without it, changes of owners and attributes are refused, and changes of modes and times succeed without
    effect, so that programs that copy files go on. `may_confine` allows the calls with which a zygote makes jobs; the
    jobs give them up with `build_closing_filter`.
    """
    column = 0 if MACHINE == "x86_64" else 1
    allow, deny, unknown = _statement(_RETURN, _ALLOW), _refuse(errno.EPERM), _refuse(errno.ENOSYS)
    program = [
        _statement(_LOAD, _ARCH),
        _statement(_EQUAL, _X86_64 if column == 0 else _AARCH64, 1, 0),
        _statement(_RETURN, _KILL),  # the 32-bit interface of the same kernel
        _statement(_LOAD, _NUMBER),
    ]

    def when(number: int, then: list[bytes]) -> None:
        program.extend(_when(number, then))

    if not may_confine:
        when(_CLONE[column], _NO_NAMESPACES)
        when(_PRCTL[column], _NO_FILTERS)
    # Stream socket pairs cannot be redirected to another address; datagram pairs could.
    when(
        _SOCKETPAIR[column],
        [
            _low(0),
            _statement(_EQUAL, _AF_UNIX, 0, 3),
            _low(1),
            _statement(_MASK, _SOCK_TYPE_MASK),
            _statement(_EQUAL, _SOCK_STREAM, 1, 0),
            _refuse(errno.EAFNOSUPPORT),
            allow,
        ],
    )
    # Limits and priorities of the calling process only: without namespaces a job can address others of its user.
    when(_PRLIMIT[column], [_low(0), _statement(_EQUAL, 0, 1, 0), deny, allow])
    own_priority = [_low(0), _statement(_EQUAL, 0, 1, 0), deny, _low(1), _statement(_EQUAL, 0, 1, 0), deny, allow]
    when(_SETPRIORITY[column], own_priority)  # the first zero: one process, not all processes of a user
    when(
        _SENDTO[column],
        [_low(4), _statement(_EQUAL, 0, 1, 0), deny, _high(4), _statement(_EQUAL, 0, 1, 0), deny, allow],
    )

    # Only the commands of pipes and terminals: the channel belongs to the parent's network namespace and would reveal
    # its interfaces, and a file's attributes could be changed through a read-only descriptor.
    kind = [_low(1), _statement(_MASK, 0xFFFFFF00), _statement(_EQUAL, _TERMINAL_COMMANDS << 8, 1, 0)]
    when(_IOCTL[column], [*kind, _refuse(errno.ENOTTY), allow])

    attaching = [part for option in _ATTACH for part in (_statement(_EQUAL, option, 0, 1), deny)]
    when(_SETSOCKOPT[column], [_low(2), *attaching, allow])
    if not own_processes:
        protected = [-1, *masters, *(-number for number in masters)]  # everybody, processes, their groups
        refusals = [part for number in protected for part in (_statement(_EQUAL, number, 0, 1), deny)]
        for call in _BY_NUMBER[column]:
            when(call, [_low(0), *refusals, allow])
    commands = (_NOTIFY,) if own_processes else (_NOTIFY, *_SET_OWNER)
    refusals = [part for command in commands for part in (_statement(_EQUAL, command, 0, 1), deny)]
    when(_FCNTL[column], [_low(1), *refusals, allow])

    table = {n: unknown for n in range(_LAST_OLD[column] + 1, _TABLE_END) if n not in _NEW_ALLOWED}
    table.update({pair[column]: deny for pair in _DENIED.values()})
    if column == 0:
        table.update(dict.fromkeys(_DENIED_ON_X86_64, deny))
    if not own_files:
        table.update(dict.fromkeys(_MODES_AND_TIMES[column], _refuse(0)))
        table.update(dict.fromkeys(_OWNERS_AND_ATTRIBUTES[column], deny))
    if may_confine:
        table.update(dict.fromkeys((*_MOUNTING[column], _LANDLOCK_RESTRICT_SELF[column]), allow))
    edges = [(0, table.get(0, allow))]
    for number in range(1, _TABLE_END):
        if table.get(number, allow) != edges[-1][1]:
            edges.append((number, table.get(number, allow)))
    edges.append((_TABLE_END, unknown))
    program.append(_search(edges))
    return b"".join(program)


def build_closing_filter() -> bytes:
    """Refuses what `may_confine` allowed. It is short, because the kernel translates it anew for each job."""
    column = 0 if MACHINE == "x86_64" else 1
    program = [_statement(_LOAD, _NUMBER), *_when(_CLONE[column], _NO_NAMESPACES)]
    program += _when(_PRCTL[column], _NO_FILTERS)
    for number in _MOUNTING[column]:
        program += _when(number, [_refuse(errno.EPERM)])
    program += _when(_LANDLOCK_RESTRICT_SELF[column], [_refuse(errno.ENOSYS)])
    return b"".join([*program, _statement(_RETURN, _ALLOW)])


def _when(number: int, then: list[bytes]) -> list[bytes]:
    """Instructions that run `then` for the system call `number`."""
    return [_statement(_EQUAL, number, 0, len(then)), *then]


_NO_NAMESPACES = [
    _low(0),
    _statement(_ANY_BIT, ALL_NAMESPACES, 0, 1),
    _refuse(errno.EPERM),
    _statement(_RETURN, _ALLOW),
]


_NO_FILTERS = [
    _low(0),
    _statement(_EQUAL, _SET_SECCOMP, 0, 1),
    _refuse(errno.EPERM),
    _statement(_RETURN, _ALLOW),
]


def _search(edges: list[tuple[int, bytes]]) -> bytes:
    """A binary search: each system call costs few instructions. An edge is a number from which another result holds."""

    def node(low: int, high: int) -> bytes:
        if high - low == 1:
            return edges[low][1]
        middle = (low + high) // 2
        left, right = node(low, middle), node(middle, high)
        return _statement(_GREATER, edges[middle][0], len(left) // 8, 0) + left + right

    return node(0, len(edges))
