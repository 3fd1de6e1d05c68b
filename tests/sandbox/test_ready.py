"""The job that is kept ready in tier A: that it is used, replaced when it does not fit, and not missed when it dies."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.inside.bounds import Bounds
from sandbox.inside.frames import read_frame
from sandbox.worker import RUNNER, Zygote

CODE = "import resource\ndef f(): return resource.getrlimit(resource.RLIMIT_NOFILE)[0]"


@pytest.fixture
def zygote(sandbox: Sandbox) -> Iterator[Zygote]:
    if sandbox.tier != "A":
        pytest.skip("only tier A forks ahead")
    zygote = Zygote("A")
    yield zygote
    zygote.close()


def bounds(files: int) -> Bounds:
    return Bounds(64 << 20, 5, 16, files, 1 << 20, 1 << 20, 64)


def children(zygote: Zygote) -> list[int]:
    pid = zygote._process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def run(zygote: Zygote, files: int) -> int:
    """The pid of a job that ran to its end."""
    job = zygote.start(RUNNER, bounds(files))
    assert read_frame(job.channel) == ["ready"]
    job.close_channel()  # it reads the end of its requests, and leaves
    zygote.wait(job)
    assert job.status == 0
    job.close()
    return job.pid


def test_the_next_job_was_there_before_the_one_before_it_ended(zygote: Zygote) -> None:
    run(zygote, 20)
    waiting = set(children(zygote))
    assert run(zygote, 20) in waiting
    _wait_for(lambda: len(children(zygote)) == 2)  # one handed over, and one kept ready


def test_jobs_of_other_bounds_take_the_place_of_those_that_were_ready(zygote: Zygote) -> None:
    for files in (20, 30, 30, 20, 30):
        run(zygote, files)
    _wait_for(lambda: len(children(zygote)) <= 2)


def test_a_job_that_died_while_it_waited_is_not_missed(zygote: Zygote) -> None:
    for _ in range(5):
        run(zygote, 20)
        for pid in children(zygote):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        run(zygote, 20)
    assert zygote.healthy


def test_bounds_are_those_of_each_call(sandbox: Sandbox) -> None:
    test = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": sandbox.limits.files}]}
    for memory_mb in (64, 96, 64, 64, 96):
        assert sandbox.grade(CODE, test, memory_mb=memory_mb).status == "correct"


def _wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)
