"""HumanEval (Chen et al., 2021, arXiv:2107.03374): 164 functions to complete, each with hidden tests."""

from dataclasses import dataclass, field
from typing import Literal

from tasks.code import INSTRUCTION, code_problem
from tasks.columns import Row
from tasks.dataset import DatasetTask
from tasks.problem import Problem

QUESTION = "Complete this Python function. Write out the whole function.\n\n```python\n{prompt}```"


@dataclass(frozen=True)
class HumanEval(DatasetTask):
    """`openai/openai_humaneval` from the hub, or a local file with its columns (`train=....jsonl.gz`).

    It has a single split, meant for evaluation: training problems and held-out problems are the same (`overlap: keep`).
    """

    train: str | list[str] = "openai/openai_humaneval"
    test: str | list[str] = "openai/openai_humaneval"
    train_split: str = "test"
    overlap: Literal["leave_out", "keep"] = "keep"
    # The columns are those of the dataset, and the tests need the `code` verifier: none of these can be set.
    question_column: str = field(default="prompt", init=False)
    answer_column: str = field(default="test", init=False)
    solution_column: str = field(default="", init=False)
    verifier: str = field(default="code", init=False)

    def make_problem(self, row: Row, id: str, source: str) -> Problem:
        test = {"type": "check", "fn_name": row["entry_point"], "prelude": row["prompt"], "test": row["test"]}
        return code_problem(
            str(row["task_id"]),
            QUESTION.format(prompt=row["prompt"]),
            [test],
            source=source,
            system=self.system,
            instruction=self.instruction or INSTRUCTION,
            # Its imports and helper functions. The function itself is only a stub there; the completion replaces it.
            preamble=row["prompt"],
            solution=row["prompt"] + row["canonical_solution"],
            cohort=self._cohort(row),
        )
