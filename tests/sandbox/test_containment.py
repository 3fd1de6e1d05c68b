"""Hostile programs get nothing out, leave nothing behind, and the next job does not notice them.

Several of them run at a time, each on a sandbox of its own and followed there by an honest one; many do nothing but wait.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import hostile
import hostile_deeper
import pytest
from conftest import wanted_tier

from sandbox import Execution, Limits, Sandbox

ALL = hostile.ALL | hostile_deeper.ALL
AT_ONCE = 4
_CANARY = "x = input()\nimport json, random, math, collections\nprint(json.dumps([x, math.comb(5, 2)]), 5 + 0)"
_PROJECT = str(Path(__file__).resolve().parents[2])

Ran = tuple[Execution, Execution]


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Ran]]]:
    """Of each program that was selected: itself, and the honest one after it."""
    free: SimpleQueue[Sandbox] = SimpleQueue()
    boxes = [Sandbox(limits=Limits(memory_mb=256), tier=wanted_tier()) for _ in range(AT_ONCE)]
    for box in boxes:
        free.put(box)

    def run(name: str) -> Ran:
        program = ALL[name].replace("{project}", _PROJECT).replace("{home}", os.path.expanduser("~"))
        box = free.get()
        try:
            return box.run(program, timeout_seconds=1.5, memory_mb=256), box.run(_CANARY, "hello\n")
        finally:
            free.put(box)

    selected = [item.callspec.params["name"] for item in request.session.items if item.path == request.path]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield {name: threads.submit(run, name) for name in selected}
    for box in boxes:
        box.close()


@pytest.mark.parametrize("name", ALL)
def test_a_hostile_program_is_contained(ran: dict[str, Future[Ran]], name: str) -> None:
    execution, canary = ran[name].result()
    assert execution.status != "error", execution
    assert "ESCAPED" not in execution.stdout, execution.stdout[:300]
    assert execution.seconds < 4.0
    assert (canary.status, canary.stdout) == ("ok", '["hello", 10] 5\n'), canary
