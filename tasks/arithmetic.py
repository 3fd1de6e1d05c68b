"""Generated word problems in GSM8K's format, for the quickstart and for tests: no file, no download.

    Mia has 12 apples. Mia buys 7 more. Mia gives away 5. How many apples does Mia have now?
    12+7=19
    19-5=14
    #### 14

A seed and a number always give the same problem. A hash of the calculation (not of the wording) decides whether a
problem is held out, so no evaluated calculation is ever trained on, under any seed.

Left out: fractions, units, sentences without a number. GSM8K has those.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tasks.problem import Problem
from tasks.splits import is_in_share

Operator = Literal["+", "-", "*"]
Step = tuple[Operator, int]

NAMES = ("Mia", "Tom", "Ana", "Ben", "Lea", "Sam", "Zoe", "Max")
THINGS = ("apples", "books", "coins", "cards", "shells", "stamps")
EVENTS: dict[Operator, tuple[str, ...]] = {
    "+": ("{name} buys {n} more.", "{name} finds {n} more.", "A friend gives {name} {n}."),
    "-": ("{name} gives away {n}.", "{name} loses {n}.", "{name} sells {n}."),
    "*": ("Then {name} gets {n} times as many.",),
}
HELD_OUT_SHARE = 1 / 16


@dataclass(frozen=True)
class Arithmetic:
    """The difficulty knobs, and the endless list of problems that they describe.

    `min_steps` and `max_steps` limit the number of operations, `max_number` the numbers in the text, `max_factor` those
    in multiplications, and `max_value` every intermediate result. `operators` are drawn uniformly. The cohort of a
    problem is its number of steps.

    Worked solutions can contain a common mistake: in a share `slip_share` of the multiplications the solution reads
    "3 times as many" as "3 more" and continues from there. The ground truth stays correct. A model that imitates such
    solutions imitates the mistake; reinforcement learning has to discover the reading that earns more.

    Wrong solutions can also ramble: a share `ramble_share` of those with a mistake continues for 1 to `ramble_steps`
    lines that change nothing (`14+0=14`) before it answers. Wrong answers then have many lengths, and no length is
    rewarded or forbidden.

    `step_shares` weights the training problems by their number of steps, from `min_steps` to `max_steps`. Held-out
    problems cycle through the numbers of steps with a share above 0, so rare cohorts are evaluated as well as common
    ones.
    """

    min_steps: int = 2
    max_steps: int = 3
    max_number: int = 30
    max_value: int = 99
    max_factor: int = 4
    operators: tuple[Operator, ...] = ("+", "-", "*")
    slip_share: float = 0.0
    ramble_share: float = 0.0
    ramble_steps: int = 6
    step_shares: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.min_steps <= self.max_steps:
            raise ValueError(
                f"arithmetic: got min_steps={self.min_steps}, max_steps={self.max_steps}; "
                "expected 1 <= min_steps <= max_steps"
            )
        if self.max_number < 2 or self.max_value < self.max_number:
            raise ValueError(
                f"arithmetic: got max_number={self.max_number}, max_value={self.max_value}; "
                "expected 2 <= max_number <= max_value"
            )
        sizes, shares = self.max_steps - self.min_steps + 1, self.step_shares
        if shares and (len(shares) != sizes or min(shares) < 0 or not any(shares)):
            raise ValueError(
                f"arithmetic: got step_shares={shares}; expected {sizes} numbers of 0 or more, one for each number of "
                f"steps from min_steps={self.min_steps} to max_steps={self.max_steps}"
            )
        if self.ramble_steps < 1:
            raise ValueError(f"arithmetic: got ramble_steps={self.ramble_steps}, expected 1 or more")
        if unknown := set(self.operators) - set(EVENTS):
            raise ValueError(f"arithmetic: unknown operators {sorted(unknown)}; known: {', '.join(EVENTS)}")

    def problem(self, index: int) -> Problem:
        """The training problem at `index` (0, 1, 2, ...), never a held-out one."""
        return self._draw("train", index, held_out=False)

    def held_out(self, count: int) -> list[Problem]:
        """The first `count` problems of the evaluation split, all of them different."""
        problems: dict[str, Problem] = {}
        index = 0
        while len(problems) < count:
            if index > 20 * count + 1000:
                raise ValueError(
                    f"arithmetic: these knobs describe only {len(problems)} different held-out problems "
                    f"and {count} were asked for; raise max_number or max_steps"
                )
            problem = self._draw("held_out", index, held_out=True)
            problems.setdefault(problem.prompt[0]["content"], problem)
            index += 1
        return list(problems.values())

    def _draw(self, split: str, index: int, held_out: bool) -> Problem:
        # The evaluation split does not depend on the seed: runs of different seeds are evaluated on the same problems.
        seed = self.seed if split == "train" else 0
        rng = random.Random(f"arithmetic/{split}/{seed}/{index}")
        count = self._draw_count(rng, index, held_out)
        for _ in range(10_000):
            start = rng.randint(2, self.max_number)
            steps = self._draw_steps(rng, start, count)
            if steps is not None and is_held_out(start, steps) == held_out:
                problem = word_problem(rng, start, steps, id=f"{split}-{seed}-{index}")
                shown_steps = [("+" if o == "*" and rng.random() < self.slip_share else o, n) for o, n in steps]
                rambling = shown_steps != steps and self.ramble_share > 0 and rng.random() < self.ramble_share
                shown_steps += [("+", 0)] * (rng.randint(1, self.ramble_steps) if rambling else 0)
                return replace(problem, solution=worked_solution(start, shown_steps))
        raise ValueError(f"arithmetic: found no {split} problem in 10,000 draws; raise max_number or max_value")

    def _draw_count(self, rng: random.Random, index: int, held_out: bool) -> int | None:
        """The number of steps if `step_shares` is set. It is drawn once, so that long problems keep their share."""
        if not self.step_shares:
            return None
        counts = range(self.min_steps, self.max_steps + 1)
        if held_out:
            present = [count for count, share in zip(counts, self.step_shares, strict=True) if share]
            return present[index % len(present)]
        return rng.choices(counts, self.step_shares)[0]

    def _draw_steps(self, rng: random.Random, value: int, count: int | None) -> list[Step] | None:
        steps: list[Step] = []
        for _ in range(count or rng.randint(self.min_steps, self.max_steps)):
            operator = rng.choice(self.operators)
            n = rng.randint(2, self.max_factor if operator == "*" else self.max_number)
            value = apply(value, operator, n)
            if not 0 < value <= self.max_value:
                return None
            steps.append((operator, n))
        return steps


def apply(value: int, operator: Operator, n: int) -> int:
    return {"+": value + n, "-": value - n, "*": value * n}[operator]


def is_held_out(start: int, steps: list[Step]) -> bool:
    calculation = f"{start}{''.join(f'{operator}{n}' for operator, n in steps)}"
    return is_in_share(calculation, HELD_OUT_SHARE)


def word_problem(rng: random.Random, start: int, steps: list[Step], id: str) -> Problem:
    """The calculation as a word problem."""
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    sentences = [f"{name} has {start} {thing}."]
    value = start
    for operator, n in steps:
        sentences.append(rng.choice(EVENTS[operator]).format(name=name, n=n))
        value = apply(value, operator, n)
    sentences.append(f"How many {thing} does {name} have now?")
    return Problem(
        id=id,
        prompt=({"role": "user", "content": " ".join(sentences)},),
        answer=str(value),
        source="arithmetic",
        cohort=f"{len(steps)} steps",
    )


def worked_solution(value: int, steps: Sequence[Step]) -> str:
    """One step per line, and the answer after `####`."""
    lines = []
    for operator, n in steps:
        result = apply(value, operator, n)
        lines.append(f"{value}{operator}{n}={result}")
        value = result
    return "\n".join([*lines, f"#### {value}"])
