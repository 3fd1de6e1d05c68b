"""Hostile programs get nothing out, leave nothing behind, and the next job does not notice them."""

import contextlib
import os
from pathlib import Path

import hostile
import pytest

from sandbox import Sandbox

_CANARY = "x = input()\nimport json, random, math, collections\nprint(json.dumps([x, math.comb(5, 2)]), 5 + 0)"
_PROJECT = str(Path(__file__).resolve().parents[2])


@pytest.mark.parametrize("name", hostile.ALL)
def test_a_hostile_program_is_contained(sandbox: Sandbox, name: str) -> None:
    program = hostile.ALL[name].replace("{project}", _PROJECT).replace("{home}", os.path.expanduser("~"))
    before = _own_children()
    execution = sandbox.run(program, timeout_seconds=2.5, memory_mb=256)
    assert execution.status != "error", execution
    assert "ESCAPED" not in execution.stdout, execution.stdout[:300]
    assert execution.seconds < 4.0
    canary = sandbox.run(_CANARY, "hello\n")
    assert (canary.status, canary.stdout) == ("ok", '["hello", 10] 5\n'), canary
    assert not [name for name in _own_children() - before if name not in ("python3", "python", "python3.11")]


def _own_children() -> set[str]:
    """Names of the processes directly below this one."""
    found = set()
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with contextlib.suppress(OSError):
            found.add(Path(f"/proc/{pid}/comm").read_text().strip())
    return found
