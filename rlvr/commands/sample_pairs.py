"""Preferences from a verifier: `rlvr pairs` samples and verifies completions, and writes pairs of better and worse
ones.

A pair is a completion with the problem's best reward and one with its worst; a problem with equal rewards gives none.
`noise` swaps the two in a share of the pairs, to imitate human mistakes. The same completions serve rejection sampling:
the right ones (or, with a learned reward, the best) become conversations for `trainer: sft`.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr.build import open_rollouts
from rlvr.config import RunConfig
from rlvr.errors import DataError
from rlvr.rollouts.fitting import FittingTask
from rlvr.rollouts.grader import check_graders
from rlvr.seeds import derive
from rlvr.types import Group, Rollout

# Problems sampled at a time: the most that is held in memory, or lost to Ctrl-C.
CHUNK = 64


@dataclass(frozen=True)
class PairCounts:
    """Counts of what was sampled and written."""

    problems: int
    pairs: int
    demonstrations: int
    solved: float

    def __str__(self) -> str:
        return (
            f"{self.problems} problems, {self.solved:.1%} of completions right: {self.pairs} pairs, "
            f"{self.demonstrations} demonstrations"
        )


def sample_pairs(
    config: RunConfig,
    out: Path,
    sft: Path | None,
    problems: int,
    samples: int,
    per_problem: int,
    noise: float = 0.0,
    held_out: bool = False,
    checkpoint: Path | None = None,
) -> PairCounts:
    """Sample `samples` completions of each of the first `problems` training (or held-out) problems and write the files.

    With `checkpoint` the policy has its weights, and `config.model` is what its run started from.

    Raises `ConfigError` if the recipe has no task or no trained model.
    """
    rollouts, grader = open_rollouts(config, evaluates=False, checkpoint=checkpoint)
    assert rollouts.task is not None
    pairs = demonstrations = 0
    outcomes: list[bool] = []
    try:
        sampled = rollouts.task.held_out(problems) if held_out else [rollouts.task.problem(n) for n in range(problems)]
    except ValueError as error:
        raise DataError(str(error)) from error
    if isinstance(rollouts.task, FittingTask) and rollouts.task.left_out:
        print(f"{rollouts.task.left_out} problems do not fit and were passed over; the first: {rollouts.task.first}")
    with (
        closing(rollouts),
        growing(out) as write_pairs,
        growing(sft) if sft else nullcontext() as write_demonstrations,
    ):
        for start in range(0, len(sampled), CHUNK):
            numbers = range(start, min(start + CHUNK, len(sampled)))
            groups = rollouts.player.collect(
                sampled[start : numbers.stop],
                samples,
                rollouts.sampling,
                [derive(config.seed, "pairs", number) for number in numbers],
                grader,
            )
            check_graders(groups, rollouts.max_failed_share)
            for number, group in zip(numbers, groups, strict=True):
                outcomes += [rollout.solved is True for rollout in group.rollouts if rollout.reward is not None]
                rows = pairs_of(group, per_problem, derive(config.seed, "choose", number))
                noise_draw = random.Random(derive(config.seed, "noise", number))
                pairs += write_pairs([swapped(pair) if noise_draw.random() < noise else pair for pair in rows])
                if write_demonstrations is not None:
                    demonstrations += write_demonstrations(demonstrations_of(group, per_problem))
    solved = sum(outcomes) / max(1, len(outcomes))
    return PairCounts(len(sampled), pairs, demonstrations, solved)


def pairs_of(group: Group, most: int, seed: int) -> list[dict[str, Any]]:
    """At most `most` pairs of a better and a worse completion, all distinct. The better one is never cut off."""
    rewards = group.rewards
    if len(set(rewards)) < 2:
        return []
    best = distinct([r for r in group.rollouts if r.reward == max(rewards) and r.finish == "stop"])
    worst = distinct([r for r in group.rollouts if r.reward == min(rewards)])
    draw = random.Random(seed)
    draw.shuffle(best)
    draw.shuffle(worst)
    return [
        {
            "prompt": list(group.problem.prompt),
            "chosen": [{"role": "assistant", "content": better.text}],
            "rejected": [{"role": "assistant", "content": worse.text}],
            "margin": max(rewards) - min(rewards),
            "problem_id": group.problem.id,
        }
        for better, worse in list(zip(best, worst, strict=False))[:most]
    ]


def swapped(pair: dict[str, Any]) -> dict[str, Any]:
    """The pair with chosen and rejected swapped."""
    return pair | {"chosen": pair["rejected"], "rejected": pair["chosen"]}


def demonstrations_of(group: Group, most: int) -> list[dict[str, Any]]:
    """At most `most` distinct right completions, as conversations; the best ones where scores do not tell what is right
    (a learned reward)."""
    judged = [rollout for rollout in group.rollouts if rollout.reward is not None]
    best = max(group.rewards, default=0.0)
    untold = any(rollout.solved is None for rollout in judged)
    good = distinct([r for r in judged if (r.reward == best if untold else r.solved) and r.finish == "stop"])
    return [
        {"messages": [*group.problem.prompt, {"role": "assistant", "content": rollout.text}]} for rollout in good[:most]
    ]


def distinct(rollouts: Sequence[Rollout]) -> list[Rollout]:
    """The first rollout of each nonblank text."""
    return list({rollout.text: rollout for rollout in reversed(rollouts) if rollout.text.strip()}.values())[::-1]


@contextmanager
def growing(path: Path) -> Iterator[Callable[[Sequence[dict[str, Any]]], int]]:
    """A .jsonl file that appears when it is complete. Yields a function that adds rows and returns their number.

    Until then the rows are in a `.partial` file beside it. If writing is interrupted (Ctrl-C), they stay there, and a
    message says so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    written = 0
    with partial.open("w", encoding="utf-8") as file:

        def add(rows: Sequence[dict[str, Any]]) -> int:
            nonlocal written
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            file.flush()
            written += len(rows)
            return len(rows)

        try:
            yield add
        except BaseException:
            print(f"stopped before the end: {written} rows are in {partial}", flush=True)
            raise
    partial.rename(path)
