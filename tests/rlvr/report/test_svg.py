"""Charts as SVG: where points come to lie, and what is said of them."""

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from rlvr.report.charts import Bar, Bars, Chart, Line
from rlvr.report.svg import BOTTOM, HEIGHT, bars_svg, chart_svg, interval_svg, mark_svg, scale, shortened, ticks

GRPO = Line("grpo <1>", 0, (0.0, 10.0, 20.0), (0.2, 0.4, 0.8), (0.1, 0.4, 0.7), (0.3, 0.4, 0.9))
FLAT = Line("flat", 9, (0.0, 20.0), (0.5, 0.5), (0.5, 0.5), (0.5, 0.5))


def chart(*lines: Line, is_share: bool = True, has_marks: bool = True) -> Chart:
    return Chart("learning", "Learning curves", "A note.", "step", "accuracy", is_share, lines, has_marks)


def parsed(svg: str) -> ElementTree.Element:
    """The tree of an SVG, with quotes around its attributes as XML wants them."""
    return ElementTree.fromstring(re.sub(r"(\w[\w-]*)=([^\s'\"/>]+)", r"\1='\2'", svg))


def test_a_scale_is_linear_and_the_end_of_nothing_is_its_start() -> None:
    at = scale(10, 20, 100, 300)
    assert [at(10), at(15), at(20)] == [100, 200, 300]
    assert scale(5, 5, 100, 300)(5) == 100


@pytest.mark.parametrize(
    ("low", "high", "bounds", "expected"),
    [
        (0, 1, (0.0, 1.0), [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.97, 1.0, (0.0, 1.0), [0.97, 0.98, 0.99, 1.0]),
        (-3, 4, None, [-4, -2, 0, 2, 4]),
        (0, 0, None, [0, 0.2]),
        (1234, 5678, None, [1000, 2000, 3000, 4000, 5000, 6000]),
    ],
)
def test_ticks_are_round_numbers_within_the_bounds(
    low: float, high: float, bounds: tuple[float, float] | None, expected: list[float]
) -> None:
    assert ticks(low, high, bounds) == pytest.approx(expected)


def test_higher_values_lie_higher_and_later_ones_to_the_right() -> None:
    tree = parsed(chart_svg(chart(GRPO)))
    (line,) = tree.iter("polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    xs, ys = zip(*points, strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)  # SVG counts from the top
    assert max(ys) <= HEIGHT - BOTTOM
    assert (ys[0] - ys[2]) / (ys[0] - ys[1]) == pytest.approx(3, abs=0.01)  # 0.6 to 0.2


def test_a_band_is_drawn_where_seeds_differ_and_only_there() -> None:
    tree = parsed(chart_svg(chart(GRPO, FLAT)))
    (band,) = tree.iter("polygon")
    assert band.attrib["class"] == "band c0"
    assert len(band.attrib["points"].split()) == 6


def test_a_chart_says_in_words_what_it_shows_and_escapes_it() -> None:
    title = parsed(chart_svg(chart(GRPO, FLAT))).find("title")
    assert title is not None
    assert title.text == "Learning curves. A note. grpo <1> from 20.0% to 80.0%; flat from 50.0% to 50.0%"
    numbers = parsed(chart_svg(chart(GRPO, is_share=False))).find("title")
    assert numbers is not None
    assert numbers.text == "Learning curves. A note. grpo <1> from 0.2 to 0.8"


def test_each_mark_says_its_value_and_a_chart_without_marks_has_none() -> None:
    titles = [title.text for title in parsed(chart_svg(chart(GRPO))).iter("title")][1:]
    assert titles == ["grpo <1> at 0: 20.0%", "grpo <1> at 10: 40.0%", "grpo <1> at 20: 80.0%"]
    assert len(list(parsed(chart_svg(chart(GRPO, has_marks=False))).iter("title"))) == 1


def test_variants_beyond_the_colours_take_them_again_dashed() -> None:
    assert "c1 line dashed" in chart_svg(chart(FLAT))  # the tenth variant
    assert "dashed" not in mark_svg(7)
    assert "class='c0 line dashed'" in mark_svg(8)
    assert ["circle" in mark_svg(0), "rect" in mark_svg(1), "path" in mark_svg(2), "path" in mark_svg(3)] == [True] * 4


def test_bars_are_as_long_as_they_are_high_and_their_whiskers_are_their_intervals() -> None:
    group = (Bar(0, 0.5, 0.25, 0.75), Bar(1, 1.0, math.nan, math.nan))
    tree = parsed(bars_svg(Bars("cohorts", "Cohorts", "Note.", ("easy (3)",), ("a", "a long variant name"), (group,))))
    widths = [float(rect.attrib["width"]) for rect in tree.iter("rect")]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    (whisker,) = [line for line in tree.iter("line") if line.attrib["class"] == "whisker"]
    assert float(whisker.attrib["x2"]) - float(whisker.attrib["x1"]) == pytest.approx(widths[0], abs=0.2)
    texts = [text.text for text in tree.iter("text")]
    assert {"easy (3)", "50.0%", "100.0%", "a long varian…"} <= set(texts)
    assert "a, easy (3): 50.0% [25.0%, 75.0%]" in [title.text for title in tree.iter("title")]


def test_an_interval_is_drawn_on_the_scale_of_its_column_and_what_is_unknown_is_not() -> None:
    tree = parsed(interval_svg(0.5, 0.25, 0.75, bottom=0.0, top=1.0, place=3))
    dot, line = tree.find("circle"), tree.findall("line")[1]
    assert dot is not None
    assert (dot.attrib["cx"], line.attrib["x1"], line.attrib["x2"]) == ("70.0", "38.0", "102.0")
    assert interval_svg(math.nan, math.nan, math.nan, 0.0, 1.0, 0) == ""


def test_a_long_name_is_cut() -> None:
    assert shortened("fourteen chars") == "fourteen chars"
    assert shortened("fifteen letters") == "fifteen lette…"
