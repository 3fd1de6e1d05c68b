"""Means over problems with their 95 % confidence intervals: shares, scores of any range, and what is unknown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from mpmath import betainc

Z95 = 1.959964  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True)
class Estimate:
    """A mean over problems and its 95 % confidence interval; NaN where nothing is known."""

    mean: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        return not math.isnan(self.mean)

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


UNKNOWN = Estimate(math.nan, math.nan, math.nan)


def share(solved: Sequence[bool | None]) -> Estimate:
    """The share of problems that are solved; unknown as soon as that of one problem is."""
    known = [one for one in solved if one is not None]
    return proportion(known) if len(known) == len(solved) else UNKNOWN


def mean_score(scores: Sequence[Sequence[float]]) -> Estimate:
    """The mean over problems of their mean scores; `scores` holds those of each problem's completions.

    Problems are independent draws. Scores in [0, 1] get the interval of `mean_estimate`, and so do those in [-1, 1],
    scaled to it. The range of other scores is not known: they get Student's interval of the problems' means, which is
    unknown for one problem.
    """
    values = [sum(own) / len(own) for own in scores]
    mean, samples = sum(values) / len(values), max(len(own) for own in scores)
    lowest, highest = min(map(min, scores)), max(map(max, scores))
    if lowest >= 0 and highest <= 1:
        return mean_estimate(values, samples)
    if lowest >= -1 and highest <= 1:
        scaled = mean_estimate([(value + 1) / 2 for value in values], samples)
        return Estimate(mean, 2 * scaled.low - 1, 2 * scaled.high - 1)
    if len(values) < 2:
        return Estimate(mean, math.nan, math.nan)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    half = t_quantile(0.95, len(values) - 1) * math.sqrt(variance / len(values))
    return Estimate(mean, mean - half, mean + half)


def proportion(solved: Sequence[bool]) -> Estimate:
    """A share of problems with its Wilson interval."""
    return wilson(sum(solved) / len(solved), len(solved))


def mean_estimate(values: Sequence[float], samples: int) -> Estimate:
    """A mean over problems of scores in [0, 1], each itself the mean of `samples` completions.

    Problems are independent draws; the samples of a problem are not. The interval is Wilson's with the effective number
    of draws p (1 - p) / (variance / n) (Korn and Graubard, 1998): n if each problem is solved always or never, up to
    n * samples if all problems are equally hard. If all are right or all are wrong, the spread between problems is
    unknown, and n is used.
    """
    n, p = len(values), sum(values) / len(values)
    variance = sum((value - p) ** 2 for value in values) / n
    trials = n * samples if variance == 0 else n * p * (1 - p) / variance
    return wilson(p, n if p in (0.0, 1.0) else min(max(trials, n), n * samples))


def wilson(p: float, n: float) -> Estimate:
    """The interval of a share `p` of `n` draws (Wilson, 1927): inside [0, 1], valid near its ends, never empty.

    (p + z^2 / 2n  +-  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
    """
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
    # Rounding may move a bound slightly inside a share of exactly 0 or 1.
    return Estimate(p, max(0.0, centre - half) if p else 0.0, min(1.0, centre + half) if p < 1 else 1.0)


def two_sided(t: float, degrees: float) -> float:
    """The probability that Student's t with `degrees` degrees of freedom is at least this far from 0."""
    return float(betainc(degrees / 2, 0.5, 0, degrees / (degrees + t * t), regularized=True))


@lru_cache(maxsize=4096)
def t_quantile(confidence: float, degrees: float) -> float:
    """The bound that Student's t stays within with probability `confidence`.

    Newton's method, from the smaller bound of the normal distribution: `two_sided` is decreasing and convex, so the
    iteration approaches from the left without overshooting.
    """
    bound = NormalDist().inv_cdf((1 + confidence) / 2)
    log_scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    while True:
        density = math.exp(log_scale - (degrees + 1) / 2 * math.log1p(bound * bound / degrees))
        step = (two_sided(bound, degrees) - (1 - confidence)) / (2 * density)
        bound += step
        if step < 1e-10 * bound:
            return bound
