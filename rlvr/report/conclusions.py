"""The conclusions of a comparison: measures of variants and differences of pairs with intervals, and sentences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy

from rlvr.errors import DataError
from rlvr.report.measures import MEASURES, Measure, measure_run, measures_of
from rlvr.report.results import Item, RunResult
from rlvr.report.statistics import (
    Array,
    Finding,
    Pooled,
    find,
    holm,
    mcnemar,
    pooled,
    problem_weights,
    problems_are_short,
    seeds_needed,
)

FEW = 3  # up to this many pairs, the headlines report all of them
UNIT_WORDS = {"share": "points", "score": "", "tokens": "tokens"}  # of a difference
TINY = 1e-12  # rounding error of a difference that is exactly 0


@dataclass(frozen=True)
class Discordance:
    """Problems that only one variant of a pair solves, in the greedy completions of the last evaluation."""

    only_first: int
    only_second: int
    p: float
    adjusted_p: float


@dataclass(frozen=True)
class Pair:
    """`first - second` in one measure, over their common seeds."""

    measure: str
    first: str
    second: str
    finding: Finding
    adjusted_p: float
    is_shown: bool
    more_seeds: int | None
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """The content of a report. Mappings keep the order of the variants in the configuration."""

    runs: Mapping[str, Sequence[RunResult]]
    items: tuple[Item, ...]
    measures: tuple[str, ...]
    values: Mapping[str, Mapping[tuple[str, int], float]]  # measure -> (variant, seed)
    findings: Mapping[str, Mapping[str, Finding]]  # measure -> variant
    pairs: Mapping[str, Sequence[Pair]]  # chosen measure -> pairs
    discordances: Mapping[tuple[str, str], Discordance]
    confidence: float
    baseline: str | None
    known: Mapping[str, Measure]  # every measure, with the unit that it has in these runs

    @property
    def variants(self) -> list[str]:
        return list(self.runs)

    @property
    def samples(self) -> int:
        return next(iter(self.runs.values()))[0].samples

    @property
    def pair_names(self) -> list[tuple[str, str]]:
        return list(self.discordances)

    def title(self, measure: str) -> str:
        return title_of(measure, self.samples)


def conclude(
    runs: Sequence[RunResult],
    measures: Sequence[str],
    baseline: str | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Comparison:
    """Compare finished runs by `measures`; other measures are reported for each variant but not tested.

    Pairs are all pairs of variants, or only those with `baseline`. Raises `DataError` if runs were evaluated on
    different problems, or fewer than two variants have a run.
    """
    by_variant: dict[str, list[RunResult]] = {}
    for run in runs:
        by_variant.setdefault(run.variant, []).append(run)
        if run.items != runs[0].items or run.samples != runs[0].samples:
            raise DataError(
                f"{run.variant}, seed {run.seed}, was evaluated on other problems than {runs[0].variant}, seed "
                f"{runs[0].seed}; expected the same. Delete the run that is older"
            )
    if len(by_variant) < 2:
        raise DataError(f"got finished runs of {list(by_variant) or 'no variant'}, expected two variants or more")
    problems = len(runs[0].items)
    weights_BP = problem_weights(problems, resamples)
    names, known = list(by_variant), measures_of(runs)
    couples = [
        (first, second)
        for first, second in (combinations(names, 2) if baseline not in names else [(n, baseline) for n in names])
        if first != second and common_seeds(by_variant[first], by_variant[second])
    ]
    measured = {
        name: {(run.variant, run.seed): measure_run(measure, run, weights_BP) for run in runs}
        for name, measure in known.items()
    }
    findings = {
        name: {
            variant: _bounded(
                over_seeds([measured[name][variant, run.seed] for run in own], problems, confidence), known[name]
            )
            for variant, own in by_variant.items()
        }
        for name in known
    }
    pairs = {
        name: _pairs(name, known[name], couples, by_variant, measured[name], problems, confidence)
        for name in dict.fromkeys(measures)
    }
    discordances = _discordances(couples, by_variant)
    values = {name: {run: value for run, (value, _) in per_run.items()} for name, per_run in measured.items()}
    return Comparison(
        by_variant, runs[0].items, tuple(pairs), values, findings, pairs, discordances, confidence,
        baseline if baseline in names else None, known,
    )  # fmt: skip


def title_of(measure: str, samples: int) -> str:
    """A measure's title with the number of samples in it."""
    return MEASURES[measure].title.replace("@k", f"@{samples}")


