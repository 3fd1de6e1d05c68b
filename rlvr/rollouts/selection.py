"""Which problems a step samples, and which groups form its batch.

A task numbers its problems endlessly. `choose` walks through these numbers, skips resting problems, and may prefer
problems by their pass rate. `Pool` collects groups until the batch is full: first those that wait from earlier steps,
then fresh ones. Everything is a function of the seed, the cursor and the history; nothing here is random.
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

# How far ahead to look for problems that do not rest, in multiples of the wanted number.
LOOK_AHEAD = 10


def choose(
    task: Task, cursor: int, count: int, selection: SelectionConfig, history: History, step: int
) -> tuple[dict[int, Problem], int]:
    """`count` problems by their numbers, from `cursor` on, and the cursor after the last one inspected.

    If nearly all problems rest, resting ones fill the batch, so it is never short.
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
    """Whether a problem was solved so often in a row that it is skipped for a while."""
    if record is None or not selection.skip_solved or record.solved_in_a_row < selection.skip_solved:
        return False
    return step - record.step <= selection.revisit_after


def expected_pass_rate(problem: Problem, selection: SelectionConfig, history: History, step: int) -> float:
    """The problem's own pass rate, or its cohort's average if it was never measured or too long ago."""
    record = history.problems.get(problem.id)
    if record is not None and step - record.step <= selection.revisit_after:
        return record.pass_rate
    return history.pass_rate(problem.cohort)


@dataclass(frozen=True)
class Pool:
    """The candidates for the batch of `size` groups of step `step`.

    `kept` may be trained on, oldest first; `fresh` are all groups sampled for this step, `dropped` those of them that
    are not kept; `expired` waited too long. `version` is the version of the learner's weights, `history` the memory of
    earlier steps, `max_staleness` the largest age of a group in optimizer steps, `rounds` the number of samplings.
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
        """The pool with the groups that wait from earlier steps, without those whose weights are now too old."""
        young = tuple(group for group in groups if self.version - group.policy_version <= self.max_staleness)
        expired = tuple(group for group in groups if self.version - group.policy_version > self.max_staleness)
        return replace(self, kept=(*self.kept, *young), expired=(*self.expired, *expired))

    def wanted(self) -> int:
        """How many problems the next round samples.

        Enough to fill the batch at the usual share of kept groups, at least the missing number and at most a whole
        batch; 0 if the batch is full or no round is left. After the first round of a step, its own share counts.
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
        """Whether the objective keeps the group and trains on at least one of its rollouts."""
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
        """The surplus for the next step; none if groups may not wait."""
        return self.kept[self.size :] if self.max_staleness else ()

    @property
    def left_out(self) -> tuple[Group, ...]:
        """Groups that are never trained on: not kept, surplus, or too old."""
        surplus = () if self.max_staleness else self.kept[self.size :]
        return (*self.dropped, *surplus, *self.expired)

    def shortfall(self) -> str | None:
        """Why the batch is not full despite refilling, in words with percentages."""
        if not self.objective.refill_rounds or len(self.batch) == self.size:
            return None
        return (
            f"{len(self.batch)} of {self.size} groups were found in {self.rounds} rounds of sampling "
            f"({self.kept_share:.0%} of {len(self.fresh)} sampled groups were kept): {why_no_signal(self.fresh)}"
        )

    def describe(self, trained: Sequence[Group]) -> dict[str, float]:
        """Statistics of the pool, for the log; `trained` is the batch with its advantages.

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
