import math
from dataclasses import replace

import numpy
import pytest

from rlvr.report.overoptimization_page import ScoredCompletion, ScoredRun, charts, headline, overoptimized, render

P = 50
SPREAD = numpy.linspace(-0.1, 0.1, P)  # what problems differ by; changes differ by half of it


def path(*means: float) -> numpy.ndarray:
    """Evaluations whose means are these, over problems that differ."""
    return numpy.array([mean + SPREAD * (1 + 0.5 * (e % 2)) for e, mean in enumerate(means)])


def run(truths: numpy.ndarray, scores: numpy.ndarray) -> ScoredRun:
    completions = tuple(ScoredCompletion(f"<b>{p}</b>", 1.5, 0.25) for p in range(P))
    steps = tuple(10 * e for e in range(len(truths)))
    flat = numpy.zeros(len(steps))
    return ScoredRun(
        "ppo", steps, scores, truths, flat, flat, (0.0, 20.0), (0.0, 3.25), ("q",) * P, completions, completions
    )  # fmt: skip


def test_a_rising_score_is_flagged_where_the_true_score_fell_most() -> None:
    stretch = overoptimized(path(0, 1, 2, 3), path(0.4, 0.8, 0.7, 0.5))
    assert stretch is not None
    assert (stretch.start, stretch.end) == (1, 3)
    assert (stretch.score, stretch.truth) == (pytest.approx(2.0), pytest.approx(-0.3))


@pytest.mark.parametrize(
    ("scores", "truths"),
    [
        ((0, 1, 2), (0.4, 0.6, 0.8)),  # both rise
        ((2, 1, 0), (0.8, 0.6, 0.4)),  # both fall
        ((0, 1, 2), (0.5, 0.5, 0.5)),  # the true score stays
        ((2, 1, 0), (0.4, 0.6, 0.8)),  # better than it is scored
    ],
)
def test_nothing_else_is_flagged(scores: tuple[float, ...], truths: tuple[float, ...]) -> None:
    assert overoptimized(path(*scores), path(*truths)) is None


def test_a_fall_within_its_noise_is_not_flagged() -> None:
    draw = numpy.random.default_rng(0)
    flagged = 0
    for _ in range(200):
        scores = numpy.arange(6)[:, None] + draw.normal(size=(6, P))
        truths = 0.5 + 0.2 * draw.normal(size=(6, P))
        flagged += overoptimized(scores, truths) is not None
    assert flagged <= 16  # 5 % of 200 are 10


def test_the_page_says_it_in_words_and_quotes_what_models_wrote() -> None:
    bad = run(path(0.4, 0.8, 0.5), path(0, 1, 2))
    assert "the true score from 0.400 to 0.500 (+0.100, 95 % interval +0.100 to +0.100)" in headline(bad)
    assert "at a KL of 3.2 nats per answer" in headline(bad)
    flag = "OVEROPTIMIZED: from step 10 to step 20 the score rose by 1.00 while the true score fell by 0.300"
    assert flag in headline(bad)
    good = run(path(0.4, 0.8), path(0, 1))
    assert "No stretch shows" in headline(good)
    page = render([bad], "runs/rm/model", "rlvr overoptimization runs/ppo")
    assert page.count("<svg viewBox") == 3
    assert "&lt;b&gt;7&lt;/b&gt;" not in page  # four examples of fifty
    assert "&lt;b&gt;0&lt;/b&gt;" in page
    assert "<b>0</b>" not in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_an_end_that_is_not_known_leaves_the_rest_of_the_kl() -> None:
    known = run(path(0.4, 0.8), path(0, 1))
    unfinished = replace(known, kl_steps=(0.0, 5.0, 10.0), kl=(0.0, 1.5, math.nan))
    kl = charts([unfinished])[2]
    assert (kl.lines[0].x, kl.lines[0].y) == ((0.0, 5.0), (0.0, 1.5))
    assert "nats" not in headline(unfinished)
    assert [chart.name for chart in charts([replace(known, kl=(0.0, math.nan))])] == ["score", "truth"]


def test_bands_are_95_percent_over_problems() -> None:
    score, truth, kl = charts([run(path(0.4, 0.8), path(0, 1))])
    (line,) = truth.lines
    half = 1.959964 * SPREAD.std(ddof=1) / P**0.5
    assert line.high[0] == pytest.approx(0.4 + half)
    assert score.lines[0].y == pytest.approx((0, 1))
    assert kl.lines[0].y == (0.0, 3.25)
