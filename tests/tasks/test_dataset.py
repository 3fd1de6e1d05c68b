"""Tables of one's own: what is held out of them, and the errors for those that cannot be used."""

import json
import re
from pathlib import Path

import pytest

from tasks import make_task


def table(tmp_path: Path, count: int, empty: int = -1, name: str = "rows.jsonl") -> Path:
    path = tmp_path / name
    rows = [{"question": f"1+{n}?", "answer": "" if n == empty else str(n + 1)} for n in range(count)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.mark.parametrize(("rows", "held_out"), [(2, 1), (10, 2), (11, 3), (2560, 512), (4000, 512)])
def test_a_fifth_of_the_rows_is_held_out_and_512_at_most(tmp_path: Path, rows: int, held_out: int) -> None:
    task = make_task("dataset", {"train": str(table(tmp_path, rows))}, seed=0)
    kept_back = task.held_out(10_000)
    assert len(kept_back) == held_out
    assert kept_back[0].prompt[0]["content"] == f"1+{rows - held_out}?"  # the last rows
    trained_on = {task.problem(number).answer for number in range(rows - held_out)}
    assert trained_on.isdisjoint(problem.answer for problem in kept_back)
    assert len(trained_on) == rows - held_out


def test_one_row_cannot_be_split(tmp_path: Path) -> None:
    task = make_task("dataset", {"train": str(table(tmp_path, 1))}, seed=0)
    with pytest.raises(ValueError, match=r"has 1 rows and 1 are held out; expected some to train on"):
        task.problem(0)


def test_an_empty_answer_is_found_when_the_rows_are_loaded(tmp_path: Path) -> None:
    whole, holed = table(tmp_path, 50), table(tmp_path, 50, empty=37, name="holed.jsonl")
    with pytest.raises(ValueError, match=r"row train-37: column 'answer' is empty; expected text"):
        make_task("dataset", {"train": str(holed)}, seed=0).problem(0)
    tested = make_task("dataset", {"train": str(whole), "test": str(holed)}, seed=0)
    with pytest.raises(ValueError, match=r"row test-37: column 'answer' is empty"):
        tested.held_out(1)


def test_a_list_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "q", "answer": ["1"]}\n{"question": "q", "answer": ["2"]}\n')
    with pytest.raises(ValueError, match=r"row train-0: column 'answer' holds a list; expected text"):
        make_task("dataset", {"train": str(path)}, seed=0).problem(0)


def test_a_text_that_yaml_leaves_empty_is_empty(tmp_path: Path) -> None:
    knobs = {"train": str(table(tmp_path, 10)), "test": None, "cohort_column": None}
    assert len(make_task("dataset", knobs, seed=0).held_out(10)) == 2


def test_an_empty_solution_is_no_solution(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "q", "answer": "1", "why": null}\n{"question": "q", "answer": "1", "why": "so 1"}\n')
    task = make_task("dataset", {"train": str(path), "test": str(path), "solution_column": "why"}, seed=0)
    assert [problem.solution for problem in task.held_out(2)] == [None, "so 1"]


@pytest.mark.parametrize(("name", "text"), [("a.jsonl", ""), ("b.jsonl", "\n"), ("c.csv", "question,answer\n")])
def test_a_table_without_rows_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=rf"{name}' has no rows; expected at least one, as (json|csv)$"):
        make_task("dataset", {"train": str(tmp_path / name)}, seed=0).problem(0)


def test_an_unknown_extension_is_refused(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("hello")
    with pytest.raises(ValueError, match=r"notes.txt' has an unknown extension: expected .jsonl, .json"):
        make_task("dataset", {"train": str(notes)}, seed=0).problem(0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"held_out_rows": -1}, "the task 'dataset': held_out_rows: got -1, expected at least 0"),
        ({"held_out_rows": "many"}, "the task 'dataset': held_out_rows: got 'many', expected a whole number"),
        ({"question_column": 3}, "the task 'dataset': question_column: got 3, expected text"),
        ({}, "the task 'dataset': train: is missing"),
    ],
)
def test_a_knob_of_the_wrong_type_is_refused_in_plain_words(knobs: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_task("dataset", {"train": "rows.jsonl", **knobs} if knobs else {}, seed=0)


def test_a_module_with_a_mistake_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_task_1.py").write_text("class Mine(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"'my_task_1:Mine' cannot .*SyntaxError: invalid syntax \(my_task_1.py, line"):
        make_task("my_task_1:Mine", {}, seed=0)
