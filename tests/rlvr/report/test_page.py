import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from rlvr.report.conclusions import conclude
from rlvr.report.costs import costs
from rlvr.report.measures import MEASURES
from rlvr.report.page import Setting, render
from rlvr.report.svg import ticks
from rlvr.report.tables import as_csv, as_json
from tests.rlvr.report.runs import random_run, run_of

RUNS = [random_run(v, seed, rate) for v, rate in (("grpo", 0.5), ("dr_grpo", 0.8), ("mine", 0.78)) for seed in range(3)]
SETTING = Setting(
    title="Comparison of grpo, dr_grpo, mine",
    command="rlvr compare configs/compare.yaml",
    base="trainer: grpo\n",
    seeds=(0, 1, 2),
    differences={"objective.scale": ["group_std", "none", "none"]},
    failures={"mine, seed 3": "GraderError: the judge is not at home"},
    target=0.7,
    examples=4,
    initial_weights="a cold start for each seed",
)


def page(runs=RUNS, setting: Setting = SETTING, measures=("accuracy", "incorrect_length_growth")) -> str:  # type: ignore[no-untyped-def]
    comparison = conclude(runs, measures)
    return render(comparison, costs(comparison.runs, setting.target), setting)


class Reader(HTMLParser):
    """Collects tags and words, and refuses tags that are closed but were never opened."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.open, f"</{tag}> closes nothing"
        while self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def test_the_page_says_what_was_found() -> None:
    html = page()
    comparison = conclude(RUNS, ["accuracy"])
    words = " ".join(read(html).words)
    for pair in comparison.pairs["accuracy"]:
        assert pair.sentence in words
    for heading in (
        "Learning curves",
        "Every pair",
        "Length against reward",
        "Cohorts",
        "Cost",
        "Where two variants differ",
    ):
        assert heading in words
    assert "rlvr compare configs/compare.yaml" in words
    assert "mine, seed 3 has no result" in words
    assert "the judge is not at home" in words
    assert "objective.scale" in words


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    reader = read(page())
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "img", "iframe", "object"}
    assert not [name for _, attrs in reader.tags for name in attrs if name in ("src", "href") or name.startswith("on")]
    assert "http" not in page().replace("http-equiv", "")
    assert "@import" not in page()
    assert "url(" not in page()


def test_what_a_model_wrote_is_text_and_no_markup() -> None:
    evil = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>"
    runs = [
        run_of(v, seed, [[0, 0, 0], last], text=evil)
        for v, last in (("a", [1, 0, 1]), ("b", [0, 1, 1]))
        for seed in (0, 1)
    ]
    html = page(runs, replace(SETTING, differences={"<b>": ["<i>", "&"]}, failures={}), ("accuracy",))
    assert "<script" not in html
    assert "<img" not in html
    assert evil in "".join(read(html).words)


def test_problems_on_which_two_variants_differ_are_shown_from_both_sides() -> None:
    solved, other = [1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1]
    runs = [run_of(v, 0, [[0] * 6, last]) for v, last in (("a", solved), ("b", other))]
    words = "".join(read(page(runs, measures=("accuracy",))).words)
    assert "seed 0: 5 problems are solved only by a, 1 only by b" in words
    assert "4 of 6 are shown." in words
    shown = words[words.index("4 of 6 are shown.") :]
    assert [f"Problem {i}?" in shown for i in range(6)] == [True, True, True, False, False, True]


def test_tables_have_headings_and_charts_say_what_they_show() -> None:
    reader = read(page())
    charts = [attrs for tag, attrs in reader.tags if tag == "svg" and attrs.get("role") == "img"]
    assert len(charts) >= 6
    assert sum(tag == "title" for tag, _ in reader.tags) > len(charts)
    assert all(attrs.get("scope") in ("row", "col") for tag, attrs in reader.tags if tag == "th")


def test_the_same_runs_give_the_same_bytes() -> None:
    assert page() == page()


def test_only_marked_cells_depend_on_the_machine() -> None:
    slow = [replace(run, seconds_so_far=3 * run.seconds_so_far, peak_memory_bytes=7) for run in RUNS]

    def unmarked(html: str) -> str:
        return re.sub(r"<td class=machine>.*?</td>", "", html)

    assert page(slow) != page()
    assert unmarked(page(slow)) == unmarked(page())


def test_one_seed_is_said_above_everything() -> None:
    alone = replace(SETTING, seeds=(0,))
    assert "One seed: every interval is over problems only" in page([run for run in RUNS if run.seed == 0], alone)


def test_the_json_holds_every_finding_and_no_nan() -> None:
    comparison = conclude(RUNS, ["accuracy"])
    text = as_json(comparison, costs(comparison.runs, 0.7), 0.7, {"seeds": [0, 1, 2]})
    tree = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert set(tree["variants"]["mine"]["measures"]) == set(MEASURES)
    assert tree["pairs"][0]["sentence"] == comparison.pairs["accuracy"][0].sentence
    expected = sum(run.greedy[-1].mean() for run in RUNS[:3]) / 3
    assert tree["variants"]["grpo"]["measures"]["accuracy"]["value"] == pytest.approx(expected)
    assert tree["runs"][0]["machine_seconds"] == 5
    assert tree["config"] == {"seeds": [0, 1, 2]}


def test_the_csv_has_a_line_for_each_run_and_the_machines_columns_last() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(conclude(RUNS, ["accuracy"]), 0.7))))
    assert [(row["variant"], row["seed"]) for row in rows[:4]] == [
        ("grpo", "0"), ("grpo", "1"), ("grpo", "2"), ("dr_grpo", "0"),
    ]  # fmt: skip
    assert float(rows[0]["accuracy"]) == pytest.approx(RUNS[0].greedy[-1].mean())
    assert rows[0]["tokens_sampled"] == "1000"
    names = list(rows[0])
    first = next(index for index, name in enumerate(names) if name.startswith("machine_"))
    assert all(name.startswith("machine_") for name in names[first:])
    assert "incorrect_length" in names[:first]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 140, [0, 50, 100, 150]), (0.31, 0.97, [0.2, 0.4, 0.6, 0.8, 1.0]), (5, 5, [5, 6])],
)
def test_ticks_are_round_and_enclose_what_is_shown(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)
