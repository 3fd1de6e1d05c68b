"""What a job is given before it sees a program: by its zygote, for all jobs alike, and on which processors it runs."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox import Limits, Sandbox

INHERITED = """
import ctypes, os, resource
def f():
    limits = [resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in ("CORE", "MEMLOCK", "MSGQUEUE")]
    mask = os.umask(0)
    libc = ctypes.CDLL(None)
    return limits, resource.getrlimit(11)[1] <= 1024, mask, libc.prctl(39, 0, 0, 0, 0)
"""
PROCESSORS = "import os\ndef f(): return len(os.sched_getaffinity(0))"
RELEASED = """
import os, threading, time
def wait():
    until = time.monotonic() + 20
    while len(os.sched_getaffinity(0)) < PROCESSORS:
        if time.monotonic() > until: return 0
        time.sleep(0.01)
    return 1
def f():
    seen = []
    read, write = os.pipe()
    thread = threading.Thread(target=lambda: seen.append(wait()))
    thread.start()
    if os.fork() == 0:
        os.write(write, bytes([wait()]))
        os._exit(0)
    thread.join()
    return [wait(), *seen, *os.read(read, 1)]
"""


def function(expected: object) -> dict[str, object]:
    return {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": expected}]}


def test_what_all_jobs_have_from_their_zygote(sandbox: Sandbox) -> None:
    """No core files, no locked memory, no message queues, few signals; files for oneself; no more privileges by exec."""
    grade = sandbox.grade(INHERITED, function(([(0, 0)] * 3, True, 0o077, 1)))
    assert grade.status == "correct", grade.detail


@pytest.fixture
def processors(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Two processors to work on, however many the machine has: to be busy, all of them take a worker each."""
    usable = os.sched_getaffinity(0)
    if len(usable) < 2:
        pytest.skip("needs two processors")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    os.sched_setaffinity(0, sorted(usable)[:2])
    yield 2
    os.sched_setaffinity(0, usable)


def test_where_all_workers_are_busy_short_jobs_stay_on_a_processor_and_long_ones_may_leave_it(
    sandbox: Sandbox, processors: int
) -> None:
    if sandbox.tier != "A":
        pytest.skip("needs tier A")
    with Sandbox(processors, Limits(timeout_seconds=60), tier="A") as box, ThreadPoolExecutor(processors) as threads:
        alone = [box.grade(PROCESSORS, function(processors)).passed for _ in range(5)]
        assert all(alone)
        # Some of them: on a loaded machine a job may be released before it looks.
        assert any(threads.map(lambda _: box.grade(PROCESSORS, function(1)).passed, range(20 * processors)))
        released = RELEASED.replace("PROCESSORS", str(processors))
        for grade in threads.map(lambda _: box.grade(released, function([1, 1, 1])), range(2 * processors)):
            assert grade.status == "correct", grade.detail
        time.sleep(0.2)
        assert box.grade(released, function([1, 1, 1])).passed  # made ahead on one processor, and released all the same
        box.grade(PROCESSORS, function(1))
        assert box.grade(PROCESSORS, function(processors)).passed
