"""The job that is kept ready in tier A: that it is used, replaced when it does not fit, and not missed when it dies."""

import contextlib
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import HELD_UP_SECONDS

from sandbox import Sandbox, SandboxError
from sandbox.inside.bounds import Bounds
from sandbox.inside.frames import read_frame
from sandbox.zygote_client import RUNNER, Job, ZygoteClient

CODE = "import resource\ndef f(): return resource.getrlimit(resource.RLIMIT_NOFILE)[0]"


@pytest.fixture
def zygote(sandbox: Sandbox) -> Iterator[ZygoteClient]:
    if sandbox.tier != "A":
        pytest.skip("only tier A forks ahead")
    zygote = ZygoteClient("A")
    yield zygote
    zygote.close()


def bounds(files: int) -> Bounds:
    return Bounds(64 << 20, 5, 16, files, 1 << 20, 1 << 20, 64)


def children(zygote: ZygoteClient) -> list[int]:
    pid = zygote._process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_all_that_wait(zygote: ZygoteClient) -> None:
    killed = set(children(zygote))
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    _wait_for(lambda: not killed & set(children(zygote)))


def run(zygote: ZygoteClient, files: int) -> int:
    """The pid of a job that ran to its end."""
    job = zygote.start(RUNNER, bounds(files))
    assert read_frame(job.channel) == ["ready"]
    job.close_channel()  # it reads the end of its requests, and leaves
    zygote.wait(job)
    assert job.status == 0
    job.close()
    return job.pid


def test_the_next_job_was_there_before_the_one_before_it_ended(zygote: ZygoteClient) -> None:
    run(zygote, 20)
    waiting = set(children(zygote))
    assert run(zygote, 20) in waiting
    _wait_for(lambda: len(children(zygote)) == 2)  # one handed over, and one kept ready


def test_jobs_of_other_bounds_take_the_place_of_those_that_were_ready(zygote: ZygoteClient) -> None:
    for files in (20, 30, 30, 20, 30):
        run(zygote, files)
    _wait_for(lambda: len(children(zygote)) <= 2)


def test_a_job_that_died_while_it_waited_is_not_missed(zygote: ZygoteClient) -> None:
    for _ in range(5):
        run(zygote, 20)
        kill_all_that_wait(zygote)
        run(zygote, 20)
    assert zygote.healthy


def test_one_that_dies_while_it_waits_is_not_replaced_again_and_again(zygote: ZygoteClient) -> None:
    """It would be so without end where no job can be confined, and each one has two descriptors of the parent."""
    job = zygote.start(RUNNER, bounds(20))
    _wait_for(lambda: len(children(zygote)) == 2)
    for pid in children(zygote):
        if pid != job.pid:
            os.kill(pid, signal.SIGKILL)
    _wait_for(lambda: children(zygote) == [job.pid])
    time.sleep(0.05)
    assert children(zygote) == [job.pid]
    assert not select.select([zygote], [], [], 0)[0]  # and the parent is not told
    job.kill("over")
    zygote.wait(job)
    job.close()
    run(zygote, 20)


def test_the_job_after_one_that_died_has_a_directory_of_its_own(sandbox: Sandbox) -> None:
    if sandbox.tier != "A":
        pytest.skip("only tier A forks ahead")
    code = "import os, time\ndef f():\n    time.sleep(0.05)\n    open('/tmp/a', 'w').close()\n    open('b', 'w').close()\n    return sorted(os.listdir('.'))"
    test = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": ["a", "b"]}]}
    with Sandbox(tier="A") as box:
        for _ in range(3):
            assert box.run("print(1)").status == "ok"
            kill_all_that_wait(box._workers()._workers[0].zygote())
            assert box.grade(code, test).detail == ""


@pytest.mark.parametrize("kind", ["check", "assert"])
def test_a_program_whose_job_died_before_it_was_told_anything_has_no_verdict(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A job may be killed by somebody outside, in the moment after it was looked at."""
    if sandbox.tier != "A":
        pytest.skip("only tier A forks ahead")
    tests = {
        "check": {"type": "check", "fn_name": "f", "test": "def check(candidate): assert candidate() == 1"},
        "assert": {"type": "assert", "fn_name": "f", "tests": ["assert f() + 1 == 2"]},
    }
    with Sandbox(tier="A") as box:
        assert box.grade("def f(): return 1", tests[kind]).status == "correct"
        kill_all_that_wait(box._workers()._workers[0].zygote())
        monkeypatch.setattr(Job, "alive", lambda job: True)
        grade = box.grade("def f(): return 1", tests[kind])
        assert (grade.status, grade.passed) == ("error", 0), grade.detail
        monkeypatch.undo()
        assert box.grade("def f(): return 1", tests[kind]).status == "correct"


def test_too_many_open_files_of_the_parent_are_an_error_and_no_verdict(zygote: ZygoteClient) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    job = zygote.start(RUNNER, bounds(20))
    taken = [os.dup(0)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 8, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        job.kill("over")
        with pytest.raises(SandboxError, match="open files"):
            zygote.wait(job)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
        job.close()
    assert not zygote.healthy


def test_descriptors_that_a_job_sends_to_the_parent_leave_room_for_the_next_job(sandbox: Sandbox) -> None:
    if sandbox.tier != "A":
        pytest.skip("only tier A forks ahead")
    code = (
        "import array, os, socket\ns = socket.socket(fileno=os.dup(3))\ntry:\n"
        "    while True: s.sendmsg([b'0'], [(1, 1, array.array('i', [0] * 200))])\nexcept OSError: os._exit(0)"
    )
    test = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": 1}]}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        with Sandbox(tier="A") as box:
            for _ in range(3):
                assert box.grade(code, test).status == "wrong"
                assert box.grade("def f(): return 1", test).status == "correct"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_job_that_cannot_be_confined_says_so_and_hangs_nothing(
    zygote: ZygoteClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = Job.alive
    monkeypatch.setattr(Job, "alive", lambda job: time.sleep(0.05) or alive(job))  # it has ended by then
    started = time.monotonic()
    for _ in range(5):
        job = zygote.start(RUNNER, bounds(files=-5))  # more than anybody may have
        broken = read_frame(job.channel)
        assert isinstance(broken, list)
        assert broken[0] == "broken"
        zygote.wait(job)
        job.close()
        run(zygote, 20)
    assert time.monotonic() - started < HELD_UP_SECONDS


def test_bounds_are_those_of_each_call(sandbox: Sandbox) -> None:
    test = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": sandbox.limits.files}]}
    for memory_mb in (64, 96, 64, 64, 96):
        assert sandbox.grade(CODE, test, memory_mb=memory_mb).status == "correct"


def _wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)
