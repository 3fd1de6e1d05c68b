"""Tasks by name, on rows in the formats of the public sets and, where `RLVR_DATA` names them, on the real ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tasks import Problem, make_task
from tasks.competition_math import last_boxed
from verifiers import verify_batch


def problems_of(tmp_path: Path, name: str, rows: list[dict[str, Any]], **knobs: Any) -> list[Problem]:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return make_task(name, {"test": str(path), "train": "", **knobs}, seed=0).held_out(1_000)


@pytest.mark.parametrize("name", ["math", "math500"])
def test_each_solution_of_math_500_is_right_and_its_box_is_the_answer(
    data: Path, name: str, has_all_data: bool
) -> None:
    problems = make_task(name, {"test": str(data / "math500.jsonl"), "train": ""}, seed=0).held_out(1_000)
    assert len(problems) == (500 if has_all_data else len((data / "math500.jsonl").read_text().splitlines()))
    assert {last_boxed(problem.solution or "") == problem.answer for problem in problems} == {True}
    assert {problem.cohort for problem in problems} <= {f"level {n}" for n in range(1, 6)}
    assert problems[0].prompt[-1]["content"].endswith("your final answer within \\boxed{}.")
    verdicts = verify_batch([(problem.solution or "", problem.answer) for problem in problems[:50]])
    assert {verdict.score for verdict in verdicts} == {1.0}


def test_math_of_hendrycks_has_its_answers_in_the_solutions(tmp_path: Path) -> None:
    row = {
        "problem": "q?",
        "level": "Level 5",
        "type": "Algebra",
        "solution": r"So $x=\boxed{1}$, hence $\boxed{\frac{1}{2}}$.",
    }
    (problem,) = problems_of(tmp_path, "math", [row])
    assert (problem.answer, problem.cohort, problem.solution) == (r"\frac{1}{2}", "level 5", row["solution"])
    with pytest.raises(
        ValueError, match=r"test-0: it has no 'answer', and its solution has no \\boxed answer: got 'So 3.'"
    ):
        problems_of(tmp_path, "math", [{**row, "solution": "So 3."}])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{a{b}c}", "a{b}c"),
        (r"\boxed 5$.", "5"),
        (r"\fbox{x}", "x"),
        (r"\boxed{1", None),
        ("none", None),
        (r"\boxed{}", None),
    ],
)
def test_the_last_box_has_balanced_braces(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


@pytest.mark.parametrize(
    ("row", "answer", "cohort"),
    [
        ({"ID": "2024-I-1", "Problem": "q?", "Solution": "s", "Answer": 204}, 204, ""),
        ({"id": 60, "problem": "q?", "solution": "s", "answer": "025", "url": "u", "year": "2024"}, "025", "2024"),
        ({"id": 0, "problem": "q?", "answer": 142.0, "url": "u"}, "142", ""),
        ({"Year": 1983, "Problem Number": 1, "Question": "q?", "Answer": "60"}, "60", "1983"),
    ],
)
def test_contests_name_their_columns_in_many_ways(
    tmp_path: Path, row: dict[str, Any], answer: Any, cohort: str
) -> None:
    (problem,) = problems_of(tmp_path, "contest", [row])
    assert (problem.answer, problem.cohort) == (answer, cohort)
    assert problem.prompt[-1]["content"].startswith("q?\n")
    assert verify_batch([(rf"\boxed{{{int(float(answer))}}}", problem.answer)])[0].score == 1.0


def test_a_set_without_training_rows_is_for_evaluation_only(tmp_path: Path) -> None:
    path = tmp_path / "aime.jsonl"
    path.write_text('{"problem": "q?", "answer": "1"}')
    task = make_task("contest", {"test": str(path)}, seed=0)
    assert len(task.held_out(9)) == 1
    with pytest.raises(ValueError, match=r"no rows to train on, only a test set; name some in task\.train"):
        task.problem(0)


def test_svamp_is_a_story_and_a_question(tmp_path: Path) -> None:
    row = {
        "Body": "Each pack costs 76 dollars. If there is a discount of 25 dollars on each pack",
        "Question": "How much is a pack?",
        "Equation": "( 76.0 - 25.0 )",
        "Answer": 51.0,
        "Type": "Subtraction",
    }
    (problem,) = problems_of(tmp_path, "svamp", [row])
    assert problem.prompt[-1]["content"].startswith(
        "Each pack of dvds costs 76 dollars. If there is a discount of 25 dollars on each pack. How"
    )
    assert (problem.answer, problem.cohort) == ("51", "Subtraction")


CITIES = ["Rome", "Paris", "Oslo"]


@pytest.mark.parametrize(
    ("row", "knobs", "letter"),
    [
        ({"choices": CITIES, "answer": 1}, {}, "B"),
        ({"choices": CITIES, "answer": 3}, {"first_place": 1}, "C"),
        ({"choices": {"text": CITIES, "label": ["A", "B", "C"]}, "key": "B"}, {"answer_column": "key"}, "B"),
        ({"choices": {"text": CITIES, "label": ["1", "2", "3"]}, "key": "3"}, {"answer_column": "key"}, "C"),
        ({"options": {"A": "Rome", "B": "Paris", "C": "Oslo"}, "answer": "Paris"}, {"choices_column": "options"}, "B"),
        ({"choices": CITIES, "answer": "(b)"}, {}, "B"),
        ({"choices": CITIES, "answer": "C."}, {}, "C"),
        ({"endings": CITIES, "label": "2"}, {"choices_column": "endings", "answer_column": "label"}, "C"),
        ({"A": "Rome", "B": "Paris", "C": "Oslo", "answer": "C"}, {"choices_column": ["A", "B", "C"]}, "C"),
        ({"choices": [{"label": "A", "text": "Rome"}, {"label": "B", "text": "Paris"}], "answer": "B"}, {}, "B"),
        ({"choices": ["1", "2", "3"], "answer": 2}, {}, "C"),
        ({"choices": [1, 2, 30], "answer": "30"}, {}, "C"),
    ],
)  # fmt: skip
def test_choices_and_answers_of_every_layout_become_letters(
    tmp_path: Path, row: dict[str, Any], knobs: dict[str, Any], letter: str
) -> None:
    (problem,) = problems_of(tmp_path, "choice", [{"question": "Where?", **row}], **knobs)
    assert (problem.answer, problem.verifier) == (letter, "choice")
    assert problem.prompt[-1]["content"].startswith("Where?\n\nA. ")
    assert verify_batch([(rf"\boxed{{{letter}}}", problem.answer)], "choice")[0].score == 1.0


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"choices": CITIES, "answer": "Bonn"},
            "holds 'Bonn', expected a label (A, B, C), the text of a choice, or",
        ),
        ({"choices": CITIES, "answer": 3}, "holds '3', expected a label"),
        ({"choices": ["1", "2", "3"], "answer": "2"}, "holds '2', which can mean the choices B and C"),
        ({"choices": ["same", "same"], "answer": "same"}, "holds 'same', which can mean the choices A and B"),
        ({"choices": ["one"], "answer": 0}, "got 1 choices, expected 2 to 26"),
        ({"choices": "Rome, Paris", "answer": 0}, "expected a list of texts or an object of texts by label"),
        ({"choices": {"text": CITIES, "label": ["A"]}, "answer": "A"}, "expected as many different labels as texts"),
    ],
)
def test_an_answer_that_names_no_single_choice_is_refused(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        problems_of(tmp_path, "choice", [{"question": "Where?", **row}])


def test_more_than_ten_choices_tell_the_verifier_their_letters(tmp_path: Path) -> None:
    (problem,) = problems_of(
        tmp_path, "choice", [{"question": "q", "choices": [f"n{n}" for n in range(12)], "answer": 11}]
    )
    assert (problem.answer, problem.verifier) == ("L", {"name": "choice", "letters": "ABCDEFGHIJKL"})
    assert verify_batch([("L", problem.answer)], problem.verifier)[0].score == 1.0
