import pytest

from rlvr.errors import DataError
from rlvr.report.conclusions import changes, conclude, headlines
from rlvr.report.results import RunResult
from tests.rlvr.report.runs import random_run, run_of


def test_a_real_difference_is_shown_with_its_size_and_direction() -> None:
    runs = [random_run(variant, seed, rate) for variant, rate in (("worse", 0.4), ("better", 0.8)) for seed in range(3)]
    comparison = conclude(runs, ["accuracy"])
    (pair,) = comparison.pairs["accuracy"]
    assert pair.is_shown
    assert pair.finding.value < -0.3
    true = sum(run.greedy[-1].mean() for run in runs[3:]) / 3 - sum(run.greedy[-1].mean() for run in runs[:3]) / 3
    assert pair.finding.value == pytest.approx(-true)
    assert pair.sentence.startswith(f"better is better than worse by {100 * true:.1f} points [")
    assert pair.more_seeds is None
    one = comparison.discordances["worse", "better"]
    assert one.only_second > one.only_first
    assert one.p < 0.001


def test_without_a_difference_none_is_claimed_and_what_it_would_take_is_said() -> None:
    claimed = 0
    for trial in range(20):
        runs = [
            random_run(f"{variant}{trial}", seed, 0.6, spread=0.05) for variant in ("a", "b", "c") for seed in range(3)
        ]
        pairs = conclude(runs, ["accuracy"], resamples=200).pairs["accuracy"]
        claimed += any(pair.is_shown for pair in pairs)
        for pair in pairs:
            assert pair.is_shown or pair.sentence.startswith("No difference shown at this budget: ")
    assert claimed <= 2


def test_an_undecided_pair_says_how_many_seeds_it_would_take() -> None:
    def solving(variant: str, seed: int, count: int) -> RunResult:
        return run_of(variant, seed, [[0] * 100, [float(i < count) for i in range(100)]])

    # Differences of 14, 2 and 8 problems of 100.
    counts = {"a": (64, 62, 68), "b": (50, 60, 60)}
    (pair,) = conclude([solving(v, s, n) for v, ns in counts.items() for s, n in enumerate(ns)], ["avg"]).pairs["avg"]
    assert pair.finding.value == pytest.approx(0.08)
    assert pair.finding.seed_variance == pytest.approx(0.06**2)
    assert not pair.is_shown
    assert pair.more_seeds == 8 - 3 or pair.finding.problem_variance > 0
    assert f"about {pair.more_seeds} more seeds would be needed to show one of this size" in pair.sentence


def test_turning_the_variants_round_turns_the_difference_round() -> None:
    a, b = ([random_run(variant, seed, 0.6) for seed in range(3)] for variant in ("a", "b"))
    (ahead,), (back,) = (conclude(runs, ["avg"]).pairs["avg"] for runs in ([*a, *b], [*b, *a]))
    assert back.finding.value == pytest.approx(-ahead.finding.value)
    assert back.finding.low == pytest.approx(-ahead.finding.high)
    assert back.finding.p == pytest.approx(ahead.finding.p)


def test_pairing_leaves_out_what_the_variants_have_in_common() -> None:
    # Each variant solves most of what it solves by luck of the problems; b solves five more of them.
    solved = [float(i % 2) for i in range(100)]
    more = [1.0 if i in (0, 2, 4, 6, 8) else one for i, one in enumerate(solved)]
    runs = [run_of(v, seed, [[0] * 100, last]) for v, last in (("a", solved), ("b", more)) for seed in range(3)]
    comparison = conclude(runs, ["accuracy"])
    (pair,) = comparison.pairs["accuracy"]
    assert pair.finding.value == pytest.approx(-0.05)
    assert pair.finding.standard_error == pytest.approx((0.05 * 0.95 / 100) ** 0.5, rel=0.1)
    assert comparison.findings["accuracy"]["a"].standard_error == pytest.approx(0.05, rel=0.1)


def test_one_seed_is_said_to_be_one_seed() -> None:
    runs = [random_run(variant, 0, rate) for variant, rate in (("a", 0.3), ("b", 0.8))]
    (pair,) = conclude(runs, ["accuracy"]).pairs["accuracy"]
    assert pair.sentence.endswith("One seed: the interval is over problems only, and other seeds may differ.")


def test_a_pair_is_compared_on_the_seeds_that_both_have() -> None:
    runs = [random_run("a", seed, 0.5) for seed in (0, 1, 2)] + [random_run("b", seed, 0.5) for seed in (1, 2)]
    comparison = conclude(runs, ["accuracy"])
    assert comparison.pairs["accuracy"][0].finding.seeds == 2
    assert comparison.findings["accuracy"]["a"].seeds == 3


def test_a_baseline_is_compared_with_each_and_the_others_are_not() -> None:
    runs = [random_run(variant, seed, 0.5) for variant in ("a", "b", "c") for seed in range(2)]
    pairs = conclude(runs, ["accuracy"], baseline="b").pairs["accuracy"]
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("c", "b")]


def test_a_growth_is_told_of_each_variant_and_between_them() -> None:
    def growing(variant: str, seed: int, by: float) -> RunResult:
        tokens = [[[20.0, 20.0]] * 60, [[20.0 + by + (i + seed) % 3, 20.0 + by] for i in range(60)]]
        return run_of(variant, seed, [[0] * 60, [0] * 60], tokens=tokens)

    runs = [growing(v, seed, by) for v, by in (("grpo", 10.0), ("dr_grpo", -0.5)) for seed in range(3)]
    comparison = conclude(runs, ["incorrect_length_growth"])
    first, second = changes(comparison)
    assert first.startswith("grpo, growth in length of incorrect completions: grew, 10.5 tokens [")
    assert second.startswith("dr_grpo, growth in length of incorrect completions: no change shown, 0.0 tokens [")
    ((_, (sentence,)),) = headlines(comparison).items()
    assert sentence.startswith("grpo exceeds dr_grpo by 10.5 tokens [10.5, 10.5] in growth in length of incorrect")


def test_runs_on_other_problems_are_refused() -> None:
    with pytest.raises(DataError, match="b, seed 0, was evaluated on other problems than a, seed 0"):
        conclude([random_run("a", 0, 0.5), random_run("b", 0, 0.5, problems=50)], ["accuracy"])
    with pytest.raises(DataError, match="expected two variants or more"):
        conclude([random_run("a", 0, 0.5)], ["accuracy"])
