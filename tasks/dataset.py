"""Any table with a question column and an answer column, as a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tasks.problem import Message, Problem
from tasks.rows import load_rows, require_columns, shuffled


@dataclass(frozen=True)
class DatasetTask:
    """Problems out of rows.

    `train` and `test` are hub ids or paths of files (.jsonl, .json, .parquet, .csv). Where `test` is empty, the last
    `held_out_rows` rows of `train` are held out. `instruction` is appended to each question, `system` opens the chat.
    `cohort_column` and `solution_column` may be left empty.

    A data set of another form is a subclass that says what differs: `load` (which columns there must be), and either
    `make_problem` (a row as a problem) or only `ground_truth` and `worked_solution` of a row of question and answer.
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
    held_out_rows: int = 512
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
        return self.load(self.train, self.train_split)

    @cached_property
    def _test_rows(self) -> Sequence[dict[str, Any]]:
        return self.load(self.test, self.test_split)

    @property
    def _train_count(self) -> int:
        count = len(self._train_rows) - (0 if self.test else self.held_out_rows)
        if count < 1:
            raise ValueError(
                f"dataset {self.train!r} has {len(self._train_rows)} rows and {self.held_out_rows} are held "
                "out; expected some to train on. Lower task.held_out_rows or name a task.test file"
            )
        return count

    def load(self, source: str, split: str) -> Sequence[dict[str, Any]]:
        """The rows of a hub id or file, its columns checked; raises ValueError where one is missing."""
        rows = load_rows(source, split, self.subset)
        columns = (self.question_column, self.answer_column, self.solution_column, self.cohort_column)
        require_columns(rows, [column for column in columns if column], source)
        return rows

    def make_problem(self, row: dict[str, Any], id: str, source: str) -> Problem:
        """A row as a problem. `id` and `source` tell where it lies, for error messages and as the problem's own."""
        question = self._text(row, self.question_column, id, source)
        prompt: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        prompt.append({"role": "user", "content": f"{question}\n{self.instruction}" if self.instruction else question})
        return Problem(
            id=id,
            prompt=tuple(prompt),
            answer=self.ground_truth(self._text(row, self.answer_column, id, source), id, source),
            verifier=self.verifier,
            source=source,
            cohort=str(row[self.cohort_column]) if self.cohort_column else "",
            solution=self.worked_solution(row),
        )

    def ground_truth(self, answer: str, id: str, source: str) -> str:
        """What the verifier is given, out of the answer column."""
        return answer

    def worked_solution(self, row: dict[str, Any]) -> str | None:
        return str(row[self.solution_column]) if self.solution_column else None

    def _text(self, row: dict[str, Any], column: str, id: str, source: str) -> str:
        value = row[column]
        if value is None or not str(value).strip():
            raise ValueError(
                f"dataset {source!r}, row {id}: column {column!r} is empty; expected text. Remove the row or fill it in"
            )
        return str(value)
