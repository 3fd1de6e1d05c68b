from pathlib import Path

from rlvr.compare.processes import LOG, Job, is_finished, run_jobs


def job(folder: Path, name: str, needs: Job | None = None) -> Job:
    (folder / name).mkdir()
    return Job(name, folder / name, steps=5, threads=1, needs=needs)


def finish(one: Job, steps: int = 5) -> None:
    (one.folder / "model").mkdir()
    (one.folder / "metrics.jsonl").write_text("".join(f'{{"step": {step}}}\n' for step in range(steps + 1)))


def test_what_needs_a_failed_run_is_not_started_and_says_why(tmp_path: Path) -> None:
    first = job(tmp_path, "cold start")
    first.state = "failed"
    second = job(tmp_path, "grpo", needs=first)
    assert run_jobs([first, second], at_once=1, watch=lambda jobs: None)
    assert second.state == "failed"
    assert second.tail() == f"not started: cold start failed, see {first.folder / LOG}"


def test_a_finished_folder_is_reused_and_one_with_fewer_steps_is_not(tmp_path: Path) -> None:
    whole, short = job(tmp_path, "whole"), job(tmp_path, "short")
    finish(whole)
    finish(short, steps=4)
    states: list[list[str]] = []
    assert run_jobs([whole], at_once=1, watch=lambda jobs: states.append([one.state for one in jobs]))
    assert states == [["reused"]]
    assert not is_finished(short.folder, 5)


def test_the_tail_of_a_log_is_of_the_last_attempt_only(tmp_path: Path) -> None:
    one = job(tmp_path, "grpo")
    (one.folder / LOG).write_text("an earlier attempt\n")
    one.log_start = len("an earlier attempt\n")
    with (one.folder / LOG).open("a") as log:
        log.write("".join(f"line {number}\n" for number in range(40)))
    assert one.tail().splitlines() == [f"line {number}" for number in range(25, 40)]
