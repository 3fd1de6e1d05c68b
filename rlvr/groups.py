"""Groups after verifying: which are trained on, what their rewards say of each completion, why they may say nothing."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from rlvr.algorithms.advantage import Outcomes, advantages
from rlvr.algorithms.choices import pick
from rlvr.algorithms.objective import Objective
from rlvr.types import Group


def has_rewards(group: Group) -> bool:
    return len(group.rewards) > 0


def has_spread(group: Group) -> bool:
    """Whether the group's rewards differ, so that it can say which of its completions were better."""
    return len(set(group.rewards)) > 1


KEEP: dict[str, Callable[[Group], bool]] = {"all": has_rewards, "mixed": has_spread}


def with_advantages(groups: Sequence[Group], objective: Objective) -> list[Group]:
    """The groups with an advantage for each rollout that has a reward and whose group is kept."""
    keep = pick(KEEP, objective.keep, "keep")
    kept = [index for index, group in enumerate(groups) if keep(group)]
    rows = [(index, rollout) for index in kept for rollout in groups[index].rollouts if rollout.reward is not None]
    outcomes = Outcomes(
        rewards=torch.tensor([rollout.reward for _, rollout in rows], dtype=torch.float32),
        group_index=torch.tensor([index for index, _ in rows], dtype=torch.long),
        lengths_B=torch.tensor([len(rollout.completion_ids) for _, rollout in rows], dtype=torch.float32),
    )
    values = iter(advantages(outcomes, objective).tolist() if rows else [])
    filled = list(groups)
    for index in kept:
        rollouts = (
            replace(rollout, advantage=None if rollout.reward is None else next(values))
            for rollout in groups[index].rollouts
        )
        filled[index] = replace(groups[index], rollouts=tuple(rollouts))
    return filled


def has_signal(group: Group) -> bool:
    """Whether some rollout of the group moves the policy (after `with_advantages`)."""
    return any(rollout.advantage for rollout in group.rollouts)


def describe(groups: Sequence[Group]) -> dict[str, float]:
    """What a step's groups are like, for the log. Means are over rollouts; rewards over those that have one."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    rewards = [rollout.reward for rollout in rollouts if rollout.reward is not None]
    statuses = Counter(rollout.verdict.status for rollout in rollouts if rollout.verdict is not None)
    by_cohort: dict[str, list[float]] = {}
    for group in groups:
        if group.problem.cohort:
            by_cohort.setdefault(group.problem.cohort, []).extend(group.rewards)

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values) if values else float("nan")

    return {
        "reward/mean": mean(rewards),
        "reward/accuracy": mean([float(reward == 1) for reward in rewards]),
        "reward/failed_graders": mean([float(rollout.reward is None) for rollout in rollouts]),
        "groups/mixed": mean([float(has_spread(group)) for group in groups]),
        "groups/with_signal": mean([float(has_signal(group)) for group in groups]),
        "completion/length": mean([len(rollout.completion_ids) for rollout in rollouts]),
        "completion/truncated": mean([float(rollout.finish == "length") for rollout in rollouts]),
        **{f"verdict/{status}": count / len(rollouts) for status, count in sorted(statuses.items())},
        **{f"cohort/{cohort}": mean(values) for cohort, values in sorted(by_cohort.items())},
    }


def why_no_signal(groups: Sequence[Group]) -> str:
    """Why these groups teach nothing, in words with percentages."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    kinds = Counter(_kind(group) for group in groups)
    truncated = sum(rollout.finish == "length" for rollout in rollouts)
    no_answer = sum(rollout.verdict is not None and rollout.verdict.status == "no_answer" for rollout in rollouts)
    return "; ".join(
        [
            *(f"{count / len(groups):.0%} of groups {kind}" for kind, count in kinds.most_common()),
            f"{truncated / len(rollouts):.0%} of completions were cut off at max_tokens",
            f"in {no_answer / len(rollouts):.0%} no answer was found",
        ]
    )


def _kind(group: Group) -> str:
    if not group.rewards:
        return "have no reward because the grader failed"
    if has_spread(group):
        return "have mixed rewards"
    if group.rewards[0] <= 0:
        return "are all wrong"
    return "are all right" if group.rewards[0] >= 1 else "have equal rewards between 0 and 1"
