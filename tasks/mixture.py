"""Several tasks as one, each with its share of the problems, a cohort and, if given, a verifier of its own."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from tasks.problem import Problem
from tasks.registry import HoldsOut, Task, make_task, notes_of, sources_of
from tasks.splits import content_key
from verifiers.settings import fits

# Problems in which each part has exactly its share; their order is shuffled.
ROUND = 1000
# How often another problem is drawn in the place of one that another part holds out.
MOST_REDRAWS = 1000


@dataclass(frozen=True)
class Mixture:
    """`parts` are tasks by names of your choice: `{sums: {name: arithmetic, weight: 2, max_steps: 2}, ...}`.

    The keys of a part are `name`, the knobs of that task, and two that every part has: `weight`, its share of the
    training problems beside the weights of the others (1 by default), and `verifier`, instead of the one that the task
    names. The cohort of a problem is the name of its part, followed by its cohort there. Held-out problems come from
    each part, by weight, as far as it has some. A question that one part holds out is not trained on in another.
    """

    parts: dict[str, dict[str, Any]]
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("parts: got none, expected tasks by name: {sums: {name: arithmetic, weight: 2}, ...}")
        for name, part in self.parts.items():
            if "name" not in part:
                raise ValueError(f"parts.{name}: names no task; expected {{name: arithmetic, ...}}")
            weight = part.get("weight", 1.0)
            if not fits(weight, float) or weight <= 0:
                raise ValueError(f"parts.{name}.weight: got {weight!r}, expected a number above 0")
        assert self._tasks

    def problem(self, index: int) -> Problem:
        """The training problem at `index` (0, 1, 2, ...), the same one for the same seed and weights."""
        turn, place = divmod(index, ROUND)
        counts = tuple(shares(self._weights, ROUND).values())
        order = _order(counts, self.seed, turn)
        part = order[place]
        name = list(self.parts)[part]
        number = turn * counts[part] + order[:place].count(part)
        for redraw in range(MOST_REDRAWS):
            # Far ahead in the same part, where no other number of a run is likely to be.
            problem = self._tasks[name].problem(number + redraw * 1_000_003)
            if content_key(problem.prompt) not in self._held_out_elsewhere[name]:
                return self._renamed(problem, name)
        raise ValueError(f"mixture: nearly all questions of the part {name!r} are held out in another part")

    def held_out(self, count: int) -> list[Problem]:
        """`count` evaluation problems by the weights of their parts, or all if there are fewer."""
        wanted = shares(self._weights, count)
        known = {name: list(self._tasks[name].held_out(share)) for name, share in wanted.items()}
        for name, share in wanted.items():  # where a part has too few, others give more
            missing = count - sum(map(len, known.values()))
            if missing and len(known[name]) == share:
                known[name] = list(self._tasks[name].held_out(share + missing))
        return [self._renamed(problem, name) for name, problems in known.items() for problem in problems]

    def sources(self) -> tuple[str, ...]:
        """The local files that the problems of all parts come from."""
        return tuple(dict.fromkeys(file for task in self._tasks.values() for file in sources_of(task)))

    def notes(self) -> tuple[str, ...]:
        """What each part has to say about its rows."""
        return tuple(f"{name}: {note}" for name, task in self._tasks.items() for note in notes_of(task))

    @cached_property
    def _weights(self) -> dict[str, float]:
        return {name: float(part.get("weight", 1.0)) for name, part in self.parts.items()}

    @cached_property
    def _tasks(self) -> dict[str, Task]:
        tasks = {}
        for name, part in self.parts.items():
            knobs = {key: value for key, value in part.items() if key not in ("name", "weight", "verifier")}
            try:
                tasks[name] = make_task(part["name"], knobs, self.seed)
            except ValueError as error:
                raise ValueError(f"parts.{name}: {error}") from None
        return tasks

    @cached_property
    def _held_out_elsewhere(self) -> dict[str, frozenset[int]]:
        """For each part, what the others hold out of the rows of tables."""
        keys = {
            name: task.held_out_keys() if isinstance(task, HoldsOut) else frozenset()
            for name, task in self._tasks.items()
        }
        return {name: frozenset().union(*(keys[other] for other in keys if other != name)) for name in keys}

    def _renamed(self, problem: Problem, name: str) -> Problem:
        cohort = f"{name}, {problem.cohort}" if problem.cohort else name
        verifier = self.parts[name].get("verifier") or problem.verifier
        return replace(problem, id=f"{name}/{problem.id}", cohort=cohort, verifier=verifier)


def shares(weights: Mapping[str, float], count: int) -> dict[str, int]:
    """`count` things dealt out by weight, as exactly as whole numbers can be; where there are enough, one for each."""
    total = sum(weights.values())
    least = 1 if count >= len(weights) else 0
    exact = {name: max(least, count * weight / total) for name, weight in weights.items()}
    dealt = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (dealt[name] - exact[name], -weights[name]))
    for name in by_remainder[: max(0, count - sum(dealt.values()))]:
        dealt[name] += 1
    while sum(dealt.values()) > count:  # some had to get their one
        dealt[max(dealt, key=lambda name: dealt[name])] -= 1
    return dealt


@lru_cache(maxsize=8)
def _order(counts: tuple[int, ...], seed: int, turn: int) -> tuple[int, ...]:
    """The parts of one round in their order, by number."""
    order = [part for part, count in enumerate(counts) for _ in range(count)]
    random.Random(f"mixture/{seed}/{turn}").shuffle(order)
    return tuple(order)
