"""Charts as SVG text without scripts or external resources; colours are CSS variables of the page, for both themes."""

import math
from collections.abc import Callable, Sequence
from html import escape

from rlvr.report.charts import Bars, Chart, Line

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 44
COLOURS = 8  # c0 to c7 in the page's style; later variants take the same colours, dashed


def chart_svg(chart: Chart) -> str:
    """Lines with bands. Its `<title>` and the tables of the page state the same content."""
    xs = [x for line in chart.lines for x in line.x]
    ys = [y for line in chart.lines for y in (*line.low, *line.high)]
    x_ticks = [tick for tick in ticks(min(xs), max(xs)) if min(xs) <= tick <= max(xs)]
    y_ticks = ticks(min(ys), max(ys), bounds=(0.0, 1.0) if chart.is_share else None)
    x_at = scale(min(xs), max(xs), LEFT + 6, WIDTH - RIGHT - 10)
    y_at = scale(min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys)), HEIGHT - BOTTOM, TOP)
    parts = [_open(HEIGHT, f"{chart.title}. {chart.note} {_in_words(chart)}")]
    parts += _grid(y_ticks, y_at, WIDTH, chart.is_share)
    for tick in x_ticks:
        parts.append(
            f"<text class=tick x={x_at(tick):.1f} y={HEIGHT - BOTTOM + 18} text-anchor=middle>{_label(tick)}</text>"
        )
    parts.append(
        f"<text class=axis x={(LEFT + WIDTH - RIGHT) / 2:.0f} y={HEIGHT - 6} text-anchor=middle>"
        f"{escape(chart.x_label)}</text>"
    )
    parts.append(_y_label(chart.y_label, HEIGHT - BOTTOM))
    for line in chart.lines:
        if line.low != line.high:
            ahead = [f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in zip(line.x, line.high, strict=True)]
            back = [f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in zip(line.x[::-1], line.low[::-1], strict=True)]
            parts.append(f"<polygon class='band c{line.place % COLOURS}' points='{' '.join(ahead + back)}'/>")
    for line in chart.lines:
        parts.append(_line(line, x_at, y_at, chart.has_marks, chart.is_share))
    return "".join(parts) + "</svg>"


def bars_svg(bars: Bars) -> str:
    """Grouped horizontal bars, which leave room for names and many variants, one block per group."""
    row, gap, head = 16, 18, 20
    height = TOP + len(bars.groups) * (head + len(bars.labels) * row + gap) + 14
    low, high = bars.range
    at = (0, 0.25, 0.5, 0.75, 1) if bars.is_share else [tick for tick in ticks(low, high) if low <= tick <= high]
    x_at = scale(low, high, LEFT + 50, WIDTH - RIGHT - 50)

    def text_of(value: float, digits: int = 1) -> str:
        return f"{value:.{digits}%}" if bars.is_share else f"{value:.4g}"

    parts = [_open(height, f"{bars.title}. {bars.note}")]
    for tick in at:
        parts.append(f"<line class=grid x1={x_at(tick):.1f} x2={x_at(tick):.1f} y1={TOP} y2={height - 22} />")
        parts.append(
            f"<text class=tick x={x_at(tick):.1f} y={height - 6} text-anchor=middle>{text_of(tick, digits=0)}</text>"
        )
    y = TOP
    for name, group in zip(bars.groups, bars.bars, strict=True):
        parts.append(f"<text class=axis x=0 y={y + 13}>{escape(name)}</text>")
        y += head
        for label, bar in zip(bars.labels, group, strict=True):
            colour = f"c{bar.place % COLOURS}"
            shown = f"{label}, {name}: {text_of(bar.value)} [{text_of(bar.low)}, {text_of(bar.high)}]"
            start, end = sorted((x_at(0), x_at(bar.value)))
            parts.append(
                f"<g><title>{escape(shown)}</title><text class=tick x={x_at(low) - 6:.1f} y={y + 11} text-anchor=end>"
                f"{escape(shortened(label))}</text><rect class='{colour} bar' x={start:.1f} y={y + 2} "
                f"width={max(0.5, end - start):.1f} height={row - 5} rx=2 />"
            )
            if not math.isnan(bar.low):
                parts.append(
                    f"<line class=whisker x1={x_at(bar.low):.1f} x2={x_at(bar.high):.1f} y1={y + 7.5} y2={y + 7.5} />"
                )
            parts.append(
                f"<text class=tick x={WIDTH - RIGHT} y={y + 11} text-anchor=end>{text_of(bar.value)}</text></g>"
            )
            y += row
        y += gap
    return "".join(parts) + "</svg>"


