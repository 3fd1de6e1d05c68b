"""What a run folder holds, read back as arrays."""

import json
from pathlib import Path

import numpy
import pytest

from rlvr.errors import DataError
from rlvr.report.results import Answer, Item, RunResult, read_run
from rlvr.runfolder.ledger import write_ledger
from rlvr.types import Finish, Group, Rollout
from tasks import Problem
from verifiers import Verdict


def rollout(answer: str | None, reward: float | None, tokens: int = 2, finish: Finish = "stop") -> Rollout:
    status = "error" if reward is None else "correct" if reward == 1 else "wrong"
    verdict = Verdict(reward, status, extracted=answer)
    return Rollout([1], [2] * tokens, [True] * tokens, [0.0] * tokens, finish, 0, f"it is {answer}", verdict, reward)


def group(number: int, *rollouts: Rollout) -> Group:
    problem = Problem(f"p{number}", ({"role": "user", "content": f"{number}?"},), "7", cohort="easy" if number else "")
    return Group(problem, rollouts)


RIGHT = rollout("7", 1.0)
# By the step of the evaluation.
GREEDY = {
    0: [group(0, rollout("1", 0.0)), group(1, rollout("7", 1.0, tokens=5))],
    4: [group(0, rollout("7", 1.0, tokens=3)), group(1, rollout("7", 0.5))],
}
DRAWN = {
    0: [group(0, rollout("1", 0.0, 4), RIGHT, rollout("1", 0.0)), group(1, RIGHT, RIGHT, RIGHT)],
    4: [group(0, RIGHT, RIGHT, RIGHT), group(1, rollout(None, None), rollout("7", 0.5), rollout("8", 0.0))],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for step in (0, 4):
        write_ledger(tmp_path / f"evaluations/step-{step:06d}-greedy.parquet", step, GREEDY[step])
        write_ledger(tmp_path / f"evaluations/step-{step:06d}-drawn.parquet", step, DRAWN[step])
    rows: list[dict[str, float | None]] = [{"step": 0, "eval/greedy": 0.5}]
    for step in range(1, 5):
        write_ledger(
            tmp_path / f"rollouts/step-{step:06d}.parquet", step, [group(0, rollout("1", 0.0, tokens=10 * step))]
        )
        rows.append({"step": step, "loss": step / 2, "time/sample": 1.0, "time/learn": 0.5, "time/evaluate": 100.0})
    rows[2]["loss"] = None
    rows[4]["kl"] = 0.25
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def read(folder: Path) -> RunResult:
    return read_run(folder, "grpo", seed=3)


def test_evaluations_are_arrays_by_step_problem_and_completion(folder: Path) -> None:
    run = read(folder)
    assert (run.variant, run.seed, run.eval_steps, run.samples) == ("grpo", 3, (0, 4), 3)
    assert run.greedy.tolist() == [[0, 1], [1, 0]]  # half a reward is not solved
    assert run.scores.tolist() == [[[0, 1, 0], [1, 1, 1]], [[1, 1, 1], [0, 0.5, 0]]]  # nor is a failed grader's
    assert run.majority.tolist() == [[0, 1], [1, 0]]
    assert run.tokens[0].tolist() == [[4, 2, 2], [2, 2, 2]]


def test_problems_and_the_last_greedy_completions_are_kept_as_they_are_shown(folder: Path) -> None:
    run = read(folder)
    assert run.items == (Item("p0", "", "0?", "7"), Item("p1", "easy", "1?", "7"))
    assert run.answers == (Answer("it is 7", True, "correct", 3), Answer("it is 7", False, "wrong", 2))


def test_training_is_by_step_and_what_a_step_does_not_have_is_not_a_number(folder: Path) -> None:
    training = read(folder).training
    assert training.keys() == {"step", "loss", "kl"}
    assert training["step"].tolist() == [1, 2, 3, 4]
    numpy.testing.assert_equal(training["loss"], [0.5, numpy.nan, 1.5, 2.0])
    numpy.testing.assert_equal(training["kl"], [numpy.nan, numpy.nan, numpy.nan, 0.25])


def test_tokens_and_seconds_are_those_of_training_up_to_each_step(folder: Path) -> None:
    run = read(folder)
    assert run.tokens_so_far.tolist() == [0, 10, 30, 60, 100]
    assert run.seconds_so_far.tolist() == [0, 1.5, 3.0, 4.5, 6.0]  # evaluations are not in them


def test_a_run_that_kept_no_ledger_has_no_tokens(folder: Path) -> None:
    (folder / "rollouts/step-000002.parquet").unlink()
    numpy.testing.assert_equal(read(folder).tokens_so_far, [0, 10, numpy.nan, numpy.nan, numpy.nan])


def test_memory_is_known_of_a_run_that_was_a_process_of_its_own(folder: Path) -> None:
    assert read(folder).peak_memory_bytes is None
    (folder / "process.json").write_text('{"peak_memory_bytes": 12345}')
    assert read(folder).peak_memory_bytes == 12345


def test_a_run_without_an_evaluation_after_training_is_refused(folder: Path) -> None:
    (folder / "evaluations/step-000004-greedy.parquet").unlink()
    with pytest.raises(DataError, match="got 1 evaluations, expected one before and one after training"):
        read(folder)


def test_an_evaluation_that_is_missing_or_damaged_is_named(folder: Path) -> None:
    path = folder / "evaluations/step-000004-drawn.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"step-000004-drawn\.parquet cannot be read: .*; delete the run folder, and"):
        read(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"step-000004-drawn\.parquet cannot be read"):
        read(folder)
