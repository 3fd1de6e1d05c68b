"""Groups after verifying: which may be trained on, what their rewards say of each completion, and why nothing."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rlvr.algorithms.advantage import Outcomes, advantages
from rlvr.algorithms.objective import Objective
from rlvr.errors import DataError
from rlvr.history import History
from rlvr.types import Group, Rollout


def has_rewards(group: Group) -> bool:
    return len(group.rewards) > 0


def has_spread(group: Group) -> bool:
    """Whether the group's rewards differ, so that it can say which of its completions were better.

    Rewards as the verdicts gave them: that one right answer was longer than another is no spread (DAPO,
    arXiv:2503.14476, eq. 11, filters by accuracy too).
    """
    return len(set(group.rewards)) > 1


KEEP: dict[str, Callable[[Group], bool]] = {"all": has_rewards, "mixed": has_spread}


def rewarded(groups: Sequence[Group]) -> list[tuple[int, Rollout]]:
    """The rollouts that have a reward, each with the number of its group: the rows of `Outcomes` and of a batch."""
    return [
        (index, rollout)
        for index, group in enumerate(groups)
        for rollout in group.rollouts
        if rollout.reward is not None
    ]


def trained_on(rollout: Rollout, objective: Objective) -> bool:
    """Whether a rollout of a group that is kept is a row of the loss."""
    return rollout.reward is not None and not (objective.overlong == "mask" and rollout.finish == "length")


def overlong_punishment(tokens: int, buffer: int, max_tokens: int) -> float:
    """0 up to `max_tokens - buffer` tokens, from there linearly down to -1 at `max_tokens` (DAPO, eq. 13)."""
    return -max(0, tokens - (max_tokens - buffer)) / buffer


def shaped(
    groups: Sequence[Group], objective: Objective, max_tokens: int, penalty: Tensor | None = None
) -> list[Group]:
    """The groups with what is added to each reward before it is compared: minus its length's and its KL's penalty.

    `penalty` `(B, T)` has a row for each rollout that has a reward; it counts here where `kl_in` is `reward`.
    """
    penalties = iter(penalty.sum(-1).tolist() if penalty is not None and objective.kl_in == "reward" else [])
    buffer = objective.overlong_tokens(max_tokens)

    def shape(rollout: Rollout) -> Rollout:
        punish = objective.overlong == "punish"
        punishment = overlong_punishment(len(rollout.completion_ids), buffer, max_tokens) if punish else 0.0
        return replace(rollout, shaping=punishment - next(penalties, 0.0))

    return [replace(g, rollouts=tuple(r if r.reward is None else shape(r) for r in g.rollouts)) for g in groups]


def with_advantages(groups: Sequence[Group], objective: Objective, history: History) -> list[Group]:
    """The groups with an advantage for each rollout that is trained on.

    A completion that was cut off and is masked has none but counts in the baseline: it was a try that failed, and
    without it its siblings would look worse than they are (DAPO, section 3.4, masks the loss alone).
    """
    rows = rewarded(groups)
    outcomes = outcomes_of(rows, [group.problem.cohort for group in groups], objective, history)
    values = iter(advantages(outcomes, objective).tolist() if rows else [])

    def fill(rollout: Rollout) -> Rollout:
        value = next(values)
        return replace(rollout, advantage=value if trained_on(rollout, objective) else None)

    return [replace(g, rollouts=tuple(r if r.reward is None else fill(r) for r in g.rollouts)) for g in groups]


def outcomes_of(
    rows: Sequence[tuple[int, Rollout]], cohorts: Sequence[str], objective: Objective, history: History
) -> Outcomes:
    """What `rows` of groups in these `cohorts` came to, beside what earlier steps did."""
    lag = [history.reward.value - history.cohort_average(cohorts[index]) for index, _ in rows]
    return Outcomes(
        rewards=torch.tensor([(rollout.reward or 0.0) + rollout.shaping for _, rollout in rows]),
        group_index=torch.tensor([index for index, _ in rows], dtype=torch.long),
        lengths_B=torch.tensor([float(len(rollout.completion_ids)) for _, rollout in rows]),
        moving_average=history.reward.value,
        parts=parts_of([rollout for _, rollout in rows]) if objective.combine == "apart" else None,
        part_weights=part_weights_of([rollout for _, rollout in rows]) if objective.combine == "apart" else None,
        cohort_lag_B=torch.tensor(lag),
    )


def parts_of(rollouts: Sequence[Rollout]) -> Tensor:
    """The scores of the parts of each verdict, `(B, K)`, in the order of their names; shaping is one more part.

    Raises `DataError` where the verdicts do not have the same parts.
    """
    found = [dict(rollout.verdict.parts) if rollout.verdict else {} for rollout in rollouts]
    names = sorted(found[0]) if found else []
    for parts in found:
        if not parts or sorted(parts) != names:
            raise DataError(
                f"objective.combine is 'apart', and it needs the same parts of every verdict: got {sorted(parts)} "
                f"beside {names}. Name a verifier that is composed of others in verify.verifier, or use combine: sum"
            )
    shaping = [[rollout.shaping] for rollout in rollouts] if any(r.shaping for r in rollouts) else [[]] * len(found)
    return torch.tensor([[parts[name] for name in names] + more for parts, more in zip(found, shaping, strict=True)])


def part_weights_of(rollouts: Sequence[Rollout]) -> Tensor | None:
    """What each column of `parts_of` counts for, `(K,)`: the weights that the verdicts carry, as they are.

    A part without a weight counts 1, and so does shaping; `None` where no verdict carries weights. Raises `DataError`
    where verdicts disagree.
    """
    verdicts = [rollout.verdict for rollout in rollouts if rollout.verdict]
    if not any(verdict.weights for verdict in verdicts):
        return None
    weights, *others = [[verdict.weights.get(name, 1.0) for name in sorted(verdict.parts)] for verdict in verdicts]
    for other in others:
        if other != weights:
            raise DataError(
                f"objective.combine is 'apart', and it needs the same weights of every verdict: got {other} beside "
                f"{weights} for the parts {', '.join(sorted(verdicts[0].parts))}. Name one verifier in verify.verifier"
            )
    return torch.tensor(weights + [1.0] * any(rollout.shaping for rollout in rollouts))


def has_signal(group: Group) -> bool:
    """Whether some rollout of the group moves the policy (after `with_advantages`)."""
    return any(rollout.advantage for rollout in group.rollouts)


def describe(groups: Sequence[Group]) -> dict[str, float]:
    """What the groups that a step sampled are like, kept or not, for the log.

    Means are over rollouts; rewards over those that have one. An answer is correct where its reward is 1.
    """
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    rewards = [rollout.reward for rollout in rollouts if rollout.reward is not None]
    statuses = Counter(rollout.verdict.status for rollout in rollouts if rollout.verdict is not None)
    by_cohort: dict[str, list[float]] = {}
    for group in groups:
        if group.problem.cohort:
            by_cohort.setdefault(group.problem.cohort, []).extend(group.rewards)
    correct, incorrect = lengths_by_outcome(rollouts)
    return {
        "reward/mean": mean(rewards),
        "reward/accuracy": mean([float(reward == 1) for reward in rewards]),
        "reward/failed_graders": mean([float(rollout.reward is None) for rollout in rollouts]),
        "groups/mixed": mean([float(has_spread(group)) for group in groups]),
        "completion/length": mean([len(rollout.completion_ids) for rollout in rollouts]),
        "completion/length_correct": correct,
        "completion/length_incorrect": incorrect,
        "completion/truncated": mean([float(rollout.finish == "length") for rollout in rollouts]),
        **{f"verdict/{status}": count / len(rollouts) for status, count in sorted(statuses.items())},
        **{f"cohort/{cohort}": mean(values) for cohort, values in sorted(by_cohort.items())},
    }


def lengths_by_outcome(rollouts: Sequence[Rollout]) -> tuple[float, float]:
    """Mean tokens of the completions that are correct (reward 1), and of those that are not. No reward is neither."""
    known = [(rollout.reward, len(rollout.completion_ids)) for rollout in rollouts if rollout.reward is not None]
    return mean([n for reward, n in known if reward == 1]), mean([n for reward, n in known if reward != 1])


def mean(values: Sequence[float]) -> float:
    """The mean; of nothing, no number."""
    return sum(values) / len(values) if values else float("nan")


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
