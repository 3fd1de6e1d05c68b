"""What the steps so far tell the next one: averages of rewards, pass rates of problems, adapted coefficients.

One frozen value: each step makes the next one with `updated`, and a checkpoint holds it whole. Which groups wait is no
part of it (`selection.Pool`), nor is anything that follows from the step's number alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from rlvr.algorithms.control import adapted_entropy_coef, adapted_kl_coef, entropy_coef_in_use
from rlvr.algorithms.objective import Objective
from rlvr.types import Group

# Steps that an average reaches back: long enough to be steady, short enough to follow a policy that learns.
MEMORY_STEPS = 10
# Of a problem met again: what its latest group says against all that was known before.
LATEST_WEIGHT = 0.5
# Problems remembered, the latest ones: a checkpoint stays below some 10 MB however many there are.
MOST_PROBLEMS = 100_000


@dataclass(frozen=True)
class Average:
    """A mean that forgets: of all values at first, weighing about the last `MEMORY_STEPS` once there are more."""

    value: float = 0.0
    count: int = 0

    def updated(self, value: float) -> "Average":
        count = min(self.count + 1, MEMORY_STEPS)
        return Average(self.value + (value - self.value) / count, count)


@dataclass(frozen=True)
class Record:
    """Of a problem: its mean reward, how often in a row all completions were right, and the step it was last seen."""

    pass_rate: float
    solved_in_a_row: int
    step: int


@dataclass(frozen=True)
class History:
    """`reward`: mean reward of a step; `cohorts`: the same of each cohort; `kept`: the share of groups that were kept.

    `problems` holds a record of each problem by its id, the one seen longest ago first; it stays empty where nothing
    reads it. `kl_coef` and `entropy_coef` are what the controllers made of the objective's, `None` before they did;
    `entropy` is the one measured last.
    """

    reward: Average = Average()
    cohorts: Mapping[str, Average] = field(default_factory=dict)
    kept: Average = Average()
    problems: Mapping[str, Record] = field(default_factory=dict)
    kl_coef: float | None = None
    entropy_coef: float | None = None
    entropy: float = 0.0

    @property
    def kept_share(self) -> float:
        return self.kept.value if self.kept.count else 1.0

    def cohort_average(self, cohort: str) -> float:
        """The mean reward of a cohort; of one that was never seen, that of all."""
        return self.cohorts[cohort].value if cohort in self.cohorts else self.reward.value

    def updated(self, step: int, groups: Sequence[Group], kept_share: float, by_problem: bool) -> Self:
        """The history after a step that sampled `groups`, kept or not. Failed graders say nothing."""
        if not groups:
            return self
        cohorts = dict(self.cohorts)
        for cohort in sorted({group.problem.cohort for group in groups if group.problem.cohort}):
            rewards = rewards_of(group for group in groups if group.problem.cohort == cohort)
            if rewards:
                cohorts[cohort] = cohorts.get(cohort, Average()).updated(sum(rewards) / len(rewards))
        rewards = rewards_of(groups)
        return replace(
            self,
            reward=self.reward.updated(sum(rewards) / len(rewards)) if rewards else self.reward,
            cohorts=cohorts,
            kept=self.kept.updated(kept_share),
            problems=self._problems(step, groups) if by_problem else self.problems,
        )

    def steered(self, objective: Objective, metrics: Mapping[str, float]) -> Self:
        """The history with the coefficients that a step's measured KL and entropy ask for, where they have a target."""
        kl_coef, entropy_coef = self.kl_coef, self.entropy_coef
        if objective.kl_target and "kl" in metrics:
            before = objective.kl_coef if kl_coef is None else kl_coef
            kl_coef = adapted_kl_coef(before, metrics["kl"], objective.kl_target)
        if objective.entropy_target and "entropy" in metrics:
            before = objective.entropy_coef if entropy_coef is None else entropy_coef
            entropy_coef = adapted_entropy_coef(before, metrics["entropy"], objective.entropy_target)
        entropy = metrics.get("entropy", self.entropy)
        return replace(self, kl_coef=kl_coef, entropy_coef=entropy_coef, entropy=entropy)

    def adapted(self, objective: Objective) -> Objective:
        """The objective with the coefficients of the next step."""
        kl_coef, entropy_coef = objective.kl_coef, objective.entropy_coef
        if self.kl_coef is not None:
            kl_coef = self.kl_coef
        if self.entropy_coef is not None:
            entropy_coef = entropy_coef_in_use(self.entropy_coef, self.entropy, objective.entropy_target)
        return replace(objective, kl_coef=kl_coef, entropy_coef=entropy_coef)

    def _problems(self, step: int, groups: Sequence[Group]) -> dict[str, Record]:
        problems = dict(self.problems)
        for group in groups:
            if not group.rewards:
                continue
            rate = sum(group.rewards) / len(group.rewards)
            before = problems.pop(group.problem.id, None)  # put in anew at the end: the order is that of the steps
            known = rate if before is None else (1 - LATEST_WEIGHT) * before.pass_rate + LATEST_WEIGHT * rate
            in_a_row = (before.solved_in_a_row if before else 0) + 1 if rate == 1 else 0
            problems[group.problem.id] = Record(known, in_a_row, step)
        return dict(list(problems.items())[-MOST_PROBLEMS:])

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The history that `dataclasses.asdict` turned into `values`."""
        averages = {name: Average(**values[name]) for name in ("reward", "kept")}
        cohorts = {name: Average(**average) for name, average in values["cohorts"].items()}
        problems = {name: Record(**record) for name, record in values["problems"].items()}
        return cls(**{**values, **averages, "cohorts": cohorts, "problems": problems})


def rewards_of(groups: Iterable[Group]) -> list[float]:
    return [reward for group in groups for reward in group.rewards]