def common_seeds(first: Sequence[RunResult], second: Sequence[RunResult]) -> list[int]:
    other = {run.seed for run in second}
    return [run.seed for run in first if run.seed in other]


def over_seeds(
    measured: Sequence[tuple[float, Array]], problems: int, confidence: float, floor: Pooled | None = None
) -> Finding:
    """The mean over seeds of `(value, resampled values)` pairs, with its interval."""
    values_S = numpy.array([value for value, _ in measured])
    return find(values_S, numpy.stack([resampled for _, resampled in measured], axis=1), problems, confidence, floor)


def _bounded(finding: Finding, measure: Measure) -> Finding:
    """Limit the interval of a share to [0, 1] and that of a length to 0 or more; a change or a score has no limits."""
    low = -math.inf if measure.is_change or measure.unit == "score" else 0.0
    high = 1.0 if measure.unit == "share" else math.inf
    return replace(finding, low=max(low, finding.low), high=min(high, finding.high))


def _pairs(
    name: str,
    measure: Measure,
    couples: Sequence[tuple[str, str]],
    by_variant: Mapping[str, Sequence[RunResult]],
    measured: Mapping[tuple[str, int], tuple[float, Array]],
    problems: int,
    confidence: float,
) -> list[Pair]:
    title = title_of(name, next(iter(by_variant.values()))[0].samples)
    between = {
        pair: _differences(measured, *pair, common_seeds(by_variant[pair[0]], by_variant[pair[1]]))
        for pair in [*combinations(by_variant, 2), *couples]
    }
    variances = [
        float(numpy.var([value for value, _ in between[pair]], ddof=1)) if len(between[pair]) > 1 else math.nan
        for pair in combinations(by_variant, 2)
    ]
    floor = pooled(variances, len(by_variant), min(len(runs) for runs in by_variant.values()))
    findings = [over_seeds(between[pair], problems, confidence, floor) for pair in couples]
    pairs = []
    level = (1 - confidence) / max(1, len(couples))
    for (first, second), one, adjusted in zip(couples, findings, holm([one.p for one in findings]), strict=True):
        shown = adjusted < 1 - confidence
        needed = None if shown else seeds_needed(one, level)
        more = None if needed is None else max(1, needed - one.seeds)
        sentence = _sentence(measure, title, first, second, one, adjusted, shown, more, level, len(couples))
        pairs.append(Pair(name, first, second, one, adjusted, shown, more, sentence))
    return pairs


def _differences(
    measured: Mapping[tuple[str, int], tuple[float, Array]], first: str, second: str, seeds: Sequence[int]
) -> list[tuple[float, Array]]:
    """`first - second` for each seed and each of its resamples, with the same problems for both variants."""
    paired = [(measured[first, seed], measured[second, seed]) for seed in seeds]
    return [(a - b, resampled_a - resampled_b) for (a, resampled_a), (b, resampled_b) in paired]


