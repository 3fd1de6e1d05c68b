"""What this machine offers the sandbox: each kernel feature (tried in its own process), the tiers, a measured rate."""

import os
import subprocess
import time
from collections.abc import Iterator

from . import layout
from .box import Sandbox
from .errors import SandboxUnavailable
from .probe import TIERS, failure
from .results import Tier

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_AS_ROOT_OR_NOT = "0 if os.geteuid() == 0 else linux.CLONE_NEWUSER"
# Feature -> a statement that fails where it is missing, and what is lost without it.
_PRIMITIVES = {
    "user namespaces": ("linux.make(linux.unshare(linux.CLONE_NEWUSER))", "tier A"),
    "process, mount and ipc namespaces": (
        f"linux.make(linux.unshare(linux.CLONE_NEWPID | linux.CLONE_NEWNS | linux.CLONE_NEWIPC | ({_AS_ROOT_OR_NOT})))",
        "tier A",
    ),
    "network namespaces": (f"linux.make(linux.unshare(linux.CLONE_NEWNET | ({_AS_ROOT_OR_NOT})))", "tier A"),
    "Landlock": ("assert linux.landlock_version(), 'not in this kernel, or switched off'", "tier B"),
    "Landlock scopes signals (version 6)": ("assert linux.landlock_version() >= 6, 'an older kernel'", "see tier B"),
    "seccomp filters": (
        "program = seccomp.build_filter(True, True); "
        "linux.perform([linux.set_no_new_privileges(), linux.filter_system_calls(program)])",
        "tiers A and B",
    ),
    "process descriptors": ("os.close(os.pidfd_open(os.getpid()))", "every tier"),
    "adopting orphans": ("linux.make(linux.become_subreaper())", "tier B"),
    "children listed in /proc": ("open(f'/proc/self/task/{os.getpid()}/children').close()", "the bound on memory"),
}
_TRY = "import os, sys; sys.path.insert(0, sys.argv[1]); from inside import linux, seccomp; "


def report(jobs: int = 200) -> Iterator[str]:
    """Yield the lines of the report as they become known."""
    for name, (statement, loss) in _PRIMITIVES.items():
        why = _try(statement)
        yield f"{name:38}{'yes' if not why else f'no, which costs {loss}: {why}'}"
    tiers: tuple[Tier, ...] = ("A", "B")
    for tier in tiers:
        why = failure(tier)
        yield f"{f'a whole job in tier {tier}':38}{'yes' if not why else f'no: {why}'}"
    for package in ("numpy", "pytest"):
        yield f"{package + ' for programs and tests':38}{'yes' if layout.is_installed(package) else 'not installed'}"
    try:
        with Sandbox() as sandbox:
            yield f"tier {sandbox.tier}: {TIERS[sandbox.tier]}"
            yield f"{_rate(sandbox, jobs):.0f} jobs a second with one worker"
    except SandboxUnavailable as error:
        yield f"no tier: {error}"


def _try(statement: str) -> str:
    """Why `statement` fails in a fresh process; empty if it succeeds."""
    command = [layout.executable(), "-I", "-S", "-B", "-c", _TRY + statement, _PACKAGE]
    process = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    if process.returncode == 0:
        return ""
    lines = process.stderr.strip().splitlines()
    return lines[-1].partition(": ")[2] if lines else f"the process ended with exit code {process.returncode}"


def _rate(sandbox: Sandbox, jobs: int) -> float:
    test = {"type": "function", "fn_name": "f", "cases": [{"args": [1], "expected": 2}]}
    for _ in range(10):
        sandbox.grade("def f(x): return x + 1", test)
    started = time.perf_counter()
    for _ in range(jobs):
        sandbox.grade("def f(x): return x + 1", test)
    return jobs / (time.perf_counter() - started)
