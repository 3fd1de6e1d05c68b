"""Rows in the style of APPS, TACO and LiveCodeBench: inputs and outputs of a program or a function."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.code import INSTRUCTION, code_problem
from tasks.columns import Row, has_column, value_at
from tasks.dataset import DatasetTask
from tasks.problem import Problem
from tasks.rows import Source, load_rows, require_columns


@dataclass(frozen=True)
class CodeJsonl(DatasetTask):
    """A table with a question, and tests as `{"inputs": [...], "outputs": [...], "fn_name"?: name}`.

    `answer_column` holds the tests as an object or as JSON text; without that column, the columns `inputs`, `outputs`
    and `fn_name` are read. Without `fn_name` the tests are standard input and output. `compare` is the rule for outputs
    (exact, lines, tokens), `tol` the tolerance for floats. `solution_column` may hold text, or a list (or JSON text of
    a list) whose first entry is used.
    """

    answer_column: str = "input_output"
    verifier: str = field(default="code", init=False)  # the tests need it
    compare: str = "lines"
    tol: float | None = None

    def load(self, source: Source, split: str) -> Sequence[Row]:
        rows = load_rows(source, split, self.subset)
        tests = [self.answer_column] if len(rows) and has_column(rows[0], self.answer_column) else ["inputs", "outputs"]
        require_columns(rows, [self.question_column, *tests], source)
        return rows

    def make_problem(self, row: Row, id: str, source: str) -> Problem:
        tests = value_at(row, self.answer_column) if has_column(row, self.answer_column) else None
        if tests is None:
            tests = {name: row.get(name) for name in ("inputs", "outputs", "fn_name")}
        try:
            test = as_test(json.loads(tests) if isinstance(tests, str) else tests, self.compare, self.tol)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"dataset {source!r}, row {id}: its tests cannot be read: {error}") from None
        return code_problem(
            str(row.get("id") or row.get("problem_id") or row.get("question_id") or id),
            self._text(row, self.question_column, id, source),
            [test],
            source=source,
            system=self.system,
            instruction=self.instruction or INSTRUCTION,
            solution=_first_solution(value_at(row, self.solution_column)) if self.solution_column else None,
            cohort=self._cohort(row),
        )


def as_test(tests: dict[str, Any], compare: str = "lines", tol: float | None = None) -> dict[str, Any]:
    """The tests as one test for `Sandbox.grade`. A list also matches a tuple, which JSON lacks. Raises `ValueError`."""
    inputs, outputs, fn_name = tests["inputs"], tests["outputs"], tests.get("fn_name")
    if len(inputs) != len(outputs) or not inputs:
        raise ValueError(f"expected as many outputs as inputs, and at least one: got {len(inputs)} and {len(outputs)}")
    limit: dict[str, Any] = {} if tol is None else {"tol": tol}
    if fn_name:
        # LiveCodeBench writes one JSON value per line; APPS wraps each output in a list of length one.
        arguments = [_json_lines(item) if isinstance(item, str) else item for item in inputs]
        results = [
            json.loads(item) if isinstance(item, str) and isinstance(inputs[0], str) else item for item in outputs
        ]
        if not isinstance(inputs[0], str) and all(isinstance(item, list) and len(item) == 1 for item in results):
            results = [item[0] for item in results]
        cases = [{"args": args, "expected": result} for args, result in zip(arguments, results, strict=True)]
        return {"type": "function", "fn_name": fn_name, "cases": cases, "sequences": "alike", **limit}
    texts = [
        {"stdin": _as_lines(stdin), "stdout": _as_lines(stdout)} for stdin, stdout in zip(inputs, outputs, strict=True)
    ]
    return {"type": "stdio", "cases": texts, "compare": compare, **limit}


def _json_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _as_lines(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _first_solution(value: Any) -> str | None:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    if isinstance(value, list):
        return str(value[0]) if value else None
    return str(value) if value else None
