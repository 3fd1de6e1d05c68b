"""The memory of earlier steps: averages of rewards and pass rates, pass rates of problems, adapted coefficients.

It is one frozen value: each step makes the next one with `updated`, and a checkpoint holds all of it. It contains
neither the waiting groups (`selection.Pool`) nor anything that follows from the number of the step.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from rlvr.algorithms.control import adapted_entropy_coef, adapted_kl_coef, entropy_coef_in_use
from rlvr.algorithms.objective import Objective
from rlvr.rollouts.groups import mean
from rlvr.types import Group

# Number of steps that an average covers: enough to be stable, few enough to follow a policy that learns.
MEMORY_STEPS = 10
# Weight of the latest group of a problem, against its earlier pass rate.
LATEST_WEIGHT = 0.5
# Number of problems remembered, the latest ones: this keeps a checkpoint below about 10 MB.
MOST_PROBLEMS = 100_000


@dataclass(frozen=True)
class Average:
    """A moving average: the mean of all values at first, later weighted to about the last `MEMORY_STEPS`."""

    value: float = 0.0
    count: int = 0

    def updated(self, value: float) -> "Average":
        count = min(self.count + 1, MEMORY_STEPS)
        return Average(self.value + (value - self.value) / count, count)


@dataclass(frozen=True)
class Record:
    """A problem's pass rate, how often in a row all completions solved it, and the step it was last sampled."""

    pass_rate: float
    solved_in_a_row: int
    step: int


@dataclass(frozen=True)
class History:
    """`reward`: mean reward of a step; `cohorts`: the same for each cohort; `kept`: the share of groups that were kept.
    `passed` and `cohorts_passed` are the pass rates that belong to the first two.

    `problems` holds a record of each problem by its id, the oldest first; it stays empty if no option needs it.
    `kl_coef` and `entropy_coef` are the adapted coefficients, `None` before the first adaptation; `entropy` is the last
    measured entropy.
    """

    reward: Average = Average()
    cohorts: Mapping[str, Average] = field(default_factory=dict)
    kept: Average = Average()
    passed: Average = Average()
    cohorts_passed: Mapping[str, Average] = field(default_factory=dict)
    problems: Mapping[str, Record] = field(default_factory=dict)
    kl_coef: float | None = None
    entropy_coef: float | None = None
    entropy: float = 0.0

    @property
    def kept_share(self) -> float:
        return self.kept.value if self.kept.count else 1.0

    def cohort_average(self, cohort: str) -> float:
        """The mean reward of a cohort, or the overall mean if the cohort is new."""
        return self.cohorts[cohort].value if cohort in self.cohorts else self.reward.value

    def pass_rate(self, cohort: str) -> float:
        """The pass rate of a cohort, or the overall one if the cohort is new."""
        return self.cohorts_passed[cohort].value if cohort in self.cohorts_passed else self.passed.value

    def updated(self, step: int, groups: Sequence[Group], kept_share: float, by_problem: bool) -> Self:
        """The history after a step that sampled `groups`, kept or not. Failed graders are ignored."""
        if not groups:
            return self
        cohorts, cohorts_passed = dict(self.cohorts), dict(self.cohorts_passed)
        for cohort in sorted({group.problem.cohort for group in groups if group.problem.cohort}):
            own = [group for group in groups if group.problem.cohort == cohort]
            if rewards_of(own):
                cohorts[cohort] = cohorts.get(cohort, Average()).updated(mean(rewards_of(own)))
                cohorts_passed[cohort] = cohorts_passed.get(cohort, Average()).updated(mean(passes_of(own)))
        rewards = rewards_of(groups)
        return replace(
            self,
            reward=self.reward.updated(mean(rewards)) if rewards else self.reward,
            passed=self.passed.updated(mean(passes_of(groups))) if rewards else self.passed,
            cohorts=cohorts,
            cohorts_passed=cohorts_passed,
            kept=self.kept.updated(kept_share),
            problems=self._problems(step, groups) if by_problem else self.problems,
        )

    def steered(self, objective: Objective, metrics: Mapping[str, float]) -> Self:
        """The history with coefficients adapted to a step's measured KL and entropy, if these have targets."""
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
            rate = mean(passes_of([group]))
            all_solved = all(rollout.solved for rollout in group.rollouts if rollout.reward is not None)
            before = problems.pop(group.problem.id, None)  # inserted again at the end, to keep the order of the steps
            known = rate if before is None else (1 - LATEST_WEIGHT) * before.pass_rate + LATEST_WEIGHT * rate
            in_a_row = (before.solved_in_a_row if before else 0) + 1 if all_solved else 0
            problems[group.problem.id] = Record(known, in_a_row, step)
        return dict(list(problems.items())[-MOST_PROBLEMS:])

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`. Checkpoints from before pass rates had rewards in their place."""
        values = {"passed": values["reward"], "cohorts_passed": values["cohorts"], **values}
        averages = {name: Average(**values[name]) for name in ("reward", "kept", "passed")}
        by_cohort = {
            name: {cohort: Average(**average) for cohort, average in values[name].items()}
            for name in ("cohorts", "cohorts_passed")
        }
        problems = {name: Record(**record) for name, record in values["problems"].items()}
        return cls(**{**values, **averages, **by_cohort, "problems": problems})


def rewards_of(groups: Iterable[Group]) -> list[float]:
    return [reward for group in groups for reward in group.rewards]


def passes_of(groups: Iterable[Group]) -> list[float]:
    """What each completion with a reward adds to a pass rate: a score in [0, 1] counts as it is, any other as 1 where
    it solves the problem and else as 0."""
    return [
        rollout.reward if 0 <= rollout.reward <= 1 else float(rollout.solved is True)
        for group in groups
        for rollout in group.rollouts
        if rollout.reward is not None
    ]
