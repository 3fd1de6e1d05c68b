"""The figures of a comparison as data: lines with bands, bars with whiskers. `svg` and `pictures` draw them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy

from rlvr.report.conclusions import Comparison, over_seeds
from rlvr.report.measures import cohort_columns, cohort_values, cohorts, lengths
from rlvr.report.results import RunResult
from rlvr.report.statistics import Array, problem_weights

SMOOTH = 5  # number of steps averaged in a point of a training curve
Points = tuple[float, ...]


@dataclass(frozen=True)
class Line:
    """A variant's mean over seeds; `low` and `high` are its lowest and highest seed."""

    label: str
    place: int  # position of the variant in the configuration: determines colour and mark
    x: Points
    y: Points
    low: Points
    high: Points


@dataclass(frozen=True)
class Chart:
    name: str
    title: str
    note: str
    x_label: str
    y_label: str
    is_share: bool
    lines: tuple[Line, ...]
    has_marks: bool = True


@dataclass(frozen=True)
class Bar:
    place: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bars:
    name: str
    title: str
    note: str
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    bars: tuple[tuple[Bar, ...], ...]  # one tuple for each group, in the order of the labels
    is_share: bool = True

    @property
    def range(self) -> tuple[float, float]:
        """The ends of the axis: 0 to 1 for shares, else what the bars and their intervals need, with 0."""
        if self.is_share:
            return 0.0, 1.0
        ends = [end for group in self.bars for bar in group for end in (bar.value, bar.low, bar.high)]
        known = [0.0, *(end for end in ends if math.isfinite(end))]
        return min(known), max(known)


def line_charts(comparison: Comparison) -> list[Chart]:
    """All line charts for which the runs have data."""
    k = comparison.samples
    drawn, is_share = f"avg@{k}", comparison.known["avg"].unit == "share"
    charts = [
        _chart(comparison, "learning", "Learning curves", "Greedy accuracy on held-out problems.", "accuracy",
               True, lambda run: _evaluated(run, run.greedy.mean(1))),
        _chart(comparison, "sampled", "Sampled accuracy" if is_share else "Sampled score",
               f"Mean of {k} sampled completions per problem.", drawn, is_share,
               lambda run: _evaluated(run, run.scores.mean((1, 2)))),
        _chart(comparison, "length-incorrect", "Length of incorrect completions", "Sampled, on held-out problems.",
               "tokens", False, lambda run: _evaluated(run, _lengths(run, False))),
        _chart(comparison, "length-correct", "Length of correct completions", "Sampled, on held-out problems.",
               "tokens", False, lambda run: _evaluated(run, _lengths(run, True))),
        _path(comparison),
        _chart(comparison, "reward", "Reward in training", f"Mean of {SMOOTH} steps.", "reward",
               False, lambda run: _trained(run, "reward/mean"), has_marks=False),
        _chart(comparison, "entropy", "Entropy in training", f"Over the learner's tokens, mean of {SMOOTH} steps.",
               "nats", False, lambda run: _trained(run, "entropy"), has_marks=False),
        _chart(comparison, "kl", "KL to the initial policy", "Only for objectives with a KL term.", "nats", False,
               lambda run: _trained(run, "kl"), has_marks=False),
    ]  # fmt: skip
    return [chart for chart in charts if chart.lines]


