"""Many hostile jobs, and many at once, leave nothing behind.

RLVR_SANDBOX_RUNS sets how many hostile runs (the figure in docs/sandbox.md was taken with 10,000).
"""

import asyncio
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hostile
import pytest
from conftest import wanted_tier

from sandbox import AsyncSandbox, Limits, Sandbox

RUNS = int(os.environ.get("RLVR_SANDBOX_RUNS", "300"))
TEST = {"type": "function", "fn_name": "f", "cases": [{"args": [20], "expected": 21}]}

# Hostile programs that are over at once; the slow ones have their turn in test_containment.py.
QUICK = (
    *hostile.LINKS,
    *hostile.DESCRIPTORS,
    *hostile.CALLS,
    *hostile.CRASHES.keys() - {"an exit hook that loops", "a thread that never ends", "a destructor that loops"},
    "kills its parent",
    "kills everything",
    "signals its group",
    "a daemon by setsid and two forks",
    "a daemon that ignores signals",
    "an executed program that stays",
    "a child that holds the output open",
    "zombies",
    "many files",
    "a sparse file",
    "one large allocation",
    *(f"poisons {name}" for name in hostile.POISONS),
)


def _state() -> dict[str, object]:
    """What a leak would show in, of this process and its children: other programs of the machine make no difference."""
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "children": sorted(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()),
        "mounts": Path("/proc/mounts").read_text(),
        "temporary files": sorted(os.listdir(tempfile.gettempdir())),
        "threads": len(os.listdir("/proc/self/task")),
    }


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize("runs", [RUNS, pytest.param(3000, marks=pytest.mark.nightly)])
def test_nothing_is_left_after_many_hostile_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: int) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where tier B has its directories
    before = _state()
    with Sandbox(limits=Limits(memory_mb=128), tier=wanted_tier()) as sandbox:

        def run(number: int) -> str:
            execution = sandbox.run(hostile.ALL[QUICK[number % len(QUICK)]], timeout_seconds=2.0)
            assert "ESCAPED" not in execution.stdout
            return execution.status

        statuses = [run(number) for number in range(60)]
        early_mb = _resident_mb()
        statuses += [run(number) for number in range(runs)]
        late_mb = _resident_mb()
        assert "error" not in statuses
        assert sandbox.grade("def f(x): return x + 1", TEST).passed == 1
    assert _state() == before
    assert late_mb - early_mb < 20, (early_mb, late_mb)


def test_a_thousand_jobs_from_thirty_two_threads_are_all_answered_rightly() -> None:
    with Sandbox(workers=2, tier=wanted_tier()) as sandbox, ThreadPoolExecutor(32) as threads:

        def grade(number: int) -> tuple[int, str]:
            test = {"type": "function", "fn_name": "f", "cases": [{"args": [number], "expected": number * 2}]}
            grade = sandbox.grade(f"def f(x): return x + {number}", test)
            return grade.passed, grade.status

        assert list(threads.map(grade, range(1000))) == [(1, "correct")] * 1000


def test_the_async_twin_answers_while_the_loop_runs_on() -> None:
    async def main() -> tuple[list[int], str, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        async with AsyncSandbox(workers=2, tier=wanted_tier()) as sandbox:
            ticker = asyncio.create_task(tick())
            grades = await asyncio.gather(*(sandbox.grade("def f(x): return x + 1", TEST) for _ in range(20)))
            execution = await sandbox.run("print(input())", "hi")
            ticker.cancel()
        return [grade.passed for grade in grades], execution.stdout, ticks

    passed, stdout, ticks = asyncio.run(main())
    assert passed == [1] * 20
    assert stdout == "hi\n"
    assert ticks >= 5


def test_callers_in_line_are_served_before_a_sandbox_is_closed() -> None:
    slow = "import time\ndef f():\n    time.sleep(0.1)\n    return 1"
    test = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": 1}]}
    sandbox = Sandbox(tier=wanted_tier(), allow_unsafe=wanted_tier() == "C")
    with ThreadPoolExecutor(6) as threads:
        grades = [threads.submit(sandbox.grade, slow, test) for _ in range(6)]
        time.sleep(0.15)
        sandbox.close()
        assert [grade.result(timeout=120).status for grade in grades] == ["correct"] * 6
    sandbox.close()


def test_a_sandbox_that_was_closed_starts_again() -> None:
    sandbox = Sandbox(tier=wanted_tier())
    for _ in range(2):
        assert sandbox.grade("def f(x): return x + 1", TEST).passed == 1
        sandbox.close()


def test_a_fork_of_the_owner_gets_helpers_of_its_own() -> None:
    with Sandbox(tier=wanted_tier()) as sandbox:
        assert sandbox.grade("def f(x): return x + 1", TEST).passed == 1
        pid = os.fork()
        if pid == 0:
            passed = sandbox.grade("def f(x): return x + 1", TEST).passed
            sandbox.close()
            os._exit(0 if passed == 1 else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert sandbox.grade("def f(x): return x + 1", TEST).passed == 1
