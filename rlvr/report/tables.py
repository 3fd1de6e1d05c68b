"""A comparison as `compare.json` (everything) and `compare.csv` (one line per run), for other programs to read.

Keys and columns that depend on the machine come last and have the prefix `machine_`.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from rlvr.report.conclusions import Comparison, changes, headlines
from rlvr.report.costs import Cost, step_of_target
from rlvr.report.measures import MEASURES
from rlvr.report.results import RunResult
from rlvr.report.statistics import Finding

DIGITS = 10  # further digits are rounding errors of sums


def as_json(comparison: Comparison, cost_rows: Sequence[Cost], target: float | None, config: Mapping[str, Any]) -> str:
    """Findings, pairs, sentences and curves."""
    tree = {
        "headlines": headlines(comparison),
        "changes": changes(comparison),
        "config": config,
        "problems": len(comparison.items),
        "variants": {
            variant: {
                "seeds": [run.seed for run in runs],
                "measures": {name: _finding(comparison.findings[name][variant]) for name in MEASURES},
                "cost": next(_cost(cost) for cost in cost_rows if cost.variant == variant),
            }
            for variant, runs in comparison.runs.items()
        },
        "pairs": [
            {
                "measure": pair.measure,
                "first": pair.first,
                "second": pair.second,
                "difference": _finding(pair.finding),
                "holm_p": pair.adjusted_p,
                "is_shown": pair.is_shown,
                "more_seeds_needed": pair.more_seeds,
                "sentence": pair.sentence,
            }
            for pairs in comparison.pairs.values()
            for pair in pairs
        ],
        "mcnemar": [
            {"first": first, "second": second, **vars(one)} for (first, second), one in comparison.discordances.items()
        ],
        "runs": [
            {
                "variant": run.variant,
                "seed": run.seed,
                "eval_steps": run.eval_steps,
                "greedy": run.greedy.mean(1).tolist(),
                "avg": run.scores.mean((1, 2)).tolist(),
                "tokens_sampled": run.tokens_so_far[-1],
                "step_of_target": step_of_target(run, target),
                "training": {name: values.tolist() for name, values in run.training.items() if name in TRAINING},
                "machine_seconds": run.seconds_so_far[-1],
                "machine_peak_memory_bytes": run.peak_memory_bytes,
            }
            for runs in comparison.runs.values()
            for run in runs
        ],
    }
    return json.dumps(_plain(tree), indent=1, ensure_ascii=False) + "\n"


TRAINING = ("step", "reward/mean", "reward/accuracy", "completion/length", "entropy", "kl", "groups/with_signal")


def as_csv(comparison: Comparison, target: float | None) -> str:
    """One line per run: its measures and its cost."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fixed = ["tokens_sampled", "step_of_target", "tokens_to_target"]
    machine = ["machine_seconds", "machine_seconds_to_target", "machine_peak_memory_bytes"]
    writer.writerow(["variant", "seed", *MEASURES, *fixed, *machine])
    for runs in comparison.runs.values():
        for run in runs:
            measured = [comparison.values[name][run.variant, run.seed] for name in MEASURES]
            writer.writerow([run.variant, run.seed, *map(_cell, [*measured, *_run_cost(run, target)])])
    return out.getvalue()


def _run_cost(run: RunResult, target: float | None) -> list[float | int | None]:
    step = step_of_target(run, target)
    tokens, seconds = (
        (None, None) if step is None else (float(run.tokens_so_far[step]), float(run.seconds_so_far[step]))
    )
    total, spent = float(run.tokens_so_far[-1]), float(run.seconds_so_far[-1])
    return [total, step, tokens, spent, seconds, run.peak_memory_bytes]


def _cell(value: float | int | None) -> str:
    plain = _plain(value)
    return "" if plain is None else str(plain)


def _finding(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in ("value", "low", "high", "p", "seeds", "standard_error")}


def _cost(cost: Cost) -> dict[str, Any]:
    machine = ("seconds", "seconds_to_target", "peak_memory_bytes")
    return {f"machine_{name}" if name in machine else name: value for name, value in vars(cost).items()}


def _plain(value: Any) -> Any:
    """Values for JSON and CSV: no NaN, no numpy, whole numbers without a point, `DIGITS` digits."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, numpy.generic):
        return _plain(value.item())
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value == int(value) and abs(value) >= 10 else float(f"{value:.{DIGITS}g}")
    return value
