"""Intervals, tests and power for values measured with a few seeds on a set of problems: numbers in, numbers out.

The design is crossed: each seed is evaluated on the same problems. A value, or a paired difference of two variants, is
a mean over seeds, and its variance has three parts, each estimated here:

    between seeds      V_s = variance of the seeds' values / S
    between problems   V_p = variance of the value when problems are resampled, the same for all seeds (bootstrap)
    of a single cell   V_c = the same, if each seed had its own problems: contained in both parts above
    V = V_p + max(0, V_s - V_c)

This is two-way clustering (Cameron, Gelbach, Miller, 2011). The bootstrap over seeds is exact, without resampling: the
variance of the mean of S resampled values is known, and S / (S - 1) of it is V_s. Percentiles would be wrong: they
never leave the range of the S values, so with three seeds they contain the true value in at most 75 of 100 cases.
Instead, few seeds widen the interval through Student's t with Satterthwaite's degrees of freedom (1946). A variance of
three numbers is often far too small by chance, which would lead to false claims among many pairs; a pair's variance is
therefore at least the mean over all pairs of variants (`Pooled`; it is twice the mean square of the interaction of
variants and seeds in an analysis of variance).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy
from numpy.typing import NDArray

from rlvr.algorithms.intervals import t_quantile, two_sided

Array = NDArray[numpy.float64]

POWER = 0.8  # chance of showing a true difference, in `seeds_needed`
MAX_SEEDS = 1000  # where `seeds_needed` stops searching


@dataclass(frozen=True)
class Finding:
    """A value with its interval; `p` is two-sided, for the hypothesis that the true value is 0.

    `over_seeds` is False with one seed: the interval then covers other problems but not other seeds.
    """

    value: float
    low: float
    high: float
    p: float
    seeds: int
    standard_error: float
    seed_variance: float
    problem_variance: float

    @property
    def over_seeds(self) -> bool:
        return self.seeds > 1


@dataclass(frozen=True)
class Pooled:
    """The variance between seeds of a paired difference, as the mean over all pairs of variants."""

    variance: float
    degrees: float


def pooled(variances: Sequence[float], variants: int, seeds: int) -> Pooled | None:
    """The pooled variance of the pairs; `None` where it adds nothing: with one seed, or two variants."""
    known = [variance for variance in variances if math.isfinite(variance)]
    if seeds < 2 or variants < 3 or not known:
        return None
    return Pooled(sum(known) / len(known), (variants - 1) * (seeds - 1))


def problem_weights(problems: int, resamples: int, seed: int = 0) -> Array:
    """How often each problem occurs in each resample, `(resamples, problems)`; a row sums to `problems`."""
    generator = numpy.random.default_rng(seed)
    return generator.multinomial(problems, [1 / problems] * problems, size=resamples).astype(numpy.float64)


def find(
    values_S: Array, resampled_BS: Array, problems: int, confidence: float = 0.95, floor: Pooled | None = None
) -> Finding:
    """The mean over seeds with its interval.

    Args: `values_S`, one value per seed; `resampled_BS`, the same for each resample of the problems. Resamples without
    a value (NaN) are left out. `floor` is a lower bound of the variance between seeds.
    """
    seeds = len(values_S)
    value = float(values_S.mean())
    resampled_BS = resampled_BS[numpy.isfinite(resampled_BS).all(1)]
    if not math.isfinite(value) or len(resampled_BS) < 2:
        return Finding(value, math.nan, math.nan, math.nan, seeds, math.nan, math.nan, math.nan)
    of_problems = float(resampled_BS.mean(1).var(ddof=1))
    of_cells = float(resampled_BS.var(axis=0, ddof=1).sum()) / seeds**2
    of_seeds, seed_degrees = (float(values_S.var(ddof=1)) / seeds, seeds - 1.0) if seeds > 1 else (0.0, 1.0)
    if floor is not None and floor.variance / seeds > of_seeds:
        of_seeds, seed_degrees = floor.variance / seeds, floor.degrees
    variance = of_problems + max(0.0, of_seeds - of_cells)
    error = math.sqrt(variance)
    if variance < 1e-24:  # equal in every resample and seed
        p = 1.0 if abs(value) < 1e-12 else 0.0
        return Finding(value, value, value, p, seeds, 0.0, seeds * of_seeds, 0.0)
    spread = of_problems**2 / max(1, problems - 1) + of_seeds**2 / seed_degrees
    degrees = variance**2 / spread
    half = t_quantile(confidence, degrees) * error
    return Finding(
        value,
        value - half,
        value + half,
        two_sided(value / error, degrees),
        seeds,
        error,
        seed_variance=seeds * of_seeds,
        problem_variance=max(0.0, of_problems - of_cells) if seeds > 1 else of_problems,
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of McNemar's test (1947): do discordant pairs split like tosses of a fair coin?

        p = min(1, 2 * P(X <= min(b, c))),   X ~ Binomial(b + c, 1/2)

    It assumes independent pairs. With pooled seeds this does not quite hold: a problem appears once per seed, and the
    completions of a run share its weights.
    """
    count, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(count, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**count)) if count < 1000 else _mcnemar_of_many(count, fewer)


def _mcnemar_of_many(count: int, fewer: int) -> float:
    # Integers with hundreds of digits do not fit into floats; their logarithms do.
    tail = sum(math.comb(count, k) for k in range(fewer + 1))
    return min(1.0, math.exp(math.log(2 * tail) - count * math.log(2)))


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p values that keep the chance of any false claim in the family below the level (Holm, 1979).

        sorted ascending: adjusted_i = max over j <= i of min(1, (m - j + 1) * p_j)

    An undefined p (NaN) stays NaN and does not count.
    """
    adjusted = [math.nan] * len(ps)
    order = sorted((p, index) for index, p in enumerate(ps) if not math.isnan(p))
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[index] = highest
    return adjusted


def seeds_needed(finding: Finding, level: float) -> int | None:
    """The total number of seeds that would show a difference of this size with a power of 80 %.

    The smallest n with  |d| >= (t_{1 - level/2, n - 1} + z_0.8) * sqrt(V_problems + V_seed / n),  where V_seed is the
    variance of the paired difference between seeds and V_problems the part that more seeds do not reduce.

    Returns `None` if no n up to 1,000 is enough, or if one seed leaves the spread between seeds unknown.
    """
    if not finding.over_seeds or math.isnan(finding.p) or abs(finding.value) < 1e-12:
        return None

    def enough(seeds: int) -> bool:
        bound = t_quantile(1 - level, seeds - 1) + NormalDist().inv_cdf(POWER)
        return abs(finding.value) >= bound * math.sqrt(finding.problem_variance + finding.seed_variance / seeds)

    if not enough(MAX_SEEDS):
        return None
    low, high = 1, MAX_SEEDS  # `enough` fails at 1 and holds at MAX_SEEDS, and more seeds never harm
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def problems_are_short(finding: Finding, level: float) -> bool:
    """Whether no number of seeds could show the difference on this many problems."""
    bound = NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(POWER)
    return abs(finding.value) < bound * math.sqrt(finding.problem_variance)
