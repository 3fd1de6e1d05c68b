"""The measures by which variants are compared: each is a function of sums over problems.

`columns` returns numbers for each problem, `(P, F)`; `value` computes the measure from their sums, `(..., F) -> (...)`.
Resampling problems is then one matrix product, and means, ratios (the mean length of *incorrect* completions), a best
evaluation and a weakest cohort are all resampled the same way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy

from rlvr.report.results import RunResult
from rlvr.report.statistics import Array

# A score has no unit of its own: where all scores lie in [0, 1] it reads as a share.
Unit = Literal["share", "score", "tokens"]


@dataclass(frozen=True)
class Measure:
    """`is_change` is true if 0 means that a variant has not changed in training."""

    title: str
    unit: Unit
    columns: Callable[[RunResult], Array]
    value: Callable[[Array], Array]
    is_accuracy: bool = False
    is_change: bool = False


def measure_run(measure: Measure, run: RunResult, weights_BP: Array) -> tuple[float, Array]:
    """The measure of a run, and of each resample of its problems `(B,)`; NaN where it is undefined."""
    columns_PF = measure.columns(run)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        return float(measure.value(columns_PF.sum(0))), measure.value(weights_BP @ columns_PF)


def cohorts(run: RunResult) -> list[str]:
    return sorted({item.cohort for item in run.items if item.cohort})


def cohort_columns(run: RunResult) -> Array:
    """For each cohort the sum of avg@k and the number of problems, `(P, 2 * cohorts)`; without cohorts, all problems
    are one."""
    names = cohorts(run) or [""]
    member_PC = numpy.array([[float(item.cohort == name) for name in names] for item in run.items])
    score_P = run.scores[-1].mean(1)
    return numpy.concatenate([member_PC * score_P[:, None], member_PC], axis=1)


def cohort_values(sums: Array) -> Array:
    """The mean of each cohort `(..., cohorts)`."""
    half = sums.shape[-1] // 2
    with numpy.errstate(invalid="ignore"):
        means: Array = sums[..., :half] / sums[..., half:]
    return means


def weakest(sums: Array) -> Array:
    weakest_means: Array = numpy.nanmin(cohort_values(sums), axis=-1)
    return weakest_means


def lengths(run: RunResult, evaluation: int, solved: bool) -> Array:
    """Total tokens and number of the (in)correct sampled completions of each problem `(P, 2)`."""
    chosen = run.solved[evaluation] == float(solved)
    return numpy.stack([(run.tokens[evaluation] * chosen).sum(1), chosen.sum(1)], axis=1)


def area_columns(run: RunResult) -> Array:
    """The share of training in which each problem was solved, by the trapezoid rule."""
    steps = numpy.array(run.eval_steps, dtype=numpy.float64)
    middle = (run.greedy[1:] + run.greedy[:-1]) / 2 * numpy.diff(steps)[:, None]
    return _with_ones(middle.sum(0) / (steps[-1] - steps[0]))


def _with_ones(values_P: Array) -> Array:
    return numpy.stack([values_P, numpy.ones_like(values_P)], axis=1)


def _mean(sums: Array) -> Array:
    mean: Array = sums[..., 0] / sums[..., 1]
    return mean


def _change(sums: Array) -> Array:
    change: Array = sums[..., 2] / sums[..., 3] - sums[..., 0] / sums[..., 1]
    return change


def _length(solved: bool) -> Callable[[RunResult], Array]:
    return lambda run: lengths(run, -1, solved)


def _change_of_length(solved: bool) -> Callable[[RunResult], Array]:
    return lambda run: numpy.concatenate([lengths(run, 0, solved), lengths(run, -1, solved)], axis=1)


def _best_columns(run: RunResult) -> Array:
    return numpy.concatenate([run.greedy[1:].T, numpy.ones((len(run.items), 1))], axis=1)


def _best(sums: Array) -> Array:
    best: Array = (sums[..., :-1] / sums[..., -1:]).max(-1)
    return best


MEASURES: dict[str, Measure] = {
    "accuracy": Measure("final accuracy", "share", lambda run: _with_ones(run.greedy[-1]), _mean, is_accuracy=True),
    "best_accuracy": Measure("best accuracy", "share", _best_columns, _best, is_accuracy=True),
    "area": Measure("accuracy along the curve", "share", area_columns, _mean, is_accuracy=True),
    "avg": Measure("avg@k", "score", lambda run: _with_ones(run.scores[-1].mean(1)), _mean, is_accuracy=True),
    "pass": Measure("pass@k", "share", lambda run: _with_ones(run.any_solved), _mean, is_accuracy=True),
    "maj": Measure("maj@k", "share", lambda run: _with_ones(run.majority[-1]), _mean, is_accuracy=True),
    "weakest_cohort": Measure("avg@k of the weakest cohort", "score", cohort_columns, weakest, is_accuracy=True),
    "correct_length": Measure("length of correct completions", "tokens", _length(True), _mean),
    "incorrect_length": Measure("length of incorrect completions", "tokens", _length(False), _mean),
    "correct_length_growth": Measure(
        "growth in length of correct completions", "tokens", _change_of_length(True), _change, is_change=True
    ),
    "incorrect_length_growth": Measure(
        "growth in length of incorrect completions", "tokens", _change_of_length(False), _change, is_change=True
    ),
}


def measures_of(runs: Sequence[RunResult]) -> dict[str, Measure]:
    """`MEASURES` with the units of these runs."""
    if not all(run.scores_are_shares for run in runs):
        return dict(MEASURES)
    return {
        name: replace(measure, unit="share") if measure.unit == "score" else measure
        for name, measure in MEASURES.items()
    }
