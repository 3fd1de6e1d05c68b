"""Problems that do not fit: which are left out, what is said, and that numbers keep their problems."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rlvr.errors import DataError
from rlvr.models.chat import Chat
from rlvr.rollouts.evaluate import evaluate
from rlvr.rollouts.fitting import FittingTask, room_for_answers, room_for_solutions, short_prompts
from rlvr.types import Sampling
from tasks import Problem, make_task
from tasks.dataset import DatasetTask
from tasks.problem import question_problem
from tests.rlvr.players import Numbers, even_is_right, player_of


@dataclass
class SomeLong(Numbers):
    """Every third problem is too long."""

    def problem(self, index: int) -> Problem:
        return question_problem(f"n-{index}", "word " * 300 if index % 3 == 0 else f"Say {index}.", str(index))


def fitting(chat: Chat, task: Any, max_tokens: int = 40) -> FittingTask:
    return FittingTask(task, room_for_answers(chat, max_tokens))


def test_where_all_fit_each_number_keeps_its_problem(chat: Chat) -> None:
    task = fitting(chat, Numbers())
    assert [task.problem(n) for n in (0, 5, 2)] == [Numbers().problem(n) for n in (0, 5, 2)]
    assert (task.left_out, task.look_through()) == (0, None)


def test_an_endless_task_is_passed_over_as_it_comes_up_and_the_same_whoever_asks(chat: Chat) -> None:
    task = fitting(chat, SomeLong())
    assert task.look_through() is None
    assert [task.problem(n).id for n in range(5)] == ["n-1", "n-2", "n-4", "n-5", "n-7"]
    assert task.left_out == 3
    assert task.first.startswith("problem 'n-0' of '', whose prompt has ")
    assert fitting(chat, SomeLong()).problem(4).id == "n-7"  # a run that goes on begins there


def rows(path: Path, long: set[int], count: int = 10) -> DatasetTask:
    path.write_text(
        "".join(
            json.dumps(
                {"question": f"{n}: " + "word " * 300 * (n in long), "answer": "1", "solution": "s " * (1 + n * n)}
            )
            + "\n"
            for n in range(count)
        )
    )
    return DatasetTask(str(path), held_out_rows=0, solution_column="solution")


def test_all_rows_of_a_table_are_looked_through_at_the_start(chat: Chat, tmp_path: Path) -> None:
    task = fitting(chat, rows(tmp_path / "rows.jsonl", {2, 7}))
    said = task.look_through()
    assert said is not None
    assert said.startswith("2 of 10 problems to train on do not fit and are left out; the first: problem 'train-")
    assert "tokens, and with sampling.max_tokens=40 that is more than the context of 256" in said
    for first in (0, 8):  # each pass has each of the others once
        asked = [task.problem(n).id for n in range(first, first + 8)]
        assert sorted(asked) == [f"train-{n}" for n in (0, 1, 3, 4, 5, 6, 8, 9)]


def test_a_task_that_generates_its_problems_is_not_looked_through(chat: Chat) -> None:
    task = fitting(chat, make_task("countdown", {}, seed=0))
    assert task.look_through() is None
    assert task.inspected == 0


def test_where_no_row_fits_the_way_out_is_said(chat: Chat, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the 3 problems to train on fits.*Lower sampling\.max_tokens"):
        fitting(chat, rows(tmp_path / "rows.jsonl", {0, 1, 2}, 3)).look_through()
    endless = fitting(chat, SomeLong(), max_tokens=255)
    with pytest.raises(DataError, match=r"10000 problems in a row do not fit"):
        endless.problem(0)


def test_a_solution_that_is_too_long_is_left_out_and_a_missing_one_is_refused_at_the_start(
    chat: Chat, tmp_path: Path
) -> None:
    task = FittingTask(rows(tmp_path / "rows.jsonl", {2}, 20), room_for_solutions(chat))
    said = task.look_through()
    assert said is not None
    most = next(n for n in range(20) if len(chat.completion_ids("s " * (1 + n * n))) > 245)
    assert said.startswith(f"{1 + 20 - most} of 20 problems")
    without = replace(rows(tmp_path / "rows.jsonl", set(), 4), solution_column="")
    with pytest.raises(DataError, match="has no worked solution"):
        FittingTask(without, room_for_solutions(chat)).look_through()


def test_what_is_short_by_its_bytes_is_short_in_tokens(chat: Chat) -> None:
    is_short = short_prompts(chat, 100)
    prompts = [
        question_problem("p", text * n, "").prompt for text in ("a", "é", "12 ", "<|user|>") for n in range(1, 60)
    ]
    short = [prompt for prompt in prompts if is_short(prompt)]
    assert 0 < len(short) < len(prompts)
    assert max(len(chat.prompt_ids(prompt)) for prompt in short) <= 100


def test_held_out_problems_that_do_not_fit_count_as_unsolved_and_are_counted(chat: Chat) -> None:
    problems = [SomeLong().problem(n) for n in range(6)]
    found = evaluate(problems, 2, Sampling(40), player_of(chat, lambda *_: "4"), even_is_right, seed=0)
    assert found.estimates["greedy"].mean == pytest.approx(4 / 6)
    assert found.estimates["pass@2"].mean == pytest.approx(4 / 6)
    assert [group.problem for group in found.groups[0]] == problems
    metrics = found.metrics()
    assert metrics["eval/did_not_fit"] == pytest.approx(2 / 6)
    assert (metrics["eval/grader_failed"], metrics["eval/truncated"]) == (0.0, pytest.approx(2 / 6))
    fits = evaluate(problems[1:3], 2, Sampling(40), player_of(chat), even_is_right, seed=0)
    assert "eval/did_not_fit" not in fits.metrics()
