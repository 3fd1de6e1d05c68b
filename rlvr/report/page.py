"""A comparison as one page: no script, no external resource, light and dark, and the same bytes from the same runs.

Values that depend on the machine (seconds, memory, logs) have `class=machine`; everything else is reproducible.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from rlvr.report.charts import cohort_bars, line_charts
from rlvr.report.conclusions import (
    UNIT_WORDS,
    Comparison,
    Pair,
    changes,
    common_seeds,
    headlines,
    number,
    p_value,
    turned,
)
from rlvr.report.costs import Cost
from rlvr.report.markup import document, figures, table
from rlvr.report.measures import Measure
from rlvr.report.results import Answer, Item
from rlvr.report.statistics import Finding
from rlvr.report.svg import bars_svg, chart_svg, interval_svg, mark_svg


@dataclass(frozen=True)
class Setting:
    """The setting of the runs, for the page.

    `differences` maps each configuration key in which variants differ to its value in each of them; `failures` maps the
    name of a run to the end of its log.
    """

    title: str
    command: str
    base: str
    seeds: tuple[int, ...]
    differences: Mapping[str, Sequence[str]]
    failures: Mapping[str, str]
    target: float | None
    examples: int
    initial_weights: str


def render(comparison: Comparison, cost_rows: Sequence[Cost], setting: Setting) -> str:
    """The whole page."""
    charts = {chart.name: chart for chart in line_charts(comparison)}
    bars = cohort_bars(comparison)
    learning = [charts[name] for name in ("learning", "sampled") if name in charts]
    length = [charts[name] for name in ("length-incorrect", "length-correct", "length-reward") if name in charts]
    training = [charts[name] for name in ("reward", "entropy", "kl") if name in charts]
    places = {variant: place for place, variant in enumerate(comparison.variants)}
    parts = [
        f"<h1>{escape(setting.title)}</h1>{_facts(comparison, setting)}",
        _headlines(comparison),
        _failures(setting.failures),
        "<h2>Variants</h2>",
        _summary(comparison),
        _legend(comparison),
        "<h2>Learning curves</h2><p class=note>Line: mean over seeds. Band: from the lowest seed to the highest.</p>",
        figures([chart_svg(chart) for chart in learning], [(c.title, c.note) for c in learning]),
        "<h2>Every pair</h2>",
        *(_pairs(comparison, name, places) for name in comparison.measures),
        _discordances(comparison),
        "<h2>Length against reward</h2>",
        figures([chart_svg(chart) for chart in length], [(c.title, c.note) for c in length]),
        _lengths(comparison),
    ]
    if bars:
        parts += ["<h2>Cohorts</h2>", figures([bars_svg(bars)], [(bars.title, bars.note)])]
    parts += [
        "<h2>Training</h2>",
        figures([chart_svg(chart) for chart in training], [(c.title, c.note) for c in training]),
        "<h2>Cost</h2>",
        _costs(cost_rows, setting, places),
        "<h2>Where two variants differ</h2>",
        _examples(comparison, setting.examples),
        "<h2>Differences between the variants, and how to reproduce this</h2>",
        _settings(comparison, setting),
    ]
    return document(setting.title, parts)


def _facts(comparison: Comparison, setting: Setting) -> str:
    seeds = len(setting.seeds)
    facts = (
        f"{len(comparison.variants)} variants, {seeds} seed{'s' if seeds > 1 else ''}, {len(comparison.items)} "
        f"held-out problems; each seed gives every variant the same initial weights, problems and sampling numbers."
    )
    few = (
        "<p class=note>One seed: every interval is over problems only and says nothing about other seeds.</p>"
        if seeds == 1
        else ""
    )
    return f"<p class=note>{facts}</p>{few}"


def _headlines(comparison: Comparison) -> str:
    topics = headlines(comparison)
    if alone := changes(comparison):
        topics["From the first evaluation to the last"] = alone
    rows = "".join(
        f"<li class=topic>{escape(topic)}{''.join(f'<li>{escape(line)}' for line in lines)}"
        for topic, lines in topics.items()
    )
    return (
        f"<div class=headlines><ul>{rows}</ul><p class=note>Intervals are {comparison.confidence:.0%} intervals, each "
        "for one pair; differences are claimed after Holm's correction over the pairs of a measure.</p></div>"
    )


def _failures(failures: Mapping[str, str]) -> str:
    return "".join(
        f"<details class=failed><summary><b>{escape(name)} has no result</b></summary>"
        f"<div><pre class=machine>{escape(tail)}</pre></div></details>"
        for name, tail in failures.items()
    )


def _legend(comparison: Comparison) -> str:
    rows = "".join(f"<li>{mark_svg(place)}{escape(name)}" for place, name in enumerate(comparison.variants))
    return f"<ul class=legend aria-label='Colours and marks'>{rows}</ul>"


def _summary(comparison: Comparison) -> str:
    names = ["accuracy", "best_accuracy", "area", "avg", "pass", "maj"]
    names += ["weakest_cohort"] if len({item.cohort for item in comparison.items}) > 1 else []
    findings = comparison.findings["accuracy"]
    bottom = min(min(one.low, one.value) for one in findings.values())
    top = max(max(one.high, one.value) for one in findings.values())
    head = "".join(f"<th scope=col>{escape(comparison.title(name))}" for name in names)
    rows = []
    for place, variant in enumerate(comparison.variants):
        one = findings[variant]
        cells = _cells(comparison, names, variant)
        rows.append(
            f"<tr><th scope=row>{mark_svg(place)}{escape(variant)}<td>{len(comparison.runs[variant])}"
            f"<td>{interval_svg(one.value, one.low, one.high, bottom, top, place)}{cells}"
        )
    return table(
        f"<thead><tr><th scope=col class=text>variant<th scope=col>seeds<th scope=col class=text>final accuracy{head}"
        f"</thead><tbody>{''.join(rows)}</tbody>",
        "Means over seeds, with intervals over problems and seeds. Accuracies are of greedy completions; area is their "
        "mean along the learning curve.",
    )


def _lengths(comparison: Comparison) -> str:
    names = ["incorrect_length", "incorrect_length_growth", "correct_length", "correct_length_growth"]
    titles = ["incorrect, end", "growth", "correct, end", "growth"]
    rows = [
        f"<tr><th scope=row>{mark_svg(place)}{escape(variant)}" + _cells(comparison, names, variant)
        for place, variant in enumerate(comparison.variants)
    ]
    head = "".join(f"<th scope=col>{title}" for title in titles)
    return table(
        f"<thead><tr><th scope=col class=text>variant{head}</thead><tbody>{''.join(rows)}</tbody>",
        "Mean length in tokens of sampled completions on the held-out problems, and its growth from the first "
        "evaluation to the last. The incorrectly answered problems change in training, so growth is not over the same "
        "problems.",
    )


def _cells(comparison: Comparison, names: Sequence[str], variant: str) -> str:
    shown = [_with_interval(comparison.findings[name][variant], comparison.known[name]) for name in names]
    return "".join(f"<td>{one}" for one in shown)


def _with_interval(finding: Finding, measure: Measure) -> str:
    if math.isnan(finding.value):
        return "<span class=note>none</span>"
    if measure.unit == "score":
        interval = "" if math.isnan(finding.low) else f"<small>{finding.low:.3f} to {finding.high:.3f}</small>"
        return f"{finding.value:.3f}{interval}".replace("-0.000", "0.000").replace("-", "−")
    share = measure.unit == "share"
    value, low, high = (100 * v if share else v for v in (finding.value, finding.low, finding.high))
    sign = "+" if measure.is_change else ""
    interval = "" if math.isnan(low) else f"<small>{low:.1f} to {high:.1f}</small>"
    text = f"{value:{sign}.1f}{'%' if share else ''}{interval}"
    return text.replace("-0.0", "0.0").replace("+0.0", "0.0").replace("-", "−")


def _matrix(comparison: Comparison, measure: str, places: Mapping[str, int]) -> str:
    pairs = {(pair.first, pair.second): pair for pair in comparison.pairs[measure]}
    columns = [v for v in comparison.variants if comparison.baseline in (None, v)]
    head = "".join(f"<th scope=col>{escape(name)}" for name in columns)
    rows = []
    for row in comparison.variants:
        cells = []
        for column in columns:
            direct, turned = pairs.get((row, column)), pairs.get((column, row))
            if direct or turned:
                cells.append(_matrix_cell(direct or turned, 1 if direct else -1, comparison.known[measure]))  # type: ignore[arg-type]
            else:
                cells.append("<td class=none>" + ("" if row != column else "·"))
        rows.append(f"<tr><th scope=row>{mark_svg(places[row])}{escape(row)}{''.join(cells)}")
    words = UNIT_WORDS[comparison.known[measure].unit]
    unit = words and f", in {words}"
    return table(
        f"<thead><tr><th scope=col class=text>row minus column{head}</thead><tbody>{''.join(rows)}</tbody>",
        f"{_capital(comparison.title(measure))}, row minus column{unit}; coloured where a difference is shown "
        f"(Holm's p below {1 - comparison.confidence:.2g}).",
        "matrix",
    )


def _matrix_cell(pair: Pair, sign: int, measure: Measure) -> str:
    if math.isnan(pair.finding.p):
        return "<td class=none>none"
    finding = pair.finding if sign > 0 else turned(pair.finding)
    kind = "none" if not pair.is_shown else "up" if finding.value > 0 else "down"
    return (
        f"<td class={kind} title='{escape(pair.sentence, quote=True)}'>{number(finding.value, measure)}"
        f"<small>{number(finding.low, measure)} to {number(finding.high, measure)}</small>"
        f"<small>p {p_value(pair.adjusted_p)}</small>"
    )


def _pairs(comparison: Comparison, measure: str, places: Mapping[str, int]) -> str:
    """The matrix and the sentences of a measure; the first measure is open."""
    rows = "".join(f"<li>{escape(pair.sentence)}" for pair in comparison.pairs[measure])
    return (
        f"<details{' open' if measure == comparison.measures[0] else ''}><summary><b>"
        f"{escape(_capital(comparison.title(measure)))}</b></summary><div>{_matrix(comparison, measure, places)}"
        f"<details><summary>In sentences</summary><div><ul>{rows}</ul></div></details></div></details>"
    )


def _discordances(comparison: Comparison) -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(first)} and {escape(second)}<td>{one.only_first}<td>{one.only_second}"
        f"<td>{p_value(one.p)}<td>{p_value(one.adjusted_p)}"
        for (first, second), one in comparison.discordances.items()
    )
    shown = table(
        "<thead><tr><th scope=col class=text>pair<th scope=col>only the first<th scope=col>only the second"
        f"<th scope=col>McNemar's p<th scope=col>after Holm</thead><tbody>{rows}</tbody>",
        "Held-out problems, pooled over seeds, whose last greedy completion is right under only one variant of the "
        "pair. The exact test assumes independence, which does not quite hold for a problem with several seeds: it "
        "describes these runs, while the intervals above describe new seeds.",
    )
    return f"<details><summary><b>McNemar's test</b></summary><div>{shown}</div></details>"


def _costs(rows: Sequence[Cost], setting: Setting, places: Mapping[str, int]) -> str:
    target = "" if setting.target is None else (
        f"<th scope=col>reached {setting.target:.0%}<th scope=col>steps to it<th scope=col>tokens to it"
    )  # fmt: skip
    machine = "" if setting.target is None else "<th scope=col>seconds to it"
    body = []
    for cost in rows:
        cells = [_count(cost.tokens)]
        if setting.target is not None:
            cells += [f"{cost.reached} of {cost.seeds}", _count(cost.steps_to_target), _count(cost.tokens_to_target)]
        times = [_count(cost.seconds), *([_count(cost.seconds_to_target)] if setting.target is not None else [])]
        times.append("unknown" if math.isnan(cost.peak_memory_bytes) else f"{cost.peak_memory_bytes / 1e9:.2f} GB")
        body.append(
            f"<tr><th scope=row>{mark_svg(places[cost.variant])}{escape(cost.variant)}"
            + "".join(f"<td>{cell}" for cell in cells)
            + "".join(f"<td class=machine>{cell}</td>" for cell in times)
        )
    return table(
        f"<thead><tr><th scope=col class=text>variant<th scope=col>tokens sampled{target}<th scope=col>seconds{machine}"
        f"<th scope=col>peak memory</thead><tbody>{''.join(body)}</tbody>",
        "Means over seeds, without cold start and evaluations. Costs until the target are over the seeds that "
        "reached it, at the first evaluation that shows it. Seconds and memory are from this machine, with other runs "
        "in parallel.",
    )


def _examples(comparison: Comparison, limit: int) -> str:
    parts = ["<p class=note>Greedy completions after training, from the first common seed of the pair.</p>"]
    for first, second in comparison.pair_names:
        seed = common_seeds(comparison.runs[first], comparison.runs[second])[0]
        a, b = (next(run for run in comparison.runs[name] if run.seed == seed) for name in (first, second))
        differing = [
            (item, x, y)
            for item, x, y in zip(comparison.items, a.answers, b.answers, strict=True)
            if x.solved != y.solved
        ]
        won = [row for row in differing if row[1].solved]
        lost = [row for row in differing if row[2].solved]
        shown = won[: limit - min(len(lost), limit // 2)]
        shown += lost[: limit - len(shown)]
        body = "".join(_example(item, ((first, x), (second, y))) for item, x, y in shown)
        note = f"<p class=note>{len(shown)} of {len(differing)} are shown.</p>" if len(shown) < len(differing) else ""
        parts.append(
            f"<details name=pair><summary><b>{escape(first)}</b> and <b>{escape(second)}</b>, seed {seed}: "
            f"{len(won)} problems are solved only by {escape(first)}, {len(lost)} only by {escape(second)}</summary>"
            f"<div>{note}{body}</div></details>"
        )
    return "".join(parts)


def _example(item: Item, answers: Sequence[tuple[str, Answer]]) -> str:
    sides = "".join(
        f"<div><b>{escape(name)}</b> <span class={'right' if answer.solved else 'wrong'}>"
        f"{escape(answer.status)}</span> <span class=note>{answer.tokens} tokens</span>"
        f"<pre>{escape(answer.text)}</pre></div>"
        for name, answer in answers
    )
    cohort = f" <span class=note>({escape(item.cohort)})</span>" if item.cohort else ""
    return (
        f"<div class=example><div>{escape(item.prompt)}{cohort}</div><div class=note>ground truth: "
        f"{escape(item.answer)}</div><div class=both>{sides}</div></div>"
    )


def _settings(comparison: Comparison, setting: Setting) -> str:
    head = "".join(f"<th scope=col class=text>{escape(name)}" for name in comparison.variants)
    rows = "".join(
        f"<tr><th scope=row><code>{escape(key)}</code>"
        + "".join(f"<td class=text><code>{escape(v)}</code>" for v in values)
        for key, values in setting.differences.items()
    )
    shown = table(
        f"<thead><tr><th scope=col class=text>key{head}</thead><tbody>{rows}</tbody>",
        "Every key of the resolved configuration in which two variants differ.",
    )
    seeds = ", ".join(str(seed) for seed in setting.seeds)
    return (
        f"{shown}<pre class=block>{escape(setting.command)}</pre>"
        f"<p class=note>Seeds {seeds}; initial weights: {escape(setting.initial_weights)}.</p>"
        f"<details><summary>The base configuration</summary><div><pre>{escape(setting.base)}</pre></div></details>"
    )


def _count(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.0f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
