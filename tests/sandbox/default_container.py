"""Run a command as a default container would let it: no new namespaces, no mounts, no tracing, no keys.

    python tests/sandbox/default_container.py COMMAND [ARGUMENT ...]

A stand-in for the seccomp profile that container engines load by default for a process without CAP_SYS_ADMIN: the
system calls below are answered with EPERM, `clone3` with ENOSYS, `clone` with EPERM where it asks for a namespace.
"""

import ctypes
import os
import struct
import sys

_NAMESPACES = 0x7E020000
# x86-64: unshare, setns, mount, umount2, pivot_root, chroot stays, ptrace stays, keyctl, add_key, request_key, bpf,
# perf_event_open, userfaultfd, io_uring_*, kexec_load, open_by_handle_at, mount_setattr, fsopen and its relatives
_REFUSED = (
    272,
    308,
    165,
    166,
    155,
    250,
    248,
    249,
    321,
    298,
    323,
    425,
    426,
    427,
    246,
    304,
    442,
    428,
    429,
    430,
    431,
    432,
    433,
)


def _statement(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, operand)


def main(command: list[str]) -> None:
    refuse, allow = _statement(0x06, 0x00050001), _statement(0x06, 0x7FFF0000)
    program = [_statement(0x20, 0)]
    for number in _REFUSED:
        program += [_statement(0x15, number, 0, 1), refuse]
    program += [_statement(0x15, 435, 0, 1), _statement(0x06, 0x00050026)]
    program += [
        _statement(0x15, 56, 0, 4),
        _statement(0x20, 16),
        _statement(0x45, _NAMESPACES, 0, 1),
        refuse,
        allow,
        allow,
    ]
    code = b"".join(program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = (ctypes.c_uint64 * 2)(len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, header, 0, 0):
        raise OSError(ctypes.get_errno(), "the filter could not be installed")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
