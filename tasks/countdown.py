"""Countdown: make a number out of others. Generated, or from rows (`nums` and `target`, as in TinyZero's data).

    Using the numbers [19, 36, 55, 7], create an equation that equals 65.
    <answer> 55 + 36 - 7 - 19 </answer>

A generated puzzle has a solution, since its target is made from its numbers. A hash of numbers and target decides
whether it is held out, so no evaluated puzzle is ever trained on, under any seed.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tasks.columns import Row, value_at
from tasks.dataset import DatasetTask
from tasks.problem import Messages, Problem
from tasks.rows import Source, load_rows, require_columns
from tasks.splits import content_key, is_in_share
from verifiers.countdown import read_puzzle

# The question of TinyZero (Pan et al., 2025, its repository), without the tags of its template.
QUESTION = (
    "Using the numbers [{numbers}], create an equation that equals {target}. You can use basic arithmetic operations "
    "(+, -, *, /) and each number can only be used once."
)
INSTRUCTION = "Show your work, and put the final equation between <answer> and </answer>, for example (1 + 2) / 3."
HELD_OUT_SHARE = 1 / 16


@dataclass(frozen=True)
class Countdown(DatasetTask):
    """Puzzles of `min_numbers` to `max_numbers` numbers from 1 to `max_number`, with a target from 1 to `max_target`.

    They are generated without end, unless `train` names rows; `test` may name rows to evaluate on in both cases. The
    ground truth is `{"numbers": [...], "target": ...}`, for the verifier `countdown`. The cohort is the number of
    numbers.
    """

    train: str | list[str] = ""
    question_column: str = field(default="", init=False)  # it is made from the two columns below
    answer_column: str = field(default="", init=False)
    solution_column: str = field(default="", init=False)
    cohort_column: str = field(default="", init=False)
    numbers_column: str = "nums"
    target_column: str = "target"
    verifier: str | dict[str, Any] = "countdown"
    instruction: str = INSTRUCTION
    min_numbers: int = 3
    max_numbers: int = 4
    max_number: int = 99
    max_target: int = 99

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.min_numbers <= self.max_numbers <= 8:
            raise ValueError(
                f"got min_numbers={self.min_numbers}, max_numbers={self.max_numbers}; expected 2 <= min_numbers <= "
                "max_numbers <= 8"
            )
        if self.max_number < 2 or self.max_target < 2:
            raise ValueError(
                f"got max_number={self.max_number}, max_target={self.max_target}; expected at least 2 for both"
            )
        if self.few_shot and not self.train:
            raise ValueError("few_shot needs rows in train; give examples instead")

    def problem(self, index: int) -> Problem:
        """The training problem at `index` (0, 1, 2, ...), never a held-out one."""
        if self.train:
            return super().problem(index)
        tested = frozenset(self._test.keys) if self.test and self.overlap == "leave_out" else frozenset()
        rng = random.Random(f"countdown/train/{self.seed}/{index}")
        while True:
            problem = self._generated(rng, f"train-{self.seed}-{index}", held_out=False)
            if content_key(problem.prompt) not in tested:
                return self._with_examples(problem)

    def held_out(self, count: int) -> list[Problem]:
        """The first `count` evaluation problems, all of them different."""
        if self.train or self.test:
            return super().held_out(count)
        problems: dict[int, Problem] = {}
        for index in range(20 * count + 1000):
            if len(problems) == count:
                break
            rng = random.Random(f"countdown/held_out/{index}")  # whatever the seed of the run is
            problem = self._generated(rng, f"held_out-{index}", held_out=True)
            problems.setdefault(content_key(problem.prompt), problem)
        if len(problems) < count:
            raise ValueError(
                f"these knobs describe only {len(problems)} different held-out problems and {count} were asked for; "
                "raise max_number or max_numbers"
            )
        return [self._with_examples(problem) for problem in problems.values()]

    def held_out_keys(self) -> frozenset[int]:
        return super().held_out_keys() if self.train or self.test else frozenset()

    def notes(self) -> tuple[str, ...]:
        return super().notes() if self.train else ()

    def load(self, source: Source, split: str) -> Sequence[Row]:
        rows = load_rows(source, split, self.subset)
        require_columns(rows, [self.numbers_column, self.target_column], source)
        return rows

    def make_problem(self, row: Row, id: str, source: str) -> Problem:
        puzzle = {"numbers": value_at(row, self.numbers_column), "target": value_at(row, self.target_column)}
        try:
            numbers, target = read_puzzle(puzzle)
        except ValueError as error:
            raise ValueError(f"dataset {source!r}, row {id}: {error}") from None
        return self._puzzle(numbers, target, row, id, source)

    def question(self, row: Row, id: str, source: str) -> str | Messages:
        numbers = ", ".join(map(str, value_at(row, self.numbers_column)))
        return QUESTION.format(numbers=numbers, target=value_at(row, self.target_column))

    def _puzzle(self, numbers: list[int], target: Fraction, row: Row, id: str, source: str) -> Problem:
        whole = int(target) if target.denominator == 1 else str(target)
        return Problem(
            id=id,
            prompt=self.messages(row, id, source),
            answer={"numbers": numbers, "target": whole},
            verifier=self.verifier,
            source=source,
            cohort=f"{len(numbers)} numbers",
            columns=row,
        )

    def _generated(self, rng: random.Random, id: str, held_out: bool) -> Problem:
        for _ in range(10_000):
            numbers = [rng.randint(1, self.max_number) for _ in range(rng.randint(self.min_numbers, self.max_numbers))]
            target = combined(numbers, rng)
            is_target = target is not None and target.denominator == 1 and 1 <= target <= self.max_target
            if target is None or not is_target or target in numbers:
                continue
            if is_in_share(f"{sorted(numbers)} {target}", HELD_OUT_SHARE) == held_out:
                row = {self.numbers_column: numbers, self.target_column: int(target)}
                return self._puzzle(numbers, target, row, id, "countdown")
        raise ValueError("found no puzzle in 10,000 draws; raise max_number or max_target")


def combined(numbers: Sequence[int], rng: random.Random) -> Fraction | None:
    """The value of a random expression that uses every number once; `None` where it would divide by zero."""
    values = [Fraction(number) for number in numbers]
    while len(values) > 1:
        rng.shuffle(values)
        a, b = values.pop(), values.pop()
        operator = rng.choice("+-*/")
        if operator == "/" and not b:
            return None
        values.append({"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else a}[operator])
    return values[0]
