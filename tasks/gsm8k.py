"""GSM8K (Cobbe et al., 2021, arXiv:2110.14168): 7,473 + 1,319 grade-school word problems with worked solutions."""

import re
from dataclasses import dataclass, field
from typing import Any

from tasks.dataset import DatasetTask

INSTRUCTION = "Reason step by step, and put the final number within \\boxed{}."
CALCULATOR_MARK = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True)
class GSM8K(DatasetTask):
    """`openai/gsm8k` from the hub, or local files with its two columns (`train=...jsonl`, `test=...jsonl`).

    The ground truth is the number after `####`. The worked solution is the text before it without the calculator marks
    (`<<48/2=24>>`), followed by the answer in the form that `instruction` asks for.
    """

    train: str = "openai/gsm8k"
    test: str = "openai/gsm8k"
    subset: str | None = "main"
    instruction: str = INSTRUCTION
    solution_column: str = field(default="", init=False)  # the solution is part of the answer

    def ground_truth(self, answer: str, id: str, source: str) -> str:
        _, mark, number = answer.rpartition("####")
        if not mark or not number.strip():
            raise ValueError(
                f"dataset {source!r}, row {id}: expected an answer that ends in '#### number', got {answer[-40:]!r}"
            )
        return number.strip().replace(",", "")

    def worked_solution(self, row: dict[str, Any]) -> str | None:
        reasoning, _, number = str(row[self.answer_column]).rpartition("####")
        ending = f"\\boxed{{{number.strip()}}}" if "boxed" in self.instruction else f"#### {number.strip()}"
        return f"{CALCULATOR_MARK.sub('', reasoning).strip()}\n{ending}"
