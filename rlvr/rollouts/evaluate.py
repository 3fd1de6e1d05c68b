"""Accuracy on held-out problems, with 95 % confidence intervals.

greedy      share of problems solved by the greedy completion
avg@k       mean score of k sampled completions
pass@k      share of problems solved by at least one of k sampled completions (Chen et al., 2021, at n = k)
maj@k       share of problems solved by the answer that most of the k completions give (Wang et al., 2022)
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rlvr.rollouts.grader import Grader
from rlvr.rollouts.groups import lengths_by_outcome
from rlvr.rollouts.play import Player
from rlvr.seeds import derive
from rlvr.types import Group, Sampling
from tasks import Problem

Z95 = 1.959964  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True)
class Estimate:
    """A mean over problems and its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation, and its groups (first the greedy ones, then the sampled ones).

    `cohorts` holds `greedy/cohort/NAME` and `avg@k/cohort/NAME`; `lengths_by_outcome` the mean tokens of correct and of
    incorrect completions.
    """

    estimates: dict[str, Estimate]
    cohorts: dict[str, float]
    mean_length: float
    lengths_by_outcome: tuple[float, float]
    truncated: float
    failed: float
    groups: tuple[tuple[Group, ...], tuple[Group, ...]]

    def metrics(self) -> dict[str, float]:
        correct, incorrect = self.lengths_by_outcome
        flat = {"length": self.mean_length, "length_correct": correct, "length_incorrect": incorrect}
        flat |= {"truncated": self.truncated, "grader_failed": self.failed, **self.cohorts}
        for name, estimate in self.estimates.items():
            flat |= {name: estimate.mean, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        return {f"eval/{name}": value for name, value in flat.items()}


def evaluate(
    problems: Sequence[Problem], samples: int, sampling: Sampling, player: Player, grader: Grader, seed: int
) -> Evaluation:
    """Evaluate one greedy completion and `samples` sampled ones per problem.

    `sampling` applies to the sampled ones, and its limits, penalty and stop strings to the greedy ones too. A
    completion whose grader failed counts as unsolved here (and in `failed`), because an evaluation must cover every
    problem.
    """
    seeds = [derive(seed, "evaluate", index) for index in range(len(problems))]
    greedy = player.collect(problems, 1, sampling.greedy, seeds, grader)
    drawn = player.collect(problems, samples, sampling, seeds, grader) if samples else []
    estimates = {"greedy": proportion([scores(group)[0] == 1 for group in greedy])}
    if samples:
        estimates[f"avg@{samples}"] = mean_estimate([sum(scores(group)) / samples for group in drawn], samples)
        estimates[f"pass@{samples}"] = proportion([max(scores(group)) == 1 for group in drawn])
        estimates[f"maj@{samples}"] = proportion([majority_score(group) == 1 for group in drawn])
    rollouts = [rollout for group in [*greedy, *drawn] for rollout in group.rollouts]
    return Evaluation(
        estimates,
        cohorts=by_cohort("greedy", greedy) | by_cohort(f"avg@{samples}", drawn),
        lengths_by_outcome=lengths_by_outcome(rollouts),
        mean_length=sum(rollout.sampled_tokens for rollout in rollouts) / len(rollouts),
        truncated=sum(rollout.finish == "length" for rollout in rollouts) / len(rollouts),
        failed=sum(rollout.reward is None for rollout in rollouts) / len(rollouts),
        groups=(tuple(greedy), tuple(drawn)),
    )


def scores(group: Group) -> list[float]:
    return [rollout.reward or 0.0 for rollout in group.rollouts]


def by_cohort(name: str, groups: Sequence[Group]) -> dict[str, float]:
    """The mean score of the problems of each cohort."""
    cohorts: dict[str, list[float]] = {}
    for group in groups:
        if group.problem.cohort:
            cohorts.setdefault(group.problem.cohort, []).extend(scores(group))
    return {f"{name}/cohort/{cohort}": sum(values) / len(values) for cohort, values in sorted(cohorts.items())}


def majority_score(group: Group) -> float:
    """The score of the answer that most of the group's completions give."""
    return majority(
        [(rollout.verdict.extracted if rollout.verdict else None, rollout.reward or 0.0) for rollout in group.rollouts]
    )


def majority(answers: Iterable[tuple[str | None, float]]) -> float:
    """The score of the most frequent answer; of several, the first. `None` is no answer and does not vote."""
    votes: Counter[str] = Counter()
    score_of: dict[str, float] = {}
    for answer, score in answers:
        if answer is not None:
            votes[answer] += 1
            score_of.setdefault(answer, score)
    return score_of[votes.most_common(1)[0][0]] if votes else 0.0


def proportion(solved: Sequence[bool]) -> Estimate:
    """A share of problems with its Wilson interval."""
    return wilson(sum(solved) / len(solved), len(solved))


def mean_estimate(values: Sequence[float], samples: int) -> Estimate:
    """A mean over problems of scores in [0, 1], each itself the mean of `samples` completions.

    Problems are independent draws; the samples of a problem are not. The interval is Wilson's with the effective number
    of draws p (1 - p) / (variance / n) (Korn and Graubard, 1998): n if each problem is solved always or never, up to
    n * samples if all problems are equally hard. If all are right or all are wrong, the spread between problems is
    unknown, and n is used.
    """
    n, p = len(values), sum(values) / len(values)
    variance = sum((value - p) ** 2 for value in values) / n
    trials = n * samples if variance == 0 else n * p * (1 - p) / variance
    return wilson(p, n if p in (0.0, 1.0) else min(max(trials, n), n * samples))


def wilson(p: float, n: float) -> Estimate:
    """The interval of a share `p` of `n` draws (Wilson, 1927): inside [0, 1], valid near its ends, never empty.

    (p + z^2 / 2n  +-  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
    """
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
    # Rounding may move a bound slightly inside a share of exactly 0 or 1.
    return Estimate(p, max(0.0, centre - half) if p else 0.0, min(1.0, centre + half) if p < 1 else 1.0)
