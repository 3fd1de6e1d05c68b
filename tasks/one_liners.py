"""Generated one-line functions, for the quickstart and for tests: no file, no download.

    Write f(x): add 3, then multiply by 2, then subtract x.

    ```python
    def f(x): return (x + 3) * 2 - x
    ```

A seed and a number always give the same problem. A hash of the expression decides whether a problem is held out, so no
evaluated function is ever trained on, under any seed. The tests are calls with arguments drawn together with the
problem; no constant function passes them all.

Left out: loops, text, data structures. MBPP has those.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass

from tasks.code import code_problem
from tasks.problem import Problem
from tasks.splits import is_in_share

HELD_OUT_SHARE = 1 / 8
TESTS_PER_PROBLEM = 4


@dataclass(frozen=True)
class OneLiners:
    """The difficulty knobs, and the endless list of problems that they describe.

    `min_steps` and `max_steps` limit the number of operations of a function, `max_number` the numbers in it, and
    `max_argument` the arguments of its tests. `operations` are drawn uniformly. The cohort of a problem is its number
    of steps.

    Worked solutions can contain a common mistake: a share `slip_share` of the necessary brackets is left out ("add 3,
    then multiply by 2" becomes `x + 3 * 2`). The tests stay correct. A model that imitates such solutions imitates the
    mistake; reinforcement learning has to discover that brackets earn more.
    """

    min_steps: int = 1
    max_steps: int = 2
    max_number: int = 9
    max_argument: int = 20
    operations: tuple[str, ...] = ("add", "subtract", "times", "add x", "subtract x")
    slip_share: float = 0.0
    instruction: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.min_steps <= self.max_steps:
            raise ValueError(
                f"one_liners: got min_steps={self.min_steps}, max_steps={self.max_steps}; "
                "expected 1 <= min_steps <= max_steps"
            )
        if self.max_number < 2 or self.max_argument < TESTS_PER_PROBLEM:
            raise ValueError(
                f"one_liners: got max_number={self.max_number}, max_argument={self.max_argument}; "
                f"expected at least 2 and {TESTS_PER_PROBLEM}"
            )
        if unknown := set(self.operations) - set(PHRASES):
            raise ValueError(f"one_liners: unknown operations {sorted(unknown)}; known: {', '.join(PHRASES)}")

    def problem(self, index: int) -> Problem:
        """The training problem at `index` (0, 1, 2, ...), never a held-out one."""
        return self._draw("train", index, self.seed, held_out=False)

    def held_out(self, count: int) -> list[Problem]:
        """The first `count` problems of the evaluation split, each with another function."""
        problems: dict[str, Problem] = {}
        for index in range(100 * count + 1000):
            if len(problems) == count:
                break
            problem = self._draw("held_out", index, 0, held_out=True)
            problems.setdefault(problem.prompt[-1]["content"], problem)
        if len(problems) < count:
            raise ValueError(
                f"one_liners: these knobs describe only {len(problems)} different held-out problems and {count} were "
                "asked for; raise max_number or max_steps"
            )
        return list(problems.values())

    def _draw(self, split: str, index: int, seed: int, held_out: bool) -> Problem:
        rng = random.Random(f"one_liners/{split}/{seed}/{index}")
        for _ in range(10_000):
            steps = [
                (rng.choice(self.operations), rng.randint(2, self.max_number))
                for _ in range(rng.randint(self.min_steps, self.max_steps))
            ]
            expression = write_out(steps)
            arguments = rng.sample(range(-self.max_argument, self.max_argument + 1), TESTS_PER_PROBLEM)
            cases = [{"args": [x], "expected": calculate(steps, x)} for x in arguments]
            if is_held_out(expression) == held_out and len({case["expected"] for case in cases}) > 1:
                slips = {i for i in range(len(steps)) if rng.random() < self.slip_share}
                return code_problem(
                    f"{split}-{seed}-{index}",
                    f"Write f(x): {', then '.join(PHRASES[name].format(n=n) for name, n in steps)}.",
                    [{"type": "function", "fn_name": "f", "cases": cases}],
                    source="one_liners",
                    instruction=self.instruction,
                    solution=f"def f(x): return {write_out(steps, slips)}",
                    cohort=f"{len(steps)} step{'s' if len(steps) > 1 else ''}",
                )
        raise ValueError(f"one_liners: found no {split} problem in 10,000 draws; allow more operations or steps")


PHRASES = {
    "add": "add {n}",
    "subtract": "subtract {n}",
    "times": "multiply by {n}",
    "add x": "add x",
    "subtract x": "subtract x",
    "square": "square it",
    "negate": "negate it",
}


def calculate(steps: list[tuple[str, int]], x: int) -> int:
    value = x
    for name, n in steps:
        value = {
            "add": value + n,
            "subtract": value - n,
            "times": value * n,
            "add x": value + x,
            "subtract x": value - x,
            "square": value * value,
            "negate": -value,
        }[name]
    return value


def write_out(steps: list[tuple[str, int]], slips: Collection[int] = ()) -> str:
    """The expression in Python with the necessary brackets, except those of the steps in `slips`."""
    text, is_sum = "x", False
    for i, (name, n) in enumerate(steps):
        if name in ("times", "square", "negate"):
            needed = is_sum or (name == "square" and text != "x")
            inner = f"({text})" if needed and i not in slips else text
            text = {"times": f"{inner} * {n}", "square": f"{inner} ** 2", "negate": f"-{inner}"}[name]
            is_sum = name == "negate"
        else:
            text += {"add": f" + {n}", "subtract": f" - {n}", "add x": " + x", "subtract x": " - x"}[name]
            is_sum = True
    return text


def is_held_out(expression: str) -> bool:
    return is_in_share(expression, HELD_OUT_SHARE)
