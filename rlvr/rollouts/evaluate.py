"""Accuracy and scores on held-out problems, with 95 % confidence intervals.

greedy        share of problems solved by the greedy completion
greedy_score  mean score of the greedy completions, where scores are more than right or wrong
avg@k         mean score of k sampled completions
pass@k        share of problems solved by at least one of k sampled completions (Chen et al., 2021, at n = k)
maj@k         share of problems solved by the answer that most of the k completions give (Wang et al., 2022)

`verifiers.is_solved` says what is solved. Where it cannot say, the shares are unknown, and the mean scores are not.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rlvr.algorithms.intervals import Estimate, mean_score, share
from rlvr.rollouts.grader import Grader, failures
from rlvr.rollouts.groups import lengths_by_outcome, mean, unclear
from rlvr.rollouts.play import Player
from rlvr.seeds import derive
from rlvr.types import Group, Sampling
from tasks import Problem

T = TypeVar("T")


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

    @property
    def doubt(self) -> str | None:
        """Why shares are unknown, if they are."""
        return unclear([group for groups in self.groups for group in groups], "eval.solved_at")

    @property
    def failures(self) -> str | None:
        """How many graders failed, and why."""
        return failures([group for groups in self.groups for group in groups])

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

    `sampling` applies to the sampled ones. A completion whose grader failed counts as unsolved here (and in `failed`),
    because an evaluation must cover every problem; its score counts as the lowest of the evaluation, and at most 0.
    """
    seeds = [derive(seed, "evaluate", index) for index in range(len(problems))]
    greedy = player.collect(problems, 1, Sampling(sampling.max_tokens, temperature=0.0), seeds, grader)
    drawn = player.collect(problems, samples, sampling, seeds, grader) if samples else []
    rollouts = [rollout for group in [*greedy, *drawn] for rollout in group.rollouts]
    floor = lowest(rollout.reward for rollout in rollouts)
    estimates = {"greedy": share([solved(group)[0] for group in greedy])}
    if any(rollout.reward != rollout.solved for rollout in rollouts if rollout.reward is not None):
        estimates["greedy_score"] = mean_score([scores(group, floor) for group in greedy])
    if samples:
        estimates[f"avg@{samples}"] = mean_score([scores(group, floor) for group in drawn])
        estimates[f"pass@{samples}"] = share([any_of(solved(group)) for group in drawn])
        estimates[f"maj@{samples}"] = share([majority_solved(group) for group in drawn])
    return Evaluation(
        estimates,
        cohorts=by_cohort("greedy", greedy, share_solved)
        | by_cohort(f"avg@{samples}", drawn, lambda group: scores(group, floor)),
        lengths_by_outcome=lengths_by_outcome(rollouts),
        mean_length=sum(rollout.sampled_tokens for rollout in rollouts) / len(rollouts),
        truncated=sum(rollout.finish == "length" for rollout in rollouts) / len(rollouts),
        failed=sum(rollout.reward is None for rollout in rollouts) / len(rollouts),
        groups=(tuple(greedy), tuple(drawn)),
    )


def lowest(rewards: Iterable[float | None]) -> float:
    """The score of a completion whose grader failed: the lowest one, and at most 0."""
    return min([0.0, *(reward for reward in rewards if reward is not None)])


def scores(group: Group, floor: float) -> list[float]:
    """The score of each completion; `floor` where the grader failed."""
    return [floor if rollout.reward is None else rollout.reward for rollout in group.rollouts]


def solved(group: Group) -> list[bool | None]:
    """Whether each completion solves the problem, `None` if unknown; one whose grader failed does not."""
    return [False if rollout.reward is None else rollout.solved for rollout in group.rollouts]


def share_solved(group: Group) -> list[float]:
    return [math.nan if one is None else float(one) for one in solved(group)]


def any_of(outcomes: Sequence[bool | None]) -> bool | None:
    """Whether at least one is true; `None` if none is, and one is unknown."""
    return True if True in outcomes else None if None in outcomes else False


def by_cohort(name: str, groups: Sequence[Group], values: Callable[[Group], list[float]]) -> dict[str, float]:
    """The mean of `values` over the completions of each cohort."""
    cohorts: dict[str, list[float]] = {}
    for group in groups:
        if group.problem.cohort:
            cohorts.setdefault(group.problem.cohort, []).extend(values(group))
    return {f"{name}/cohort/{cohort}": mean(own) for cohort, own in sorted(cohorts.items())}


def majority_solved(group: Group) -> bool | None:
    """Whether the answer that most of the group's completions give solves the problem."""
    answers = [rollout.verdict.extracted if rollout.verdict else None for rollout in group.rollouts]
    return majority(zip(answers, solved(group), strict=True), otherwise=False)


def majority(answers: Iterable[tuple[str | None, T]], otherwise: T) -> T:
    """What belongs to the most frequent answer; of several, the first. `None` is no answer and does not vote;
    `otherwise` if nobody votes."""
    votes: Counter[str] = Counter()
    value_of: dict[str, T] = {}
    for answer, value in answers:
        if answer is not None:
            votes[answer] += 1
            value_of.setdefault(answer, value)
    return value_of[votes.most_common(1)[0][0]] if votes else otherwise
