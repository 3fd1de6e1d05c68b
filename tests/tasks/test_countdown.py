"""Countdown: generated puzzles that can be solved, and rows of the public set."""

import itertools
import json
from fractions import Fraction
from pathlib import Path

import pytest

from tasks import make_task
from verifiers import verify_batch


def can_reach(values: list[Fraction], target: int) -> bool:
    if len(values) == 1:
        return values[0] == target
    for i, j in itertools.permutations(range(len(values)), 2):
        rest = [value for k, value in enumerate(values) if k not in (i, j)]
        a, b = values[i], values[j]
        results = [a + b, a - b, a * b, *([a / b] if b else [])]
        if any(can_reach([*rest, result], target) for result in results):
            return True
    return False


def test_each_generated_puzzle_has_a_solution_with_all_its_numbers() -> None:
    task = make_task("countdown", {"min_numbers": 2, "max_numbers": 4}, seed=3)
    for problem in [task.problem(number) for number in range(20)] + task.held_out(5):
        numbers, target = problem.answer["numbers"], problem.answer["target"]
        assert can_reach([Fraction(number) for number in numbers], target)
        assert target not in numbers
        assert (problem.cohort, problem.verifier) == (f"{len(numbers)} numbers", "countdown")
        assert (
            f"[{', '.join(map(str, numbers))}], create an equation that equals {target}."
            in problem.prompt[0]["content"]
        )


def test_puzzles_depend_on_seed_and_number_and_held_out_ones_on_neither() -> None:
    one, two = make_task("countdown", {}, seed=0), make_task("countdown", {}, seed=1)
    assert one.problem(5) == make_task("countdown", {}, seed=0).problem(5)
    assert one.problem(5).prompt != two.problem(5).prompt
    assert one.held_out(50) == two.held_out(50)
    few = make_task("countdown", {"max_number": 6, "max_target": 20, "max_numbers": 3}, seed=0)
    held_out = {(tuple(sorted(p.answer["numbers"])), p.answer["target"]) for p in few.held_out(10)}
    assert not held_out & {
        (tuple(sorted(p.answer["numbers"])), p.answer["target"]) for p in map(few.problem, range(3000))
    }


def test_rows_of_the_public_set_are_puzzles(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"target": 98, "nums": [44, 19, 35 + n]}) for n in range(10)))
    task = make_task("countdown", {"train": str(path)}, seed=0)
    problem = task.held_out(5)[0]
    assert (problem.answer, len(task.held_out(5))) == ({"numbers": [44, 19, 35], "target": 98}, 2)
    assert verify_batch([("<answer>44+19+35</answer>", problem.answer)], problem.verifier)[0].score == 1.0
    assert task.problem(0).columns["target"] == 98


def test_generated_puzzles_may_be_evaluated_on_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"target": 98, "nums": [44, 19, 35]}')
    task = make_task("countdown", {"test": str(path), "prompt": "r1"}, seed=0)
    assert [p.answer["target"] for p in task.held_out(5)] == [98]
    assert task.problem(0).prompt[0]["role"] == "system"


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"min_numbers": 5}, "got min_numbers=5, max_numbers=4; expected 2 <= min_numbers <= max_numbers <= 8"),
        ({"max_target": 1}, "got max_number=99, max_target=1; expected at least 2 for both"),
        ({"few_shot": 2}, "few_shot needs rows in train; give examples instead"),
        ({"answer_column": "x"}, "has no knob 'answer_column'"),
    ],
)
def test_knobs_that_cannot_be_are_refused(knobs: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_task("countdown", knobs, seed=0)


def test_a_row_that_is_no_puzzle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"target": 98, "nums": [44, 19]}\n{"target": "many", "nums": [44, 19]}')
    with pytest.raises(ValueError, match=r"row train-1: the ground truth must be .*, with numbers: got"):
        make_task("countdown", {"train": str(path)}, seed=0).problem(0)
