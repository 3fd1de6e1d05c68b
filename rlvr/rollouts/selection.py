"""Which problems a step samples, and which groups it is then made of.

Problems are numbered by the task without end; `choose` walks these numbers, passes over those that rest, and may take
the ones whose pass rate suits best. `Pool` gathers groups until the batch is full: those that wait from earlier steps
first, then fresh ones. Everything is a function of the run's seed, its cursor and its history: nothing is drawn here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from rlvr.algorithms.choices import pick
from rlvr.algorithms.objective import Objective
from rlvr.config import SelectionConfig
from rlvr.rollouts.groups import KEEP, has_signal, mean, trained_on, why_no_signal
from rlvr.rollouts.history import History, Record
from rlvr.types import Group
from tasks import Problem, Task

# How far ahead problems that do not rest are looked for, in multiples of what is wanted.
LOOK_AHEAD = 10


def choose(
    task: Task, cursor: int, count: int, selection: SelectionConfig, history: History, step: int
) -> tuple[dict[int, Problem], int]:
    """`count` problems by their numbers, from `cursor` on, and the cursor behind the last one looked at.

    Where nearly all problems rest, those that would have been passed over are taken after all: a batch is never short.
    """
    by_rate = selection.curriculum == "pass_rate"
    wanted = count * selection.oversample if by_rate else count
    awake: dict[int, Problem] = {}
    resting: dict[int, Problem] = {}
    after = cursor
    while len(awake) < wanted and after < cursor + LOOK_AHEAD * wanted:
        problem = task.problem(after)
        (resting if rests(history.problems.get(problem.id), selection, step) else awake)[after] = problem
        after += 1
    awake |= {number: resting[number] for number in list(resting)[: max(0, count - len(awake))]}

    def off_target(number: int) -> float:
        return abs(expected_pass_rate(awake[number], selection, history, step) - selection.target_pass_rate)

    nearest = sorted(awake, key=off_target) if by_rate else list(awake)
    return {number: awake[number] for number in sorted(nearest[:count])}, after


def rests(record: Record | None, selection: SelectionConfig, step: int) -> bool:
    """Whether a problem was solved so often in a row that it is not asked again for a while."""
    if record is None or not selection.skip_solved or record.solved_in_a_row < selection.skip_solved:
        return False
    return step - record.step <= selection.revisit_after


def expected_pass_rate(problem: Problem, selection: SelectionConfig, history: History, step: int) -> float:
    """What was measured on the problem itself; where that is too long ago or never was, its cohort's average."""
    record = history.problems.get(problem.id)
    if record is not None and step - record.step <= selection.revisit_after:
        return record.pass_rate
    return history.cohort_average(problem.cohort)


@dataclass(frozen=True)
class Pool:
    """Groups on their way into the batch of `size` groups of step `step`.

    `kept` may be trained on, oldest first; `fresh` are all that were sampled for this step, `dropped` those of them
    that are not kept; `expired` waited too long. `version` is that of the learner's weights, `history` what earlier
    steps came to, `max_staleness` how many optimizer steps a group may be old, `rounds` counts samplings.
    """

    size: int
    objective: Objective
    version: int
    step: int = 1
    history: History = field(default_factory=History)
    max_staleness: int = 0
    kept: tuple[Group, ...] = ()
    fresh: tuple[Group, ...] = ()
    dropped: tuple[Group, ...] = ()
    expired: tuple[Group, ...] = ()
    rounds: int = 0

    def with_waiting(self, groups: Sequence[Group]) -> Self:
        """The pool with groups that wait from earlier steps, but for those whose weights are too old by now."""
        young = tuple(group for group in groups if self.version - group.policy_version <= self.max_staleness)
        expired = tuple(group for group in groups if self.version - group.policy_version > self.max_staleness)
        return replace(self, kept=(*self.kept, *young), expired=(*self.expired, *expired))

    def wanted(self) -> int:
        """How many problems the next round samples.

        Enough that the batch is expected to be full given the share of groups that is usually kept, never fewer than
        are missing nor more than a whole batch; 0 where it is full, or no round is left. The share of this step's own
        rounds counts once there is one.
        """
        missing = self.size - len(self.kept)
        if missing <= 0 or self.rounds > self.objective.refill_rounds:
            return 0
        share = self.kept_share if self.fresh else self.history.kept_share
        return min(self.size, math.ceil(missing / share)) if share else self.size

    def with_fresh(self, groups: Sequence[Group]) -> Self:
        """The pool after one more round of sampling."""
        kept = [group for group in groups if self.keeps(group)]
        dropped = [group for group in groups if not self.keeps(group)]
        return replace(
            self,
            kept=(*self.kept, *kept),
            fresh=(*self.fresh, *groups),
            dropped=(*self.dropped, *dropped),
            rounds=self.rounds + 1,
        )

    def keeps(self, group: Group) -> bool:
        """Whether the objective keeps the group, and trains on one of its rollouts at least."""
        keep = pick(KEEP, self.objective.keep, "keep")
        return keep(group) and any(trained_on(rollout, self.objective) for rollout in group.rollouts)

    @property
    def kept_share(self) -> float:
        """The share of this step's groups that may be trained on."""
        return 1 - len(self.dropped) / len(self.fresh) if self.fresh else 1.0

    @property
    def batch(self) -> tuple[Group, ...]:
        return self.kept[: self.size]

    @property
    def pending(self) -> tuple[Group, ...]:
        """The surplus, for the next step; none where nothing may wait."""
        return self.kept[self.size :] if self.max_staleness else ()

    @property
    def left_out(self) -> tuple[Group, ...]:
        """Groups that nothing will ever be learned from: not kept, or one too many, or too old."""
        surplus = () if self.max_staleness else self.kept[self.size :]
        return (*self.dropped, *surplus, *self.expired)

    def shortfall(self) -> str | None:
        """Why the batch is not full though it was refilled, in words with percentages."""
        if not self.objective.refill_rounds or len(self.batch) == self.size:
            return None
        return (
            f"{len(self.batch)} of {self.size} groups were found in {self.rounds} rounds of sampling "
            f"({self.kept_share:.0%} of {len(self.fresh)} sampled groups were kept): {why_no_signal(self.fresh)}"
        )

    def describe(self, trained: Sequence[Group]) -> dict[str, float]:
        """What became of the groups, for the log; `trained` is the batch with its advantages.

        Staleness is in optimizer steps.
        """
        ages = [self.version - group.policy_version for group in self.batch] or [0]
        settled = [*trained, *self.left_out]
        return {
            "groups/with_signal": mean([float(has_signal(group)) for group in settled]),
            "groups/sampled": len(self.fresh),
            "groups/kept": len(self.fresh) - len(self.dropped),
            "groups/dropped": len(self.left_out),
            "groups/expired": len(self.expired),
            "groups/pending": len(self.pending),
            "groups/refill_rounds": max(0, self.rounds - 1),
            "groups/fullness": len(self.batch) / self.size,
            "groups/staleness_mean": mean(ages),
            "groups/staleness_max": max(ages),
        }
