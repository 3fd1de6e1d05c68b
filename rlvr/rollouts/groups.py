"""Groups after verification: which may be trained on, their statistics, and why they may carry no signal."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from rlvr.algorithms.objective import Objective
from rlvr.types import Group, Rollout


def has_rewards(group: Group) -> bool:
    return len(group.rewards) > 0


def has_spread(group: Group) -> bool:
    """Whether the group's rewards differ, so that some of its completions are better than others.

    These are the verdicts' rewards, without shaping: different lengths of two right answers are no spread (DAPO,
    arXiv:2503.14476, eq. 11, also filters by accuracy).
    """
    return len(set(group.rewards)) > 1


KEEP: dict[str, Callable[[Group], bool]] = {"all": has_rewards, "mixed": has_spread}


def trained_on(rollout: Rollout, objective: Objective) -> bool:
    """Whether a rollout of a kept group is a row of the loss."""
    return rollout.reward is not None and not (objective.overlong == "mask" and rollout.finish == "length")


def has_signal(group: Group) -> bool:
    """Whether some rollout of the group has a nonzero advantage."""
    return any(rollout.advantage for rollout in group.rollouts)


def describe(groups: Sequence[Group]) -> dict[str, float]:
    """Statistics of all groups that a step sampled, kept or not, for the log.

    Means are over rollouts, means of rewards over rollouts with a reward. The accuracy is the share of these that solve
    their problem, NaN if that is unknown of some.
    """
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    rewards = [rollout.reward for rollout in rollouts if rollout.reward is not None]
    solved = [rollout.solved for rollout in rollouts if rollout.reward is not None]
    statuses = Counter(rollout.verdict.status for rollout in rollouts if rollout.verdict is not None)
    by_cohort: dict[str, list[float]] = {}
    for group in groups:
        if group.problem.cohort:
            by_cohort.setdefault(group.problem.cohort, []).extend(group.rewards)
    correct, incorrect = lengths_by_outcome(rollouts)
    parts: dict[str, list[float]] = {}
    for rollout in rollouts:
        for name, score in rollout.verdict.parts.items() if rollout.verdict else ():
            parts.setdefault(name, []).append(score)
    return {
        "reward/mean": mean(rewards),
        "reward/accuracy": mean([math.nan if one is None else float(one) for one in solved]),
        "reward/failed_graders": mean([float(rollout.reward is None) for rollout in rollouts]),
        "groups/mixed": mean([float(has_spread(group)) for group in groups]),
        "completion/length": mean([rollout.sampled_tokens for rollout in rollouts]),
        "completion/length_correct": correct,
        "completion/length_incorrect": incorrect,
        "completion/truncated": mean([float(rollout.finish == "length") for rollout in rollouts]),
        **{f"verdict/{status}": count / len(rollouts) for status, count in sorted(statuses.items())},
        **{f"cohort/{cohort}": mean(values) for cohort, values in sorted(by_cohort.items())},
        **{f"reward/part/{name}": mean(values) for name, values in sorted(parts.items())},
    }


def lengths_by_outcome(rollouts: Sequence[Rollout]) -> tuple[float, float]:
    """Mean tokens of completions that solve their problem and of those that do not; others are in neither."""
    known = [(rollout.solved, rollout.sampled_tokens) for rollout in rollouts if rollout.reward is not None]
    return mean([n for solved, n in known if solved is True]), mean([n for solved, n in known if solved is False])


def mean(values: Sequence[float]) -> float:
    """The mean, or NaN of no values."""
    return sum(values) / len(values) if values else float("nan")


def why_no_signal(groups: Sequence[Group]) -> str:
    """Why these groups carry no signal, in words with percentages, and what the verdicts were."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    kinds = Counter(_kind(group) for group in groups)
    truncated = sum(rollout.finish == "length" for rollout in rollouts)
    no_answer = sum(rollout.verdict is not None and rollout.verdict.status == "no_answer" for rollout in rollouts)
    return "; ".join(
        [
            *(f"{count / len(groups):.0%} of groups {kind}" for kind, count in kinds.most_common()),
            f"{truncated / len(rollouts):.0%} of completions were cut off at max_tokens",
            f"in {no_answer / len(rollouts):.0%} no answer was found",
            f"verdicts: {statuses(rollouts)}",
        ]
    )


def statuses(rollouts: Sequence[Rollout]) -> str:
    """How many verdicts there are of each status: `80 wrong, 16 no_answer`."""
    counts = Counter(rollout.verdict.status for rollout in rollouts if rollout.verdict is not None)
    return ", ".join(f"{count} {status}" for status, count in counts.most_common()) or "none"


def unclear(groups: Sequence[Group], key: str) -> str | None:
    """That scores do not tell what is solved, if it is so; `key` is the option that would."""
    scores = [
        rollout.reward
        for group in groups
        for rollout in group.rollouts
        if rollout.reward is not None and rollout.solved is None
    ]
    if not scores:
        return None
    return (
        f"{len(scores)} scores between {min(scores):.4g} and {max(scores):.4g} do not tell what is solved, so shares "
        f"of solved problems are unknown: set {key} to the score that solves a problem, or return a Verdict"
    )


def _kind(group: Group) -> str:
    if not group.rewards:
        return "have no reward because the grader failed"
    if has_spread(group):
        return "have mixed rewards"
    outcomes = {rollout.solved for rollout in group.rollouts if rollout.reward is not None}
    if outcomes == {True}:
        return "are all right"
    if outcomes == {False} and group.rewards[0] <= 0:
        return "are all wrong"
    return "have equal rewards between 0 and 1" if 0 < group.rewards[0] < 1 else "have equal rewards"
