"""What the filter refuses by itself, on a machine whose Landlock refuses it as well."""

import os
import subprocess
import sys
from pathlib import Path

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
