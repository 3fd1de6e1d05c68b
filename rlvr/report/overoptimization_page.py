"""A learned reward beside the true score, as numbers and as a page: did the policy become better, or only score better?

    stretch     from evaluation i to a later j; differences are paired, over the same held-out problems
    flagged     where the reward model's score rises and the true score falls from i to j, both by more than
                z standard errors, with z such that all stretches of a run together are wrong in at most 5 %
                (one-sided, Bonferroni)

Overoptimization as in Gao et al., 2023 (arXiv:2210.10760): the proxy score that is optimized keeps rising after the
true score has begun to fall.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from statistics import NormalDist

import numpy

from rlvr.report.charts import Chart, Line
from rlvr.report.markup import document, figures, table
from rlvr.report.statistics import Array
from rlvr.report.svg import chart_svg, mark_svg

Z95 = NormalDist().inv_cdf(0.975)
EXAMPLES = 4  # problems shown of each run


@dataclass(frozen=True)
class ScoredCompletion:
    """A drawn completion with the reward model's score and the true score."""

    text: str
    score: float
    truth: float


@dataclass(frozen=True)
class ScoredRun:
    """A run's evaluations, scored by the reward model and by the verifier.

    `scores_EP` and `truths_EP` are the reward model's and the verifier's scores, each a mean over the drawn completions
    of a problem; `steps` `(E,)` are the steps of the evaluations. `kl` is the KL from the initial policy in nats per
    answer at `kl_steps`, as far as it is known. `first` and `last` hold one completion of each problem, and `prompts`
    the problems.
    """

    name: str
    steps: tuple[int, ...]
    scores_EP: Array
    truths_EP: Array
    lengths_E: Array
    cut_off_E: Array
    kl_steps: tuple[float, ...]
    kl: tuple[float, ...]
    prompts: tuple[str, ...]
    first: tuple[ScoredCompletion, ...]
    last: tuple[ScoredCompletion, ...]


@dataclass(frozen=True)
class Stretch:
    """Two evaluations (by index) between which the score rose and the true score fell."""

    start: int
    end: int
    score: float
    truth: float


def overoptimized(scores_EP: Array, truths_EP: Array, error: float = 0.05) -> Stretch | None:
    """The significant stretch on which the true score fell most; `None` where there is none."""
    evaluations = len(scores_EP)
    pairs = [(i, j) for i in range(evaluations) for j in range(i + 1, evaluations)]
    stretches = []
    for i, j in pairs:
        score, truth = scores_EP[j] - scores_EP[i], truths_EP[j] - truths_EP[i]
        z = NormalDist().inv_cdf(1 - error / len(pairs))
        if score.mean() - z * standard_error(score) > 0 and truth.mean() + z * standard_error(truth) < 0:
            stretches.append(Stretch(i, j, float(score.mean()), float(truth.mean())))
    return min(stretches, key=lambda stretch: stretch.truth, default=None)


def standard_error(values_P: Array) -> float:
    return float(values_P.std(ddof=1) / math.sqrt(len(values_P))) if len(values_P) > 1 else math.inf


def headline(run: ScoredRun) -> str:
    """The outcome of a run, in one or two sentences."""
    scores, truths = run.scores_EP.mean(1), run.truths_EP.mean(1)
    change = run.truths_EP[-1] - run.truths_EP[0]
    half = Z95 * standard_error(change)
    outcome = (
        f"{run.name}: the reward model's score went from {scores[0]:.2f} to {scores[-1]:.2f}, and the true score from "
        f"{truths[0]:.3f} to {truths[-1]:.3f} ({change.mean():+.3f}, 95 % interval {change.mean() - half:+.3f} to "
        f"{change.mean() + half:+.3f})"
    )
    if not math.isnan(run.kl[-1]):
        outcome += f", at a KL of {run.kl[-1]:.1f} nats per answer from its start"
    stretch = overoptimized(run.scores_EP, run.truths_EP)
    if stretch is None:
        return outcome + ". No stretch shows a rising score with a falling true score."
    return (
        f"{outcome}. OVEROPTIMIZED: from step {run.steps[stretch.start]} to step {run.steps[stretch.end]} the score "
        f"rose by {stretch.score:.2f} while the true score fell by {-stretch.truth:.3f}."
    )


