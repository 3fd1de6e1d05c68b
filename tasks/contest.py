"""AIME, AMC and other contests with a short answer: small sets for evaluation, each with column names of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.columns import Row, value_at
from tasks.competition_math import INSTRUCTION
from tasks.dataset import DatasetTask
from tasks.problem import Messages
from tasks.rows import Source, load_rows, require_columns
from verifiers.values import Json, as_text, is_empty

# Names of columns in these sets, in any case: `Problem` and `problem` are both there.
QUESTIONS, ANSWERS = ("problem", "question"), ("answer", "expected_answer")
SOLUTIONS, YEARS = ("solution",), ("year",)


@dataclass(frozen=True)
class Contest(DatasetTask):
    """Problems of a contest: by default AIME 2024. Without `train` there is only something to evaluate on.

    Columns are found by their usual names, in any case (`Problem` or `question`, `Answer`, `Solution`, `Year`); name
    them where a file has others. Whole numbers that a table holds as floats (`142.0`) become whole numbers again. The
    cohort is the year.
    """

    train: str | list[str] = ""
    test: str | list[str] = "HuggingFaceH4/aime_2024"
    test_split: str = "train"
    question_column: str = ""
    answer_column: str = ""
    instruction: str = INSTRUCTION

    def load(self, source: Source, split: str) -> Sequence[Row]:
        rows = load_rows(source, split, self.subset)
        first = rows[0]
        wanted = ((self.question_column, QUESTIONS), (self.answer_column, ANSWERS))
        require_columns(rows, [column or usual(first, names) or names[0] for column, names in wanted], source)
        return rows

    def question(self, row: Row, id: str, source: str) -> str | Messages:
        return self._value(row, self.question_column or usual(row, QUESTIONS), id, source)

    def _answer(self, row: Row, id: str, source: str) -> Json:
        return self._answer_in(row, self.answer_column or usual(row, ANSWERS), id, source)

    def worked_solution(self, row: Row) -> str | None:
        column = self.solution_column or usual(row, SOLUTIONS)
        solution = value_at(row, column) if column else None
        return None if is_empty(solution) else as_text(solution)

    def _cohort(self, row: Row) -> str:
        column = self.cohort_column or usual(row, YEARS)
        return as_text(value_at(row, column)) if column else ""

    def ground_truth(self, answer: Json, id: str, source: str) -> Json:
        return str(int(answer)) if isinstance(answer, float) and answer.is_integer() else answer


def usual(row: Row, names: Sequence[str]) -> str:
    """The first column of a row that has one of these names in any case; empty if there is none."""
    return next((column for name in names for column in row if column.lower() == name), "")
