"""Finds the tier that works on this machine by running a job in it, not by looking at version numbers."""

import functools
import sys

from .errors import SandboxError, SandboxUnavailable
from .results import Tier

TIERS: dict[Tier, str] = {
    "A": "contained by namespaces, Landlock and seccomp",
    "B": "no namespaces: Landlock, seccomp, limits and a sweep after each job",
    "C": "NOT CONTAINED: limits only",
}


def choose_tier(wanted: Tier | None, allow_unsafe: bool) -> Tier:
    """The best tier that works, or `wanted` if it works. Raises SandboxUnavailable with the reason."""
    if sys.platform == "win32":
        raise SandboxUnavailable("the sandbox needs Linux: on Windows, run this in WSL 2 or in a container")
    if not sys.platform.startswith("linux"):
        raise SandboxUnavailable(f"the sandbox needs Linux: on {sys.platform}, run this in a Linux container")
    reasons = []
    for tier in (wanted,) if wanted else ("A", "B"):
        why = failure(tier)
        if not why and (tier != "C" or allow_unsafe):
            return tier
        reasons.append(f"tier {tier}: {why or 'contains nothing, and allow_unsafe was not given'}")
    if allow_unsafe and wanted is None and not failure("C"):
        return "C"
    raise SandboxUnavailable("no allowed tier of the sandbox works here; " + "; ".join(reasons))


@functools.cache
def failure(tier: Tier) -> str:
    """Why a trivial job does not run in this tier; empty if it does."""
    from .grading import grade_function
    from .jobs import Budget
    from .limits import Limits
    from .zygote_pool import Worker

    test = {"type": "function", "fn_name": "double", "cases": [{"args": [21], "expected": 42}]}
    worker = Worker(tier)
    try:
        findings = grade_function(worker.zygote, "def double(x):\n    return x + x", test, Budget(Limits(), 10.0, 256))
    except SandboxError as error:
        return str(error)
    finally:
        worker.close()
    return "" if findings.cases[0].passed else findings.cases[0].detail
