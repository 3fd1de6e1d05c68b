"""Code tasks: the worked solution of every row passes its tests, and nothing else does.

With RLVR_DATA set to a folder that holds humaneval.jsonl.gz, mbpp.jsonl and mbpp_sanitized.json, the whole datasets
are gone through; without it, small files of the same columns.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import Problem, make_task
from tasks.code_jsonl import as_test
from verifiers.code import CodeVerifier, extract_code

SMALL = Path(__file__).parent / "data"
VERIFIER = CodeVerifier(timeout_seconds=20.0)


def _problems(name: str, file: str) -> list[Problem]:
    task = make_task(name, {"train": file, "test": file}, seed=0)
    return task.held_out(100_000)


def _sources() -> Iterator[tuple[str, str, int]]:
    yield "humaneval", str(SMALL / "humaneval.jsonl"), 2
    yield "mbpp", str(SMALL / "mbpp.jsonl"), 2
    if folder := os.environ.get("RLVR_DATA"):
        yield "humaneval", f"{folder}/humaneval.jsonl.gz", 164
        yield "mbpp", f"{folder}/mbpp.jsonl", 974
        yield "mbpp", f"{folder}/mbpp_sanitized.json", 427


@pytest.mark.parametrize(("name", "file", "count"), _sources())
def test_every_worked_solution_passes(name: str, file: str, count: int) -> None:
    problems = _problems(name, file)
    assert len(problems) == count
    verdicts = VERIFIER.verify_batch([(p.solution or "", p.answer) for p in problems], workers=2, timeout_seconds=90.0)
    failed = [(p.id, v.status, v.detail) for p, v in zip(problems, verdicts, strict=True) if v.score != 1.0]
    assert failed == []


@pytest.mark.parametrize(("name", "file", "count"), _sources())
@pytest.mark.parametrize("kind", ["another problem's solution", "an empty body", "pass", "nothing"])
def test_nothing_else_passes(name: str, file: str, count: int, kind: str) -> None:
    problems = _problems(name, file)
    pairs = []
    for here, problem in enumerate(problems):
        fn_name = json.loads(problem.answer)["tests"][0]["fn_name"]
        code = {
            "another problem's solution": _renamed(problems[(here + 1) % len(problems)], fn_name),
            "an empty body": f"def {fn_name}(*args, **kwargs):\n    pass",
            "pass": "pass",
            "nothing": "# nothing",
        }[kind]
        pairs.append((f"```python\n{code}\n```", problem.answer))
    verdicts = VERIFIER.verify_batch(pairs, workers=2, timeout_seconds=20.0)
    passed = [p.id for p, v in zip(problems, verdicts, strict=True) if v.score != 0.0]
    # A neighbour can be the same exercise in other words.
    assert len(passed) <= (len(problems) // 100 if kind == "another problem's solution" else 0), passed


def _renamed(problem: Problem, fn_name: str) -> str:
    own_name = json.loads(problem.answer)["tests"][0]["fn_name"]
    return re.sub(rf"\b{re.escape(own_name)}\b", fn_name, extract_code(problem.solution or "") or "")


def test_rows_of_the_apps_style_become_calls_or_programs() -> None:
    file = str(SMALL / "apps.jsonl")
    task = make_task("code_jsonl", {"train": file, "test": file, "solution_column": "solutions"}, seed=0)
    problems = task.held_out(10)
    assert [json.loads(p.answer)["tests"][0]["type"] for p in problems] == ["function", "function", "stdio"]
    assert [VERIFIER(p.solution or "", p.answer).score for p in problems] == [1.0, 1.0, 1.0]
    assert [VERIFIER("```python\npass\n```", p.answer).score for p in problems] == [0.0, 0.0, 0.0]


def test_outputs_in_lists_of_one_are_taken_out_of_them() -> None:
    test = as_test({"fn_name": "f", "inputs": [[1, 2], [3, 4]], "outputs": [[3], [7]]})
    assert test["cases"] == [{"args": [1, 2], "expected": 3}, {"args": [3, 4], "expected": 7}]
    test = as_test({"fn_name": "f", "inputs": [[1], [2]], "outputs": [[1, 2], [3]]})
    assert [case["expected"] for case in test["cases"]] == [[1, 2], [3]]


def test_lines_in_lists_become_text() -> None:
    assert as_test({"inputs": [["1", "2"]], "outputs": ["3"]})["cases"] == [{"stdin": "1\n2", "stdout": "3"}]


@pytest.mark.parametrize("tests", [{"inputs": [], "outputs": []}, {"inputs": ["1"], "outputs": []}])
def test_rows_without_matching_outputs_are_refused(tests: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="as many outputs as inputs"):
        as_test(tests)


@pytest.mark.parametrize(
    ("name", "knob"),
    [
        ("code_jsonl", "verifier"),
        *(
            (name, knob)
            for name in ("humaneval", "mbpp")
            for knob in ("verifier", "question_column", "solution_column")
        ),
    ],
)
def test_a_knob_that_would_do_nothing_is_refused(name: str, knob: str) -> None:
    with pytest.raises(ValueError, match=f"the task '{name}' has no knob '{knob}'"):
        make_task(name, {"train": "rows.jsonl", knob: "x"}, seed=0)


@pytest.mark.parametrize(("name", "column"), [("humaneval", "entry_point"), ("mbpp", "task_id")])
def test_a_column_names_the_cohort(name: str, column: str) -> None:
    file = str(SMALL / f"{name}.jsonl")
    problems = make_task(name, {"train": file, "test": file, "cohort_column": column}, seed=0).held_out(10)
    rows = [json.loads(line) for line in Path(file).read_text().splitlines()]
    assert [problem.cohort for problem in problems] == [str(row[column]) for row in rows]


def test_a_question_shows_no_more_tests_than_asked() -> None:
    file = str(SMALL / "mbpp.jsonl")
    for shown in (0, 1, 3):
        problem = make_task("mbpp", {"train": file, "test": file, "shown_tests": shown}, seed=0).held_out(1)[0]
        assert problem.prompt[-1]["content"].count("assert") == shown
