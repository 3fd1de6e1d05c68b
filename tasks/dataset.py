"""A task from any table with a question column and an answer column."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from tasks.problem import Message, Problem
from tasks.rows import load_rows, require_columns, shuffled

MOST_HELD_OUT = 512  # rows by default: the confidence interval of an accuracy is then at most 0.09 wide


@dataclass(frozen=True)
class DatasetTask:
    """One problem per row.

    `train` and `test` are hub ids or paths of files (.jsonl, .json, .parquet, .csv). If `test` is empty, the last
    `held_out_rows` rows of `train` are held out; by default a fifth of the rows, at most 512. `instruction` is appended
    to each question, `system` is the system message. `cohort_column` and `solution_column` may be left empty. Every
    question and ground truth is checked when the rows are loaded, which raises `ValueError` for a bad row.

    A subclass adapts another data format. It overrides `load` (which columns must exist), and either `make_problem`
    (from a row to a problem) or just `ground_truth` and `worked_solution`.
    """

    train: str
    test: str = ""
    subset: str | None = None
    train_split: str = "train"
    test_split: str = "test"
    question_column: str = "question"
    answer_column: str = "answer"
    solution_column: str = ""
    cohort_column: str = ""
    verifier: str = "math"
    system: str = ""
    instruction: str = ""
    held_out_rows: Annotated[int, Field(ge=0)] | None = None
    seed: int = 0

    def problem(self, index: int) -> Problem:
        rows, count = self._train_rows, self._train_count
        row = shuffled(index, count, self.seed)
        return self.make_problem(rows[row], f"{self.train_split}-{row}", self.train)

    def held_out(self, count: int) -> list[Problem]:
        if self.test:
            rows, first, source = self._test_rows, 0, self.test
        else:
            rows, first, source = self._train_rows, self._train_count, self.train
        last = min(len(rows), first + count)
        return [self.make_problem(rows[row], f"held_out-{row - first}", source) for row in range(first, last)]

    @cached_property
    def _train_rows(self) -> Sequence[dict[str, Any]]:
        return self._checked(self.load(self.train, self.train_split), self.train, self.train_split)

    @cached_property
    def _test_rows(self) -> Sequence[dict[str, Any]]:
        return self._checked(self.load(self.test, self.test_split), self.test, self.test_split)

    @property
    def training_rows(self) -> int:
        """Number of rows to train on; problems 0 to n - 1 are each of them once."""
        return self._train_count

    @property
    def _train_count(self) -> int:
        rows = len(self._train_rows)
        if self.test:
            return rows
        held_out = min(MOST_HELD_OUT, -(-rows // 5)) if self.held_out_rows is None else self.held_out_rows
        if held_out >= rows:
            raise ValueError(
                f"dataset {self.train!r} has {rows} rows and {held_out} are held out; expected some to train on. "
                "Lower task.held_out_rows, name a task.test file, or give more rows"
            )
        return rows - held_out

    def _checked(self, rows: Sequence[dict[str, Any]], source: str, split: str) -> Sequence[dict[str, Any]]:
        for number, row in enumerate(rows):
            if self.question_column in row:  # some benchmarks have other columns
                self._text(row, self.question_column, f"{split}-{number}", source)
            if self.answer_column in row:
                answer = self._text(row, self.answer_column, f"{split}-{number}", source)
                self.ground_truth(answer, f"{split}-{number}", source)
        return rows

    def load(self, source: str, split: str) -> Sequence[dict[str, Any]]:
        """The rows of a hub id or file. Raises `ValueError` if a column is missing."""
        rows = load_rows(source, split, self.subset)
        columns = (self.question_column, self.answer_column, self.solution_column, self.cohort_column)
        require_columns(rows, [column for column in columns if column], source)
        return rows

    def make_problem(self, row: dict[str, Any], id: str, source: str) -> Problem:
        """The problem of a row. `id` and `source` become those of the problem and appear in error messages."""
        question = self._text(row, self.question_column, id, source)
        prompt: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        prompt.append({"role": "user", "content": f"{question}\n{self.instruction}" if self.instruction else question})
        return Problem(
            id=id,
            prompt=tuple(prompt),
            answer=self.ground_truth(self._text(row, self.answer_column, id, source), id, source),
            verifier=self.verifier,
            source=source,
            cohort=self._cohort(row),
            solution=self.worked_solution(row),
        )

    def ground_truth(self, answer: str, id: str, source: str) -> str:
        """What the verifier receives, made from the answer column. Raises `ValueError`."""
        return answer

    def worked_solution(self, row: dict[str, Any]) -> str | None:
        solution = row[self.solution_column] if self.solution_column else None
        return None if solution is None or not str(solution).strip() else str(solution)

    def _cohort(self, row: dict[str, Any]) -> str:
        return str(row[self.cohort_column]) if self.cohort_column else ""

    def _text(self, row: dict[str, Any], column: str, id: str, source: str) -> str:
        value = row[column]
        if value is None or not str(value).strip():
            raise ValueError(
                f"dataset {source!r}, row {id}: column {column!r} is empty; expected text. Remove the row or fill it in"
            )
        if isinstance(value, list | dict):  # its text would be Python syntax, which no completion matches
            raise ValueError(
                f"dataset {source!r}, row {id}: column {column!r} holds a {type(value).__name__}; expected text"
            )
        return str(value)