def _sentence(
    measure: Measure,
    title: str,
    first: str,
    second: str,
    finding: Finding,
    adjusted: float,
    shown: bool,
    more_seeds: int | None,
    level: float,
    pairs: int,
) -> str:
    if math.isnan(finding.p):
        return f"{first} and {second} cannot be compared by {title}, because some run has no such completion."
    test = f"p {p_value(adjusted)}{f' after Holm for {pairs} pairs' if pairs > 1 else ''}"
    one_seed = (
        "" if finding.over_seeds else " One seed: the interval is over problems only, and other seeds may differ."
    )
    if shown:
        upper, lower, one = (first, second, finding) if finding.value > 0 else (second, first, turned(finding))
        verb = "is better than" if measure.is_accuracy else "exceeds"
        return f"{upper} {verb} {lower} by {with_interval(one, measure)} in {title} ({test}).{one_seed}"
    start = (
        f"No difference shown at this budget: {first} minus {second} is {with_interval(finding, measure)} in {title} "
        f"({test})"
    )
    if not finding.over_seeds:
        return f"{start}.{one_seed}"
    if more_seeds is not None:
        seeds = f"{more_seeds:,} more seed{'s' if more_seeds > 1 else ''}"
        return f"{start}; about {seeds} would be needed to show one of this size."
    if abs(finding.value) < TINY:
        return f"{start}; the two are equal."
    if problems_are_short(finding, level):
        return f"{start}; more seeds alone would not show one of this size: more held-out problems are needed."
    return f"{start}; it is too small for any practical number of seeds."


def turned(finding: Finding) -> Finding:
    """The finding of `second - first`."""
    return replace(finding, value=-finding.value, low=-finding.high, high=-finding.low)


def with_interval(finding: Finding, measure: Measure) -> str:
    """`2.3 points [0.5, 4.1]`."""
    value, low, high = (number(one, measure) for one in (finding.value, finding.low, finding.high))
    return " ".join(filter(None, [value, UNIT_WORDS[measure.unit], f"[{low}, {high}]"]))


def number(value: float, measure: Measure) -> str:
    """A value or difference as text: percentage points, tokens, or a score."""
    text = f"{value:.3f}" if measure.unit == "score" else f"{100 * value if measure.unit == 'share' else value:.1f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def _discordances(
    couples: Sequence[tuple[str, str]], by_variant: Mapping[str, Sequence[RunResult]]
) -> dict[tuple[str, str], Discordance]:
    counts = []
    for first, second in couples:
        seeds = common_seeds(by_variant[first], by_variant[second])
        a, b = (
            numpy.stack([run.greedy[-1] for run in by_variant[name] if run.seed in seeds]) for name in (first, second)
        )
        counts.append((int((a > b).sum()), int((b > a).sum())))
    ps = [mcnemar(*count) for count in counts]
    return {
        couple: Discordance(*count, p, adjusted)
        for couple, count, p, adjusted in zip(couples, counts, ps, holm(ps), strict=True)
    }


def headlines(comparison: Comparison) -> dict[str, list[str]]:
    """For each chosen measure, a sentence about all pairs, and the sentences of some pairs.

    These are the significant differences; all pairs if there are at most `FEW`; or the most nearly significant pair.
    """
    lines = {}
    for name, pairs in comparison.pairs.items():
        title = _capital(comparison.title(name))
        ordered = sorted(pairs, key=lambda pair: (not pair.is_shown, pair.adjusted_p, pair.finding.p))
        shown = [pair for pair in ordered if pair.is_shown]
        topic = (
            f"{title}: {len(shown)} of {len(pairs)} pairs differ."
            if shown
            else f"{title}: no difference shown between any two variants at this budget."
        )
        reported = ordered if len(pairs) <= FEW else shown or ordered[:1]
        lines[topic if len(pairs) > 1 else title] = [pair.sentence for pair in reported]
    return lines


def changes(comparison: Comparison) -> list[str]:
    """For each chosen measure of a change, a sentence about each variant."""
    lines = []
    for name in comparison.measures:
        measure = comparison.known[name]
        for variant, finding in comparison.findings[name].items() if measure.is_change else ():
            if math.isnan(finding.p):
                lines.append(f"{variant}: no {measure.title} is known, because some run has no such completion.")
                continue
            verdict = (
                "no change shown" if finding.low <= 0 <= finding.high else "grew" if finding.value > 0 else "shrank"
            )
            lines.append(f"{variant}, {measure.title}: {verdict}, {with_interval(finding, measure)}.")
    return lines


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
