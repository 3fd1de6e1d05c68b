"""The figures of a page as PNG, for documents without HTML. Needs matplotlib (the extra `report`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from rlvr.errors import RlvrError
from rlvr.report.charts import Bars, Chart, cohort_bars, line_charts
from rlvr.report.conclusions import UNIT_WORDS, Comparison

COLOURS = ("#0b62b8", "#c2410c", "#0f7a5a", "#a21caf", "#8a6100", "#0e7490", "#be123c", "#4b5563")
MARKS = "os^D"


def save_pictures(comparison: Comparison, folder: Path) -> list[Path]:
    """Write one PNG for each figure of a comparison; returns their paths. Raises `RlvrError` without matplotlib."""
    pyplot = _pyplot()
    folder.mkdir(parents=True, exist_ok=True)
    written = []

    def save(figure: Any, name: str) -> None:
        written.append(_save(figure, folder / f"{name}.png"))

    for chart in line_charts(comparison):
        figure, axes = pyplot.subplots(figsize=(6.4, 4.0), constrained_layout=True)
        _draw_lines(axes, chart)
        save(figure, chart.name)
    bars = cohort_bars(comparison)
    if bars:
        figure, axes = pyplot.subplots(
            figsize=(6.4, 1.2 + 0.25 * len(bars.groups) * len(bars.labels)), constrained_layout=True
        )
        _draw_bars(axes, bars)
        save(figure, bars.name)
    for measure in comparison.measures:
        size = 1.6 + 0.95 * len(comparison.variants)
        figure, axes = pyplot.subplots(figsize=(size, 0.8 * size), constrained_layout=True)
        _draw_matrix(axes, comparison, measure)
        save(figure, f"pairs-{measure.replace('_', '-')}")
    return written


def save_charts(charts: Sequence[Chart], path: Path) -> Path:
    """Write charts side by side into one PNG. Raises `RlvrError` without matplotlib."""
    figure, row = _pyplot().subplots(
        1, len(charts), figsize=(4.6 * len(charts), 3.6), squeeze=False, constrained_layout=True
    )
    for axes, chart in zip(row[0], charts, strict=True):
        _draw_lines(axes, chart)
    return _save(figure, path)


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise RlvrError(
            "--png needs matplotlib, which is not installed; pip install 'rlvr[report]', or use the page, which does "
            "not need it"
        ) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=130, metadata={"Software": None})
    _pyplot().close(figure)
    return path


def _draw_lines(axes: Any, chart: Chart) -> None:
    for line in chart.lines:
        colour = COLOURS[line.place % len(COLOURS)]
        style = "-" if line.place < len(COLOURS) else "--"
        mark = MARKS[line.place % len(MARKS)] if chart.has_marks else None
        axes.plot(line.x, line.y, style, color=colour, marker=mark, markersize=4, label=line.label)
        if line.low != line.high:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.13, linewidth=0)
    if chart.is_share:
        axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set(title=chart.title, xlabel=chart.x_label, ylabel=chart.y_label)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, framealpha=0.7)


def _draw_bars(axes: Any, bars: Bars) -> None:
    y, ticks, names = 0.0, [], []
    for name, group in zip(bars.groups, bars.bars, strict=True):
        for label, bar in zip(bars.labels, group, strict=True):
            error = [[max(0.0, bar.value - bar.low)], [max(0.0, bar.high - bar.value)]]
            axes.barh(y, bar.value, 0.75, color=COLOURS[bar.place % len(COLOURS)], alpha=0.8, xerr=error, capsize=2)
            ticks.append(y)
            names.append(f"{name}: {label}")
            y += 1
        y += 0.7
    axes.set_yticks(ticks, names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlim=bars.range, title=bars.title, xlabel=bars.note)
    axes.xaxis.label.set_fontsize(8)
    if bars.is_share:
        axes.xaxis.set_major_formatter("{x:.0%}")


def _draw_matrix(axes: Any, comparison: Comparison, measure: str) -> None:
    names = comparison.variants
    unit = comparison.known[measure].unit
    factor, digits = 100 if unit == "share" else 1, 3 if unit == "score" else 1
    shown = numpy.zeros((len(names), len(names)))
    for pair in comparison.pairs[measure]:
        row, column = names.index(pair.first), names.index(pair.second)
        for i, j, sign in ((row, column, 1), (column, row, -1)):
            shown[i, j] = sign * numpy.sign(pair.finding.value) if pair.is_shown else 0
            low, high = sorted((sign * factor * pair.finding.low, sign * factor * pair.finding.high))
            text = f"{sign * factor * pair.finding.value:+.{digits}f}\n[{low:.{digits}f}, {high:.{digits}f}]"
            axes.text(
                j, i, text, ha="center", va="center", fontsize=7.5, color="#1b2330" if pair.is_shown else "#5a6675"
            )
    axes.imshow(shown, cmap="RdYlGn", vmin=-3, vmax=3, alpha=0.6)
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    words = UNIT_WORDS[unit] and f", {UNIT_WORDS[unit]}"
    axes.set_title(f"{comparison.title(measure)}\nrow minus column{words}; coloured where shown", fontsize=9)