def interval_svg(value: float, low: float, high: float, bottom: float, top: float, place: int) -> str:
    """A dot in its interval, for a table cell, on the common scale of the column."""
    if math.isnan(value) or math.isnan(low):
        return ""
    x_at = scale(bottom, top, 6, 134)
    return (
        f"<svg class=cell viewBox='0 0 140 16' aria-hidden=true><line class=grid x1=6 x2=134 y1=8 y2=8 />"
        f"<line class='c{place % COLOURS} bold' x1={x_at(low):.1f} x2={x_at(high):.1f} y1=8 y2=8 />"
        f"<circle class='c{place % COLOURS}' cx={x_at(value):.1f} cy=8 r=4.5 /></svg>"
    )


def mark_svg(place: int) -> str:
    """A variant's colour and mark, for legends."""
    line = f"<line class='c{place % COLOURS} line{_dash(place)}' x1=1 x2=27 y1=7 y2=7 />"
    return f"<svg class=mark viewBox='0 0 28 14' aria-hidden=true>{line}{_mark(place, 14, 7)}</svg>"


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = high - low or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def ticks(low: float, high: float, bounds: tuple[float, float] | None = None, count: int = 5) -> list[float]:
    """About `count` round numbers that enclose `low` and `high`, within `bounds`."""
    span = (high - low) or abs(high) or 1.0
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    spacing = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / spacing + 1e-9), math.ceil(high / spacing - 1e-9)
    ticks = [round(number * spacing, 10) for number in range(first, max(last, first + 1) + 1)]
    return [tick for tick in ticks if bounds is None or bounds[0] <= tick <= bounds[1]] or ticks


def shortened(label: str, limit: int = 14) -> str:
    return label if len(label) <= limit else f"{label[: limit - 1]}…"


def _open(height: float, title: str) -> str:
    return f"<svg viewBox='0 0 {WIDTH} {height:.0f}' role=img><title>{escape(title)}</title>"


def _grid(at: Sequence[float], y_at: Callable[[float], float], width: int, is_share: bool) -> list[str]:
    return [
        f"<line class=grid x1={LEFT} x2={width - RIGHT} y1={y_at(tick):.1f} y2={y_at(tick):.1f} />"
        f"<text class=tick x={LEFT - 6} y={y_at(tick) + 4:.1f} text-anchor=end>{_label(tick, is_share)}</text>"
        for tick in at
    ]


def _label(tick: float, is_share: bool = False) -> str:
    return f"{100 * tick:.4g}%" if is_share else f"{tick:,.6g}"


def _y_label(text: str, bottom: int) -> str:
    middle = (TOP + bottom) / 2
    return (
        f"<text class=axis x=12 y={middle:.0f} transform='rotate(-90 12 {middle:.0f})' text-anchor=middle>"
        f"{escape(text)}</text>"
    )


def _line(
    line: Line, x_at: Callable[[float], float], y_at: Callable[[float], float], has_marks: bool, is_share: bool
) -> str:
    points = [(x_at(x), y_at(y)) for x, y in zip(line.x, line.y, strict=True)]
    colour = f"c{line.place % COLOURS}"
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [f"<g><polyline class='{colour} line{_dash(line.place)}' points='{path}'/>"]
    for (x, y), at, value in zip(points, line.x, line.y, strict=True) if has_marks else ():
        shown = f"{100 * value:.1f}%" if is_share else f"{value:.4g}"
        parts.append(f"<g><title>{escape(line.label)} at {at:.4g}: {shown}</title>{_mark(line.place, x, y)}</g>")
    return "".join(parts) + "</g>"


def _dash(place: int) -> str:
    return " dashed" if place >= COLOURS else ""


def _mark(place: int, x: float, y: float) -> str:
    """Circle, square, triangle, diamond in turn: marks distinguish variants without colour."""
    colour = f"class='c{place % COLOURS}'"
    shapes = (
        f"<circle {colour} cx={x:.1f} cy={y:.1f} r=3.4 />",
        f"<rect {colour} x={x - 3:.1f} y={y - 3:.1f} width=6 height=6 />",
        f"<path {colour} d='M{x:.1f} {y - 4:.1f}l4 7h-8z'/>",
        f"<path {colour} d='M{x:.1f} {y - 4.4:.1f}l4.4 4.4l-4.4 4.4l-4.4 -4.4z'/>",
    )
    return shapes[place % len(shapes)]


def _in_words(chart: Chart) -> str:
    def shown(value: float) -> str:
        return f"{100 * value:.1f}%" if chart.is_share else f"{value:.4g}"

    return "; ".join(f"{line.label} from {shown(line.y[0])} to {shown(line.y[-1])}" for line in chart.lines)
