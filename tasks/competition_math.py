"""MATH (Hendrycks et al., 2021, arXiv:2103.03874): competition problems with worked solutions.

Also MATH-500 (Lightman et al., 2023, arXiv:2305.20050), the 500 test problems that most papers report.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.columns import Row, has_column, value_at
from tasks.dataset import DatasetTask
from tasks.rows import Source, load_rows, require_columns
from verifiers.values import Json, as_text, is_empty

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
BOX = re.compile(r"\\(?:boxed|fbox)\s*")


@dataclass(frozen=True)
class CompetitionMath(DatasetTask):
    """MATH from the hub, or files with the columns of MATH or of PRM800K: `problem`, `solution`, `level`, and `answer`.

    Where there is no answer, it is what the last box of the solution holds. The cohort is the level.
    """

    train: str | list[str] = "DigitalLearningGmbH/MATH-lighteval"
    test: str | list[str] = "DigitalLearningGmbH/MATH-lighteval"
    question_column: str = "problem"
    solution_column: str = "solution"
    cohort_column: str = "level"
    instruction: str = INSTRUCTION

    def load(self, source: Source, split: str) -> Sequence[Row]:
        rows = load_rows(source, split, self.subset)
        answer = self.answer_column if len(rows) and has_column(rows[0], self.answer_column) else self.solution_column
        require_columns(rows, [self.question_column, answer], source)
        return rows

    def _answer(self, row: Row, id: str, source: str) -> Json:
        if has_column(row, self.answer_column) and not is_empty(value_at(row, self.answer_column)):
            return super()._answer(row, id, source)
        solution = self._text(row, self.solution_column, id, source)
        answer = last_boxed(solution)
        if answer is None:
            raise ValueError(
                f"dataset {source!r}, row {id}: it has no {self.answer_column!r}, and its solution has no \\boxed "
                f"answer: got {solution[-40:]!r}"
            )
        return answer

    def worked_solution(self, row: Row) -> str | None:
        return super().worked_solution(row) if has_column(row, self.solution_column) else None

    def _cohort(self, row: Row) -> str:
        if not has_column(row, self.cohort_column):
            return ""
        cohort = as_text(value_at(row, self.cohort_column))
        # MATH writes "Level 5" and PRM800K 5.
        return f"level {cohort.lower().removeprefix('level').strip()}" if self.cohort_column == "level" else cohort


@dataclass(frozen=True)
class Math500(CompetitionMath):
    """As `math`, evaluated on MATH-500. Training rows whose question is among the 500 are left out."""

    test: str | list[str] = "HuggingFaceH4/MATH-500"


def last_boxed(text: str) -> str | None:
    """What the last `\\boxed{...}` of a solution holds, with balanced braces; `None` if there is none."""
    boxes = list(BOX.finditer(text))
    if not boxes:
        return None
    start = boxes[-1].end()
    if not text.startswith("{", start):  # \boxed 5
        return text[start : start + 1].strip("$") or None
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + 1 : place].strip() or None
    return None
