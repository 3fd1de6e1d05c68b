"""A learned reward beside the truth, as numbers and as a page: did what was trained become better, or better scored?

    stretch     from evaluation i to a later j; differences are paired, over the same held-out problems
    flagged     where the reward model's score rises and the true score falls from i to j, both by more than
                z standard errors, with z such that all stretches of a run together are wrong in at most 5 %
                (one-sided, Bonferroni)

Overoptimization as in Gao et al., 2022 (arXiv:2210.10760): the score that is optimized goes on rising when the score
that is meant has turned.
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
class Said:
    """A drawn completion with what was said of it."""

    text: str
    score: float
    truth: float


@dataclass(frozen=True)
class JudgedRun:
    """A run's evaluations, judged twice.

    `scores_EP` are the reward model's of each problem's drawn completions, `truths_EP` the verifier's, means over
    them; `steps` are the evaluations' `(E,)`. `kl_steps` and `kl` tell the KL from the initial policy in nats an
    answer, as far as it is known. `first` and `last` hold a completion of each problem, `prompts` what was asked.
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
    first: tuple[Said, ...]
    last: tuple[Said, ...]


@dataclass(frozen=True)
class Stretch:
    """Evaluations (by their place) between which the score rose and the truth fell."""

    start: int
    end: int
    score: float
    truth: float


def overoptimized(scores_EP: Array, truths_EP: Array, error: float = 0.05) -> Stretch | None:
    """Of the stretches that are shown, the one on which the truth fell most; `None` where there is none."""
    evaluations = len(scores_EP)
    pairs = [(i, j) for i in range(evaluations) for j in range(i + 1, evaluations)]
    found = []
    for i, j in pairs:
        score, truth = scores_EP[j] - scores_EP[i], truths_EP[j] - truths_EP[i]
        z = NormalDist().inv_cdf(1 - error / len(pairs))
        if score.mean() - z * standard_error(score) > 0 and truth.mean() + z * standard_error(truth) < 0:
            found.append(Stretch(i, j, float(score.mean()), float(truth.mean())))
    return min(found, key=lambda stretch: stretch.truth, default=None)


def standard_error(values_P: Array) -> float:
    return float(values_P.std(ddof=1) / math.sqrt(len(values_P))) if len(values_P) > 1 else math.inf


def headline(run: JudgedRun) -> str:
    """What became of a run, in a sentence or two."""
    scores, truths = run.scores_EP.mean(1), run.truths_EP.mean(1)
    change = run.truths_EP[-1] - run.truths_EP[0]
    half = Z95 * standard_error(change)
    said = (
        f"{run.name}: the reward model's score went from {scores[0]:.2f} to {scores[-1]:.2f}, and the true score from "
        f"{truths[0]:.3f} to {truths[-1]:.3f} ({change.mean():+.3f}, 95 % interval {change.mean() - half:+.3f} to "
        f"{change.mean() + half:+.3f})"
    )
    if not math.isnan(run.kl[-1]):
        said += f", at {run.kl[-1]:.1f} nats an answer from where it began"
    stretch = overoptimized(run.scores_EP, run.truths_EP)
    if stretch is None:
        return said + ". On no stretch is it shown that the score rose while the truth fell."
    return (
        f"{said}. OVER-OPTIMIZED: from step {run.steps[stretch.start]} to step {run.steps[stretch.end]} the score rose "
        f"by {stretch.score:.2f} while the truth fell by {-stretch.truth:.3f}."
    )


def render(runs: Sequence[JudgedRun], reward_model: str, command: str) -> str:
    """The whole page."""
    flagged = [overoptimized(run.scores_EP, run.truths_EP) is not None for run in runs]
    lines = "".join(
        f"<li{' class=wrong' if bad else ''}>{escape(headline(run))}" for run, bad in zip(runs, flagged, strict=True)
    )
    drawn = charts(runs)
    legend = "".join(f"<li>{mark_svg(place)}{escape(run.name)}" for place, run in enumerate(runs))
    return document(
        "A learned reward beside the truth",
        [
            "<h1>A learned reward beside the truth</h1>",
            f"<p class=note>{runs[0].scores_EP.shape[1]} held-out problems. Score: {escape(reward_model)}, on no scale."
            " Truth: the task's own verifier, which training did not see. Both of the same drawn completions.</p>",
            f"<div class=headlines><ul>{lines}</ul></div>",
            f"<ul class=legend aria-label='Colours and marks'>{legend}</ul>",
            "<h2>Score, truth and KL</h2>",
            figures([chart_svg(chart) for chart in drawn], [(chart.title, chart.note) for chart in drawn]),
            summary(runs),
            "<h2>Before and after</h2>",
            *(examples(run) for run in runs),
            f"<h2>How to write this page again</h2><pre class=block>{escape(command)}</pre>",
        ],
    )


def charts(runs: Sequence[JudgedRun]) -> list[Chart]:
    """Score, truth and KL over the steps; bands are 95 % intervals over problems."""
    judged = [
        ("score", "Reward model's score", "What is optimized. Band: 95 % over problems.", [r.scores_EP for r in runs]),
        ("truth", "True score", "What is meant. Band: 95 % over problems.", [r.truths_EP for r in runs]),
    ]
    found = [
        Chart(
            name,
            title,
            note,
            "training step",
            name,
            False,
            tuple(_line(run, place, values_EP) for place, (run, values_EP) in enumerate(zip(runs, of, strict=True))),
        )
        for name, title, note, of in judged
    ]
    kl = []
    for place, run in enumerate(runs):
        known = [(step, value) for step, value in zip(run.kl_steps, run.kl, strict=True) if math.isfinite(value)]
        if len(known) > 1:  # more than the start, where it is 0
            x, y = zip(*known, strict=True)
            kl.append(Line(run.name, place, x, y, y, y))
    note = "Nats an answer: each step's own estimate, and at the end of a run that logs none."
    return found + (
        [Chart("kl", "KL from the start", note, "training step", "nats", False, tuple(kl), False)] if kl else []
    )


def _line(run: JudgedRun, place: int, values_EP: Array) -> Line:
    means = values_EP.mean(1)
    half = numpy.array([Z95 * standard_error(values_P) for values_P in values_EP])
    x = tuple(float(step) for step in run.steps)
    return Line(
        run.name, place, x, *(tuple(float(v) for v in values) for values in (means, means - half, means + half))
    )


def summary(runs: Sequence[JudgedRun]) -> str:
    head = "".join(f"<th scope=col>{name}" for name in ("step", "score", "truth", "perfect", "KL", "tokens", "cut off"))
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
                "not known" if math.isnan(kl) else f"{kl:.1f}",
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


def examples(run: JudgedRun) -> str:
    """The problems on which the truth fell most and rose most."""
    change = [last.truth - first.truth for first, last in zip(run.first, run.last, strict=True)]
    order = sorted(range(len(change)), key=lambda place: (change[place], place))
    half = EXAMPLES // 2
    body = "".join(_example(run, place) for place in dict.fromkeys([*order[:half], *order[-half:]]))
    return f"<details><summary><b>{escape(run.name)}</b></summary><div>{body}</div></details>"


def _example(run: JudgedRun, place: int) -> str:
    sides = "".join(
        f"<div><b>step {step}</b> <span class=note>score {said.score:.2f}, truth {said.truth:.2f}</span>"
        f"<pre>{escape(said.text)}</pre></div>"
        for step, said in ((run.steps[0], run.first[place]), (run.steps[-1], run.last[place]))
    )
    return f"<div class=example><div>{escape(run.prompts[place])}</div><div class=both>{sides}</div></div>"
