"""Mixtures: shares, cohorts, verifiers, and questions that one part holds out of all others."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks import make_task
from tasks.mixture import shares


def rows(tmp_path: Path, name: str, numbers: range) -> str:
    path = tmp_path / name
    path.write_text("\n".join(json.dumps({"question": f"{n}?", "answer": str(n)}) for n in numbers))
    return str(path)


def mixture(tmp_path: Path, seed: int = 0, **parts: dict[str, Any]) -> Any:
    table = {"name": "dataset", "train": rows(tmp_path, "a.jsonl", range(50)), "verifier": "numeric"}
    known = {"sums": {"name": "arithmetic", "weight": 3, "max_steps": 2}, "table": table}
    return make_task("mixture", {"parts": {**known, **parts}}, seed=seed)


def test_each_thousand_problems_have_exactly_the_shares_of_the_weights(tmp_path: Path) -> None:
    task = mixture(tmp_path, puzzles={"name": "countdown", "weight": 0.5})
    problems = [task.problem(number) for number in range(1000)]
    assert Counter(problem.id.split("/")[0] for problem in problems) == {"sums": 667, "table": 222, "puzzles": 111}
    assert {problem.cohort for problem in problems} == {
        "sums, 2 steps", "table", "puzzles, 3 numbers", "puzzles, 4 numbers",
    }  # fmt: skip
    assert {problem.id.split("/")[0]: problem.verifier for problem in problems} == {
        "sums": "math", "table": "numeric", "puzzles": "countdown",
    }  # fmt: skip


def test_the_problems_of_a_part_come_in_their_own_order_across_rounds(tmp_path: Path) -> None:
    task = mixture(tmp_path)
    alone = make_task("arithmetic", {"max_steps": 2}, seed=0)
    sums = [p for p in map(task.problem, range(990, 1010)) if p.id.startswith("sums/")]
    numbers = [int(problem.id.rpartition("-")[2]) for problem in sums]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert sums[0].prompt == alone.problem(numbers[0]).prompt
    assert numbers[0] > 700


def test_a_number_and_a_seed_give_the_same_problem(tmp_path: Path) -> None:
    one, two = mixture(tmp_path), mixture(tmp_path, seed=1)
    assert [one.problem(n) for n in range(30)] == [mixture(tmp_path).problem(n) for n in range(30)]
    assert [one.problem(n).id for n in range(30)] != [two.problem(n).id for n in range(30)]


def test_held_out_problems_come_from_each_part_as_far_as_it_has_some(tmp_path: Path) -> None:
    task = mixture(tmp_path)
    counts = Counter(problem.id.split("/")[0] for problem in task.held_out(20))
    assert counts == {"sums": 15, "table": 5}
    assert Counter(p.id.split("/")[0] for p in task.held_out(100)) == {"sums": 90, "table": 10}  # a fifth of 50 rows
    assert Counter(p.id.split("/")[0] for p in task.held_out(1)) == {"sums": 1}


def test_what_one_part_holds_out_no_other_trains_on(tmp_path: Path) -> None:
    other = {"name": "dataset", "train": rows(tmp_path, "b.jsonl", range(0, 50, 5)), "held_out_rows": 0, "weight": 3}
    parts = {"one": {"name": "dataset", "train": rows(tmp_path, "c.jsonl", range(50))}, "two": other}
    task = make_task("mixture", {"parts": parts}, seed=0)
    with pytest.raises(ValueError, match="nearly all questions of the part 'two' are held out in another part"):
        [task.problem(number) for number in range(4)]
    parts["two"] = {**other, "train": rows(tmp_path, "d.jsonl", range(30))}
    task = make_task("mixture", {"parts": parts}, seed=0)
    held_out = {problem.prompt[0]["content"] for problem in task.held_out(1000)}
    trained = {task.problem(number).prompt[0]["content"] for number in range(1000)}
    assert len(held_out) == 10
    assert not held_out & trained


def test_a_part_may_have_a_verifier_of_its_own_and_be_a_mixture(tmp_path: Path) -> None:
    spec = {"name": "numeric", "absolute": 0.5}
    inner = {"name": "mixture", "parts": {"x": {"name": "arithmetic"}, "y": {"name": "one_liners"}}}
    task = mixture(tmp_path, sums={"name": "arithmetic", "verifier": spec}, inner=inner)
    problems = [task.problem(number) for number in range(60)]
    assert {str(p.verifier) for p in problems if p.id.startswith("sums/")} == {str(spec)}
    assert {p.verifier for p in problems if p.id.startswith("inner/y/")} == {"code"}
    assert any(problem.cohort.startswith("inner, x, ") for problem in problems)


def test_a_mixture_tells_the_files_and_notes_of_its_parts(tmp_path: Path) -> None:
    task = mixture(tmp_path)
    assert task.sources() == (str(tmp_path / "a.jsonl"),)
    assert task.notes() == (
        f"table: {tmp_path}/a.jsonl: 10 of 50 different questions are held out, and 40 rows are trained on",
    )


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, "parts: got none, expected tasks by name"),
        ({"a": {"weight": 1}}, "parts.a: names no task"),
        ({"a": {"name": "arithmetic", "weight": 0}}, "parts.a.weight: got 0, expected a number above 0"),
        ({"a": {"name": "arithmetic", "max_step": 1}}, "parts.a: the task 'arithmetic' has no knob 'max_step'"),
        ({"a": {"name": "arithmetik"}}, "parts.a: no task is called 'arithmetik': did you mean 'arithmetic'"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused_at_once(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_task("mixture", {"parts": parts}, seed=0)


@pytest.mark.parametrize(
    ("weights", "count", "expected"),
    [
        ({"a": 1.0, "b": 1.0, "c": 1.0}, 10, [4, 3, 3]),
        ({"a": 0.001, "b": 1.0}, 10, [1, 9]),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, 2, [1, 1, 0]),
        ({"a": 1.0, "b": 2.0}, 0, [0, 0]),
    ],
)
def test_shares_add_up_and_give_each_part_one_where_they_can(
    weights: dict[str, float], count: int, expected: list[int]
) -> None:
    assert list(shares(weights, count).values()) == expected
