"""GSM8K (Cobbe et al., 2021, arXiv:2110.14168): 7,473 + 1,319 grade-school word problems with worked solutions."""

import re
from dataclasses import dataclass, field

from tasks.columns import Row, value_at
from tasks.dataset import DatasetTask
from verifiers.values import Json, as_text

INSTRUCTION = "Reason step by step, and put the final number within \\boxed{}."
CALCULATOR_MARK = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True)
class GSM8K(DatasetTask):
    """`openai/gsm8k` from the hub, or local files with its two columns (`train=...jsonl`, `test=...jsonl`).

    The ground truth is the number after `####`. The worked solution is the text before it without the calculator marks
    (`<<48/2=24>>`), followed by the answer in the form that `instruction` or `prompt` asks for.
    """

    train: str | list[str] = "openai/gsm8k"
    test: str | list[str] = "openai/gsm8k"
    subset: str | None = "main"
    instruction: str = INSTRUCTION
    solution_column: str = field(default="", init=False)  # the solution is part of the answer

    def ground_truth(self, answer: Json, id: str, source: str) -> str:
        _, mark, number = as_text(answer).rpartition("####")
        if not mark or not number.strip():
            raise ValueError(
                f"dataset {source!r}, row {id}: expected an answer that ends in '#### number', "
                f"got {as_text(answer)[-40:]!r}"
            )
        return number.strip().replace(",", "")

    def worked_solution(self, row: Row) -> str | None:
        reasoning, _, number = as_text(value_at(row, self.answer_column)).rpartition("####")
        ending = f"\\boxed{{{number.strip()}}}" if self._asks_for_box else f"#### {number.strip()}"
        return f"{CALCULATOR_MARK.sub('', reasoning).strip()}\n{ending}"

    @property
    def _asks_for_box(self) -> bool:
        asked = f"{self._prompt.system} {self._prompt.user}" if self.prompt else self.instruction
        return "boxed" in asked
