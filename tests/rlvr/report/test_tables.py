"""A comparison for other programs to read."""

import csv
import io
import json
from dataclasses import replace
from typing import Any

import numpy
import pytest

from rlvr.report.conclusions import conclude
from rlvr.report.costs import costs
from rlvr.report.measures import MEASURES
from rlvr.report.results import RunResult
from rlvr.report.tables import as_csv, as_json
from tests.rlvr.report.runs import run_of

RUNS = [
    run_of("grpo", 0, [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]),
    run_of("grpo", 1, [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]),
    run_of("mine", 0, [[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]),
    run_of("mine", 1, [[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]]),
]


def tree_of(runs: list[RunResult], target: float | None = 0.75) -> dict[str, Any]:
    comparison = conclude(runs, ["accuracy"], resamples=100)
    return json.loads(as_json(comparison, costs(comparison.runs, target), target, {"seeds": (0, 1)}))


def rows_of(runs: list[RunResult], target: float | None = 0.75) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(conclude(runs, ["accuracy"], resamples=100), target))))


def test_the_json_holds_the_curves_and_costs_of_each_run() -> None:
    tree = tree_of(RUNS)
    first, _, third, _ = tree["runs"]
    assert (first["variant"], first["seed"], first["eval_steps"]) == ("grpo", 0, [0, 10, 20])
    assert first["greedy"] == [0.0, 0.25, 0.5]
    assert (first["step_of_target"], third["step_of_target"]) == (None, 10)
    assert first["tokens_sampled"] == 2000
    assert (tree["problems"], tree["config"]) == (4, {"seeds": [0, 1]})


def test_the_json_holds_the_findings_of_each_variant_and_pair() -> None:
    tree = tree_of(RUNS)
    assert tree["variants"]["grpo"]["measures"]["accuracy"]["value"] == 0.375
    assert tree["variants"]["mine"]["seeds"] == [0, 1]
    assert tree["variants"]["mine"]["cost"]["reached"] == 2
    assert tree["variants"]["mine"]["cost"]["tokens_to_target"] == 1000
    (pair,) = tree["pairs"]
    assert (pair["first"], pair["second"]) == ("grpo", "mine")
    assert pair["difference"]["value"] == -0.5
    (one,) = tree["mcnemar"]
    assert (one["only_first"], one["only_second"]) == (0, 4)


def test_what_is_no_number_is_null_in_json_and_empty_in_csv() -> None:
    tree = tree_of(RUNS, target=1.0)
    assert tree["variants"]["grpo"]["cost"]["tokens_to_target"] is None
    assert "NaN" not in json.dumps(tree)
    assert [row["tokens_to_target"] for row in rows_of(RUNS, target=1.0)] == ["", "", "2000", ""]
    perfect = [replace(run, solved=numpy.ones_like(run.scores)) for run in RUNS]
    assert all(row["incorrect_length"] == "" for row in rows_of(perfect))


def test_the_csv_has_a_line_for_each_run_with_each_of_its_measures() -> None:
    rows = rows_of(RUNS)
    assert [(row["variant"], row["seed"], row["accuracy"]) for row in rows] == [
        ("grpo", "0", "0.5"),
        ("grpo", "1", "0.25"),
        ("mine", "0", "1.0"),
        ("mine", "1", "0.75"),
    ]
    assert set(MEASURES) < rows[0].keys()


def test_what_depends_on_the_machine_is_marked_and_nothing_else_changes_with_it() -> None:
    slower = [replace(run, seconds_so_far=3 * run.seconds_so_far, peak_memory_bytes=5) for run in RUNS]

    def unmarked(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: unmarked(one) for key, one in value.items() if not key.startswith("machine_")}
        return [unmarked(one) for one in value] if isinstance(value, list) else value

    assert unmarked(tree_of(slower)) == unmarked(tree_of(RUNS))
    assert tree_of(slower) != tree_of(RUNS)
    assert unmarked(rows_of(slower)) == unmarked(rows_of(RUNS))
    assert list(rows_of(RUNS)[0])[-3:] == ["machine_seconds", "machine_seconds_to_target", "machine_peak_memory_bytes"]


@pytest.mark.parametrize(("value", "written"), [(1 / 3, "0.3333333333"), (0.1 + 0.2, "0.3"), (1234.0, "1234")])
def test_numbers_have_ten_digits_and_whole_ones_no_point(value: float, written: str) -> None:
    runs = [replace(run, tokens_so_far=numpy.full(21, value)) for run in RUNS]
    assert rows_of(runs)[0]["tokens_sampled"] == written
