"""What a job is given before it sees a program: by its zygote, for all jobs alike, and on which processors it runs."""

import os

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
    until = time.monotonic() + 5
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


def test_jobs_start_on_their_workers_processor_and_may_leave_it(sandbox: Sandbox) -> None:
    """With a worker for each processor. What runs longer than a moment is released, threads and children included."""
    processors = len(os.sched_getaffinity(0))
    if sandbox.tier != "A" or processors < 2:
        pytest.skip("needs tier A and two processors")
    with Sandbox(processors, Limits(timeout_seconds=10), tier="A") as box:
        # More than once: on a loaded machine a job may be released before it looks.
        assert any(box.grade(PROCESSORS, function(1)).passed for _ in range(20))
        grade = box.grade(RELEASED.replace("PROCESSORS", str(processors)), function([1, 1, 1]))
        assert grade.status == "correct", grade.detail
    with Sandbox(1, Limits(timeout_seconds=10), tier="A") as box:
        assert box.grade(PROCESSORS, function(processors)).passed