def render(runs: Sequence[ScoredRun], reward_model: str, command: str) -> str:
    """The whole page."""
    flagged = [overoptimized(run.scores_EP, run.truths_EP) is not None for run in runs]
    lines = "".join(
        f"<li{' class=wrong' if bad else ''}>{escape(headline(run))}" for run, bad in zip(runs, flagged, strict=True)
    )
    drawn = charts(runs)
    legend = "".join(f"<li>{mark_svg(place)}{escape(run.name)}" for place, run in enumerate(runs))
    return document(
        "A learned reward beside the true score",
        [
            "<h1>A learned reward beside the true score</h1>",
            f"<p class=note>{runs[0].scores_EP.shape[1]} held-out problems. Score: {escape(reward_model)}, on an "
            "arbitrary scale. True score: the task's own verifier, which training did not see. Both score the same "
            "completions.</p>",
            f"<div class=headlines><ul>{lines}</ul></div>",
            f"<ul class=legend aria-label='Colours and marks'>{legend}</ul>",
            "<h2>Score, true score and KL</h2>",
            figures([chart_svg(chart) for chart in drawn], [(chart.title, chart.note) for chart in drawn]),
            summary(runs),
            "<h2>Before and after</h2>",
            *(examples(run) for run in runs),
            f"<h2>How to reproduce this page</h2><pre class=block>{escape(command)}</pre>",
        ],
    )


def charts(runs: Sequence[ScoredRun]) -> list[Chart]:
    """Score, true score and KL over the steps; bands are 95 % intervals over problems."""
    curves = [
        (
            "score",
            "Reward model's score",
            "The optimized score. Band: 95 % over problems.",
            [r.scores_EP for r in runs],
        ),
        ("truth", "True score", "From the task's verifier. Band: 95 % over problems.", [r.truths_EP for r in runs]),
    ]
    score_charts = [
        Chart(
            name,
            title,
            note,
            "training step",
            name,
            False,
            tuple(_line(run, place, values_EP) for place, (run, values_EP) in enumerate(zip(runs, of, strict=True))),
        )
        for name, title, note, of in curves
    ]
    kl = []
    for place, run in enumerate(runs):
        known = [(step, value) for step, value in zip(run.kl_steps, run.kl, strict=True) if math.isfinite(value)]
        if len(known) > 1:  # more than the start, where it is 0
            x, y = zip(*known, strict=True)
            kl.append(Line(run.name, place, x, y, y, y))
    note = "Nats per answer: the estimate of each step, and one at the end for runs that log none."
    return score_charts + (
        [Chart("kl", "KL from the start", note, "training step", "nats", False, tuple(kl), False)] if kl else []
    )


def _line(run: ScoredRun, place: int, values_EP: Array) -> Line:
    means = values_EP.mean(1)
    half = numpy.array([Z95 * standard_error(values_P) for values_P in values_EP])
    x = tuple(float(step) for step in run.steps)
    return Line(
        run.name, place, x, *(tuple(float(v) for v in values) for values in (means, means - half, means + half))
    )


def summary(runs: Sequence[ScoredRun]) -> str:
    head = "".join(
        f"<th scope=col>{name}" for name in ("step", "score", "true score", "perfect", "KL", "tokens", "cut off")
    )
    rows = []
    for place, run in enumerate(runs):
        for e in (0, len(run.steps) - 1):
            kl = run.kl[-1] if e else 0.0
            half = Z95 * standard_error(run.truths_EP[e])
            truth = run.truths_EP[e].mean()
            cells = [
                str(run.steps[e]),
                f"{run.scores_EP[e].mean():.2f}",
                f"{truth:.3f}<small>{truth - half:.3f} to {truth + half:.3f}</small>",
                f"{(run.truths_EP[e] == 1).mean():.0%}",
                "unknown" if math.isnan(kl) else f"{kl:.1f}",
                f"{run.lengths_E[e]:.1f}",
                f"{run.cut_off_E[e]:.1%}",
            ]
            rows.append(
                f"<tr><th scope=row>{mark_svg(place)}{escape(run.name)}" + "".join(f"<td>{cell}" for cell in cells)
            )
    return table(
        f"<thead><tr><th scope=col class=text>run{head}</thead><tbody>{''.join(rows)}</tbody>",
        "The first and the last evaluation. Perfect: problems whose drawn completions all have a true score of 1.",
    )


def examples(run: ScoredRun) -> str:
    """The problems whose true score fell most and rose most."""
    change = [last.truth - first.truth for first, last in zip(run.first, run.last, strict=True)]
    order = sorted(range(len(change)), key=lambda place: (change[place], place))
    half = EXAMPLES // 2
    body = "".join(_example(run, place) for place in dict.fromkeys([*order[:half], *order[-half:]]))
    return f"<details><summary><b>{escape(run.name)}</b></summary><div>{body}</div></details>"


def _example(run: ScoredRun, place: int) -> str:
    sides = "".join(
        f"<div><b>step {step}</b> <span class=note>score {one.score:.2f}, true score {one.truth:.2f}</span>"
        f"<pre>{escape(one.text)}</pre></div>"
        for step, one in ((run.steps[0], run.first[place]), (run.steps[-1], run.last[place]))
    )
    return f"<div class=example><div>{escape(run.prompts[place])}</div><div class=both>{sides}</div></div>"
