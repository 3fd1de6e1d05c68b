"""MBPP (Austin et al., 2021, arXiv:2108.07732): 974 short functions, each with three assert statements."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.code import INSTRUCTION, code_problem, tested_function
from tasks.columns import Row
from tasks.dataset import DatasetTask
from tasks.problem import Problem
from tasks.rows import Source, load_rows, require_columns


@dataclass(frozen=True)
class MBPP(DatasetTask):
    """`google-research-datasets/mbpp` from the hub (subset `full` or `sanitized`), or a local file with its columns.

    The question shows the first `shown_tests` tests, which give the function's name and arguments. The paper shows all
    three; but a program can pass a shown test by hard-coding its answer, so only one is shown by default.
    """

    train: str | list[str] = "google-research-datasets/mbpp"
    test: str | list[str] = "google-research-datasets/mbpp"
    subset: str | None = "full"
    # The columns are those of the dataset, and the tests need the `code` verifier: none of these can be set.
    question_column: str = field(default="text", init=False)
    answer_column: str = field(default="code", init=False)
    solution_column: str = field(default="", init=False)
    verifier: str = field(default="code", init=False)
    shown_tests: int = 1

    def load(self, source: Source, split: str) -> Sequence[Row]:
        rows = load_rows(source, split, self.subset)
        # The sanitized version has the question in the column `prompt`.
        question = "prompt" if len(rows) and "prompt" in rows[0] else self.question_column
        columns = [question, self.answer_column, "test_list", "task_id", self.cohort_column]
        require_columns(rows, [column for column in columns if column], source)
        return rows

    def make_problem(self, row: Row, id: str, source: str) -> Problem:
        question = row.get("text") or row.get("prompt")
        tests = list(row["test_list"])
        fn_name = tested_function(tests, row["code"])
        if not question or fn_name is None:
            raise ValueError(
                f"dataset {source!r}, row {id}: expected a question, and tests that call what the code defines"
            )
        setup = row.get("test_setup_code") or "\n".join(row.get("test_imports") or [])
        test = {"type": "assert", "fn_name": fn_name, "tests": tests, "setup": setup}
        shown = "\n".join(tests[: self.shown_tests])
        return code_problem(
            f"mbpp-{row['task_id']}",
            f"{question}\n\nIt must pass this:\n\n```python\n{shown}\n```" if shown else str(question),
            [test],
            source=source,
            system=self.system,
            instruction=self.instruction or INSTRUCTION,
            solution=row["code"].replace("\r\n", "\n"),
            cohort=self._cohort(row),
        )
