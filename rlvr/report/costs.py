"""The cost of a variant: tokens and seconds of training, in total and until a target accuracy.

Tokens are those of sampled completions and the same on every machine; seconds and memory depend on the machine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy

from rlvr.report.results import RunResult


@dataclass(frozen=True)
class Cost:
    """Means over seeds, NaN where unknown. Costs until the target are means over the `reached` seeds that got there."""

    variant: str
    seeds: int
    tokens: float
    reached: int
    steps_to_target: float
    tokens_to_target: float
    seconds: float
    seconds_to_target: float
    peak_memory_bytes: float


def costs(runs: Mapping[str, Sequence[RunResult]], target: float | None) -> list[Cost]:
    """One row per variant. `target` is a greedy accuracy, reached at the first evaluation with at least that value."""
    return [_cost(variant, own, target) for variant, own in runs.items()]


def _cost(variant: str, runs: Sequence[RunResult], target: float | None) -> Cost:
    reached = [(run, step) for run in runs if (step := step_of_target(run, target)) is not None]
    return Cost(
        variant,
        len(runs),
        tokens=_mean([float(run.tokens_so_far[-1]) for run in runs]),
        reached=len(reached),
        steps_to_target=_mean([float(step) for _, step in reached]),
        tokens_to_target=_mean([float(run.tokens_so_far[step]) for run, step in reached]),
        seconds=_mean([float(run.seconds_so_far[-1]) for run in runs]),
        seconds_to_target=_mean([float(run.seconds_so_far[step]) for run, step in reached]),
        peak_memory_bytes=max(
            (float(run.peak_memory_bytes) for run in runs if run.peak_memory_bytes), default=math.nan
        ),
    )


def step_of_target(run: RunResult, target: float | None) -> int | None:
    """The step of the first evaluation whose greedy accuracy is at least `target`, or `None`."""
    if target is None:
        return None
    reached = [step for step, solved in zip(run.eval_steps, run.greedy, strict=True) if solved.mean() >= target]
    return reached[0] if reached else None


def _mean(values: Sequence[float]) -> float:
    return float(numpy.mean(values)) if values else math.nan
