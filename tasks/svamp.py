"""SVAMP (Patel et al., 2021, arXiv:2103.07191): a story and a question in two columns, and a number."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.columns import Row
from tasks.dataset import DatasetTask
from tasks.gsm8k import INSTRUCTION
from tasks.rows import Source, load_rows, require_columns
from verifiers.values import Json


@dataclass(frozen=True)
class SVAMP(DatasetTask):
    """`ChilledSteam/SVAMP` from the hub, or files with its columns: `Body` and `Question` are the question, `Answer` is
    the number. The cohort is the `Type` of the calculation.
    """

    train: str | list[str] = "ChilledSteam/SVAMP"
    test: str | list[str] = "ChilledSteam/SVAMP"
    question_column: str = "Question"
    answer_column: str = "Answer"
    body_column: str = "Body"
    cohort_column: str = "Type"
    instruction: str = INSTRUCTION
    solution_column: str = field(default="", init=False)  # there is only an equation

    def load(self, source: Source, split: str) -> Sequence[Row]:
        rows = load_rows(source, split, self.subset)
        require_columns(rows, [self.body_column, self.question_column, self.answer_column], source)
        return rows

    def question(self, row: Row, id: str, source: str) -> str:
        body = self._text(row, self.body_column, id, source).strip()
        stop = "" if body.endswith((".", "!", "?", ",", ";", ":")) else "."  # some stories end without one
        return f"{body}{stop} {self._text(row, self.question_column, id, source).strip()}"

    def ground_truth(self, answer: Json, id: str, source: str) -> Json:
        return str(int(answer)) if isinstance(answer, float) and answer.is_integer() else answer

    def _cohort(self, row: Row) -> str:
        return super()._cohort(row) if self.cohort_column in row else ""
