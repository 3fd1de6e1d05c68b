"""Hostile programs get nothing out, leave nothing behind, and the next job does not notice them."""

import os
from pathlib import Path

import hostile
import hostile_deeper
import pytest
from conftest import HELD_UP_SECONDS

from sandbox import Sandbox

ALL = hostile.ALL | hostile_deeper.ALL
_CANARY = "x = input()\nimport json, random, math, collections\nprint(json.dumps([x, math.comb(5, 2)]), 5 + 0)"
_PROJECT = str(Path(__file__).resolve().parents[2])


@pytest.mark.parametrize("name", ALL)
def test_a_hostile_program_is_contained(sandbox: Sandbox, name: str) -> None:
    program = ALL[name].replace("{project}", _PROJECT).replace("{home}", os.path.expanduser("~"))
    execution, canary = sandbox.run(program, timeout_seconds=1.5), sandbox.run(_CANARY, "hello\n")
    if execution.tier == "B" and name in hostile_deeper.HOLES_OF_TIER_B:
        pytest.skip("a known hole of tier B")
    assert execution.status != "error", execution
    assert "ESCAPED" not in execution.stdout, execution.stdout[:300]
    assert execution.seconds < 1.5 + HELD_UP_SECONDS
    assert (canary.status, canary.stdout) == ("ok", '["hello", 10] 5\n'), canary
