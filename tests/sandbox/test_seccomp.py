"""What the filter refuses by itself, on a machine whose Landlock refuses it as well."""

import os
import struct
import subprocess
import sys
from pathlib import Path

from sandbox.inside import linux, seccomp

_TRY = """
import ctypes, fcntl, os, sys
sys.path.insert(0, sys.argv[1])
from inside import linux, seccomp
libc = ctypes.CDLL(None)
master = os.getppid()
program = seccomp.build_filter(own_processes=False, own_files=True, masters=(master,))
linux.perform([linux.set_no_new_privileges(), linux.filter_system_calls(program)])
ways = {
    "kill": lambda: os.kill(master, 0), "group": lambda: os.kill(-master, 0), "all": lambda: os.kill(-1, 0),
    "pidfd": lambda: os.pidfd_open(master), "news": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, master),
    "flags": lambda: fcntl.fcntl(0, fcntl.F_GETFL), "own": lambda: os.kill(os.getpid(), 0), "own pidfd": lambda: os.pidfd_open(os.getpid()),
}
for name, way in ways.items():
    try: way(); print(name)
    except PermissionError: pass
for name, number in (("tkill", 200), ("tgkill", 234)) if linux.MACHINE == "x86_64" else ():
    if libc.syscall(number, master, master if name == "tgkill" else 0, 0) == 0: print(name)
"""


def test_the_zygote_is_out_of_reach_of_signals_without_landlocks_scopes() -> None:
    package = Path(__file__).resolve().parents[2] / "sandbox"
    ran = subprocess.run(
        [sys.executable, "-c", _TRY, str(package)], capture_output=True, text=True, env=dict(os.environ), check=True
    )
    assert ran.stdout.split("\n") == ["flags", "own", "own pidfd", ""]


def test_a_jobs_two_filters_refuse_what_one_would() -> None:
    """The long filter comes from the zygote and lets it make jobs; the short one is each job's own."""
    whole = seccomp.build_filter(own_processes=True, own_files=True)
    inherited = seccomp.build_filter(own_processes=True, own_files=True, may_confine=True)
    own = seccomp.build_closing_filter()
    differ = set()
    machine = 0xC000003E if linux.MACHINE == "x86_64" else 0xC00000B7
    for architecture in (machine, 0x40000003):
        for number in (*range(600), 0x40000000, 0xFFFFFFFF):
            for first in (0, 1, 17, 22, 1 << 31, *(1 << bit for bit in range(7, 32)), linux.ALL_NAMESPACES):
                call = struct.pack("<IIQ6Q", number, architecture, 0, first, first, 0, 0, first, 0)
                alone = _outcome(whole, call)
                assert min(_outcome(own, call), _outcome(inherited, call), key=_severity) == alone, (number, first)
                if _outcome(inherited, call) != alone:
                    differ.add(number)
    numbers = linux._NUMBERS
    column = linux._COLUMN[linux.MACHINE]
    assert differ == {
        numbers[name][column] for name in ("clone", "prctl", "mount", "umount2", "landlock_restrict_self")
    }


def _severity(outcome: int) -> int:
    """Kill, then errors, then allow, as the kernel ranks them."""
    return {0x80000000: 0, 0x00050000: 1, 0x7FFF0000: 2}[outcome & 0xFFFF0000]


def _outcome(program: bytes, data: bytes) -> int:
    """What a classic BPF program of the few instructions that are used here says of a struct seccomp_data."""
    accumulator = at = 0
    while True:
        code, if_true, if_false, operand = struct.unpack_from("<HBBI", program, 8 * at)
        at += 1
        if code == seccomp._LOAD:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif code == seccomp._MASK:
            accumulator &= operand
        elif code == seccomp._RETURN:
            return int(operand)
        else:
            holds = {
                seccomp._EQUAL: accumulator == operand,
                seccomp._GREATER: accumulator >= operand,
                seccomp._ANY_BIT: accumulator & operand != 0,
            }[code]
            at += if_true if holds else if_false
