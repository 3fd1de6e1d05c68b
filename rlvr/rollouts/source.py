"""The source of a step's groups.

A source fills a pool: `FreshSource` samples on demand, `AheadSource` while earlier steps still learn. Both take results
by number and wait for them, so the speed of an engine changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rlvr.config import SelectionConfig
from rlvr.errors import DataError
from rlvr.rollouts.grader import Grader
from rlvr.rollouts.play import Player, check_versions
from rlvr.rollouts.selection import Pool, choose
from rlvr.seeds import derive
from rlvr.types import Group, Sampling
from tasks import Problem, Task


class GroupSource(Protocol):
    """Fills the pool of each step. `state` returns JSON, from which `restore` continues with the same bits."""

    def fill(self, pool: Pool) -> Pool: ...

    def finish_open(self) -> None:
        """Finish what is being sampled; called before new weights are loaded and before a checkpoint."""
        ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


@dataclass
class Draws:
    """The problems of a run in the order of their numbers, with the settings to sample and grade them."""

    task: Task
    selection: SelectionConfig
    player: Player
    grader: Grader
    group_size: int
    sampling: Sampling
    seed: int
    cursor: int = 0

    def choose(self, count: int, pool: Pool) -> dict[int, Problem]:
        """The next `count` problems by their numbers. Raises `DataError` for an invalid row."""
        try:
            problems, self.cursor = choose(self.task, self.cursor, count, self.selection, pool.history, pool.step)
        except ValueError as error:
            raise DataError(str(error)) from error
        return problems

    def submit(self, problems: Mapping[int, Problem]) -> list[int]:
        """Start sampling some problems. Returns tickets for their groups."""
        return [
            self.player.submit(
                problem, number, self.group_size, self.sampling, derive(self.seed, "sample", number), self.grader
            )
            for number, problem in problems.items()
        ]


@dataclass
class FreshSource:
    """Groups sampled with the current weights, in rounds, until the batch is full or no round is left."""

    draws: Draws

    def fill(self, pool: Pool) -> Pool:
        while count := pool.wanted():
            groups = self.draws.player.take(self.draws.submit(self.draws.choose(count, pool)))
            check_versions(groups, pool.version, pool.version)
            pool = pool.with_fresh(groups)
        return pool

    def finish_open(self) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {"cursor": self.draws.cursor}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.draws.cursor = state["cursor"]


@dataclass
class AheadSource:
    """Groups requested up to `steps_ahead` steps before their own step, so that sampling and learning overlap.

    Problem k may start when step k // prompts_per_step is at most `steps_ahead` steps away. Nothing is thrown away: the
    groups of a step are determined by their numbers, however late they come. Open requests are finished before new
    weights are loaded, so the age of a group depends only on its number, and a run that resumes from a checkpoint has
    the same bits. With `steps_ahead` 0 this is `FreshSource` without refilling.
    """

    draws: Draws
    steps_ahead: int
    last_step: int
    admitted: int = 0  # the last step whose problems were submitted
    tickets: dict[int, list[int]] = field(default_factory=dict)
    finished: dict[int, list[Group]] = field(default_factory=dict)

    def fill(self, pool: Pool) -> Pool:
        while self.admitted < min(pool.step + self.steps_ahead, self.last_step):
            self.admitted = max(self.admitted + 1, pool.step)
            self.tickets[self.admitted] = self.draws.submit(self.draws.choose(pool.size, pool))
        groups = self._take(pool.step)
        check_versions(groups, pool.version - pool.max_staleness, pool.version)
        return pool.with_fresh(groups)

    def finish_open(self) -> None:
        for step in list(self.tickets):
            self.finished[step] = self._take(step)

    def _take(self, step: int) -> list[Group]:
        if step in self.finished:
            return self.finished.pop(step)
        return self.draws.player.take(self.tickets.pop(step))

    def state(self) -> dict[str, Any]:
        self.finish_open()
        finished = {step: [group.state() for group in groups] for step, groups in self.finished.items()}
        return {"cursor": self.draws.cursor, "admitted": self.admitted, "finished": finished}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.draws.cursor, self.admitted = state["cursor"], state["admitted"]
        self.finished = {int(step): groups_of(groups) for step, groups in state["finished"].items()}


def groups_of(values: Sequence[Mapping[str, Any]]) -> list[Group]:
    return [Group.of(group) for group in values]