def cohort_bars(comparison: Comparison) -> Bars | None:
    """avg@k of each cohort under each variant, with intervals; `None` if there are fewer than two cohorts."""
    first = next(iter(comparison.runs.values()))[0]
    names = cohorts(first)
    if len(names) < 2:
        return None
    problems, is_share = len(comparison.items), comparison.known["avg"].unit == "share"
    lowest, highest = (0.0, 1.0) if is_share else (-math.inf, math.inf)
    weights_BP = problem_weights(problems, 1000)
    rows: list[list[Bar]] = [[] for _ in names]
    for place, runs in enumerate(comparison.runs.values()):
        columns = [cohort_columns(run) for run in runs]
        for index in range(len(names)):
            measured = [
                (float(cohort_values(c.sum(0))[index]), cohort_values(weights_BP @ c)[:, index]) for c in columns
            ]
            finding = over_seeds(measured, problems, comparison.confidence)
            rows[index].append(Bar(place, finding.value, max(lowest, finding.low), min(highest, finding.high)))
    counts = [sum(item.cohort == name for item in comparison.items) for name in names]
    return Bars(
        "cohorts",
        "Accuracy of each cohort" if is_share else "Score of each cohort",
        f"avg@{comparison.samples} after training, with {comparison.confidence:.0%} intervals over problems and seeds.",
        tuple(f"{name} ({count})" for name, count in zip(names, counts, strict=True)),
        tuple(comparison.runs),
        tuple(tuple(row) for row in rows),
        is_share,
    )


def _chart(
    comparison: Comparison,
    name: str,
    title: str,
    note: str,
    y_label: str,
    is_share: bool,
    curve: Callable[[RunResult], tuple[Array, Array]],
    has_marks: bool = True,
) -> Chart:
    lines = []
    for place, (variant, runs) in enumerate(comparison.runs.items()):
        curves = [curve(run) for run in runs]
        xs, ys_SX = curves[0][0], [y for _, y in curves]
        width = min(len(y) for y in ys_SX)
        values = numpy.stack([y[:width] for y in ys_SX])
        seen = numpy.isfinite(values).any(0)
        if seen.any():
            values, xs = values[:, seen], xs[:width][seen]
            lines.append(
                Line(variant, place, *(_points(v) for v in (
                    xs, numpy.nanmean(values, 0), numpy.nanmin(values, 0), numpy.nanmax(values, 0))))
            )  # fmt: skip
    return Chart(name, title, note, "training step", y_label, is_share, tuple(lines), has_marks)


def _path(comparison: Comparison) -> Chart:
    """Length against accuracy: a path to the right without a rise has learned without longer completions."""
    lines = []
    for place, (variant, runs) in enumerate(comparison.runs.items()):
        x = numpy.mean([run.scores.mean((1, 2)) for run in runs], axis=0)
        y = numpy.mean([run.tokens.mean((1, 2)) for run in runs], axis=0)
        lines.append(Line(variant, place, _points(x), _points(y), _points(y), _points(y)))
    return Chart(
        "length-reward", "Length against reward", "One mark per evaluation, means over seeds.",
        f"avg@{comparison.samples}", "tokens, all completions", False, tuple(lines),
    )  # fmt: skip


def _evaluated(run: RunResult, values: Array) -> tuple[Array, Array]:
    return numpy.array(run.eval_steps, dtype=numpy.float64), values


def _lengths(run: RunResult, solved: bool) -> Array:
    sums = numpy.array([lengths(run, evaluation, solved).sum(0) for evaluation in range(len(run.eval_steps))])
    with numpy.errstate(divide="ignore", invalid="ignore"):
        means: Array = sums[:, 0] / sums[:, 1]
    return means


def _trained(run: RunResult, name: str) -> tuple[Array, Array]:
    """Means of `SMOOTH` consecutive steps, without steps that lack the metric."""
    values = run.training.get(name, numpy.array([]))
    steps = run.training.get("step", numpy.arange(1, len(values) + 1, dtype=numpy.float64))
    ends = range(SMOOTH, len(values) + 1, SMOOTH) if len(values) >= SMOOTH else range(len(values), len(values) + 1)
    x, y = [], []
    for end in ends if len(values) else ():
        window = values[max(0, end - SMOOTH) : end]
        x.append(float(steps[end - 1]))
        y.append(float(numpy.nanmean(window)) if numpy.isfinite(window).any() else math.nan)
    return numpy.array(x), numpy.array(y)


def _points(values: Sequence[float] | Array) -> Points:
    return tuple(float(value) for value in values)
