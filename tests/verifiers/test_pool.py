"""Workers are persistent, killable, limited, and gone when their owner is."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from verifiers import WorkerPool

HERE = "tests.verifiers.plugins"


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2, memory_mb=400) as made:
        yield made


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that is dead but not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int) -> bool:
    """Whether a process ends within half a minute."""
    deadline = time.monotonic() + 30
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


def test_results_come_back_in_the_order_of_the_payloads(pool: WorkerPool) -> None:
    outcomes = pool.run(f"{HERE}:add", [(n, 1) for n in range(50)], 30.0)
    assert [outcome.value for outcome in outcomes] == list(range(1, 51))


def test_a_worker_is_kept_for_the_next_call(pool: WorkerPool) -> None:
    first = {outcome.value for outcome in pool.run(f"{HERE}:process_id", [None] * 8, 30.0)}
    second = {outcome.value for outcome in pool.run(f"{HERE}:process_id", [None] * 8, 30.0)}
    assert second <= first
    assert os.getpid() not in first


def test_calls_at_the_same_time_share_the_workers_that_they_ask_for() -> None:
    with WorkerPool(8) as pool:
        used: list[set[object]] = []

        def call() -> None:
            outcomes = pool.run(f"{HERE}:process_id", [None] * 10, 30.0, workers=1)
            used.append({outcome.value for outcome in outcomes})

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(used) == 4
        assert len(set.union(*used)) == 1


def test_a_job_past_its_deadline_is_killed_and_the_others_are_not_harmed(pool: WorkerPool) -> None:
    started = time.monotonic()
    outcomes = pool.run(f"{HERE}:sleep", [0.0, 30.0, 0.0, 0.01], 1.5)
    assert time.monotonic() - started < 25.0  # the job would have slept for 30
    assert [outcome.failure for outcome in outcomes] == ["", "timeout", "", ""]
    assert outcomes[1].detail == "stopped after 1.5 s"


def test_a_job_is_stopped_by_what_it_computes_and_not_by_what_it_waits_for(pool: WorkerPool) -> None:
    outcomes = pool.run(f"{HERE}:compute", [30.0, 0.01], 20.0, cpu_seconds=0.2)
    assert [outcome.failure for outcome in outcomes] == ["timeout", ""]
    assert outcomes[0].detail == "stopped after computing 0.2 s"
    (outcome,) = pool.run(f"{HERE}:sleep", [0.5], 20.0, cpu_seconds=0.2)
    assert outcome.failure == ""


def test_what_a_worker_computed_before_is_not_counted_against_its_next_job(pool: WorkerPool) -> None:
    outcomes = pool.run(f"{HERE}:compute", [0.15] * 4, 20.0, cpu_seconds=0.3, workers=1)
    assert [outcome.failure for outcome in outcomes] == [""] * 4


def test_a_job_that_wants_too_much_memory_fails_alone(pool: WorkerPool) -> None:
    (outcome,) = pool.run(f"{HERE}:hoard", [None], 30.0)
    assert outcome.failure == "raised"
    assert "MemoryError" in outcome.detail
    assert pool.run(f"{HERE}:add", [(2, 3)], 30.0)[0].value == 5


def test_how_a_worker_ended_is_said_and_memory_is_guessed_at_for_sigkill_only(pool: WorkerPool) -> None:
    outcomes = pool.run(f"{HERE}:end", [0, 11, 9], 30.0)
    assert [outcome.failure for outcome in outcomes] == ["died"] * 3
    assert [outcome.detail for outcome in outcomes] == [
        "the worker ended itself with exit code 3",
        "the worker was ended by signal 11 (Segmentation fault)",
        "the worker was ended by signal 9 (Killed): out of memory?",
    ]


def test_a_program_that_a_job_has_started_is_killed_with_it(pool: WorkerPool, tmp_path: Path) -> None:
    (outcome,) = pool.run(f"{HERE}:start_a_program_and_wait", [str(tmp_path / "pid")], 3.0)
    assert outcome.failure == "timeout"
    assert gone(int((tmp_path / "pid").read_text()))


def test_workers_end_with_a_killed_template_and_the_pool_recovers(pool: WorkerPool) -> None:
    (outcome,) = pool.run(f"{HERE}:process_id", [None], 30.0)
    parent = int(Path(f"/proc/{outcome.value}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, 9)
    assert gone(int(str(outcome.value)))
    outcomes = pool.run(f"{HERE}:add", [(1, 2), (3, 4)], 30.0)
    assert [outcome.value for outcome in outcomes if not outcome.failure] in ([3, 7], [7])
    assert pool.run(f"{HERE}:add", [(1, 2)], 30.0)[0].value == 3


def test_where_no_worker_can_be_started_every_job_says_so(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    outcomes = pool.run(f"{HERE}:add", [(1, 2), (3, 4), (5, 6)], 30.0)
    assert [outcome.failure for outcome in outcomes] == ["unstarted"] * 3
    assert outcomes[0].detail.startswith("no verifier worker could be started: ")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    pool.start()
    assert [outcome.failure for outcome in pool.run(f"{HERE}:add", [(1, 2)], 30.0)] == ["unstarted"]
    monkeypatch.undo()
    assert pool.run(f"{HERE}:add", [(1, 2)], 30.0)[0].value == 3


def test_threads_share_a_pool(pool: WorkerPool) -> None:
    sums: dict[int, list[object]] = {}

    def call(n: int) -> None:
        sums[n] = [outcome.value for outcome in pool.run(f"{HERE}:add", [(n, m) for m in range(20)], 30.0)]

    threads = [threading.Thread(target=call, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sums == {n: [n + m for m in range(20)] for n in range(6)}


def test_closing_ends_every_process_and_a_later_call_starts_afresh(pool: WorkerPool) -> None:
    (outcome,) = pool.run(f"{HERE}:process_id", [None], 30.0)
    pool.close()
    assert gone(int(str(outcome.value)))
    assert pool.run(f"{HERE}:add", [(1, 1)], 30.0)[0].value == 2


def test_workers_end_when_their_owner_is_killed() -> None:
    program = textwrap.dedent(f"""
        import sys, threading, time
        from verifiers import WorkerPool
        pool = WorkerPool(1)
        print(pool.run("{HERE}:process_id", [None], 30.0)[0].value, flush=True)
        threading.Thread(target=pool.run, args=("{HERE}:sleep", [60.0], 60.0)).start()
        time.sleep(60)
    """)
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    worker = int(owner.stdout.readline())
    assert is_alive(worker)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert gone(worker)
