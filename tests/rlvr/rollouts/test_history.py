import json
from dataclasses import asdict

import pytest

from rlvr.algorithms.objective import Objective
from rlvr.rollouts import history as history_module
from rlvr.rollouts.history import MEMORY_STEPS, Average, History, Record
from tests.rlvr.rollouts.test_groups import group


def test_a_pass_rate_counts_scores_in_0_to_1_as_they_are_and_others_as_solved_or_not() -> None:
    history = History().updated(1, [group(-1.0, 1.0, 1.0, -1.0, cohort="a", id="signs")], 1.0, by_problem=True)
    assert (history.reward.value, history.passed.value, history.pass_rate("a")) == (0.0, 0.5, 0.5)
    assert history.problems["signs"] == Record(0.5, 0, 1)
    history = history.updated(2, [group(0.25, 0.75, cohort="b", id="parts")], 1.0, by_problem=True)
    assert (history.pass_rate("b"), history.problems["parts"].pass_rate) == (0.5, 0.5)
    again = history.updated(3, [group(1.0, 1.0, cohort="a", id="signs")], 1.0, by_problem=True)
    assert again.problems["signs"] == Record(0.75, 1, 3)


def test_a_checkpoint_from_before_pass_rates_has_rewards_in_their_place() -> None:
    history = History().updated(1, [group(0.0, 1.0, cohort="a")], 1.0, by_problem=False)
    values = asdict(history)
    del values["passed"], values["cohorts_passed"]
    assert History.of(values) == history


def test_an_average_is_the_mean_at_first_and_forgets_later() -> None:
    average = Average()
    for value in (1.0, 0.0, 0.5):
        average = average.updated(value)
    assert average == Average(0.5, 3)
    for _ in range(MEMORY_STEPS):
        average = average.updated(0.5)
    assert average.count == MEMORY_STEPS
    assert average.updated(1.5).value == pytest.approx(0.5 + 1 / MEMORY_STEPS)


def test_rewards_are_averaged_by_step_over_all_and_by_cohort_without_failed_graders() -> None:
    first = [group(1.0, 0.0, cohort="easy"), group(None, 0.0, cohort="hard")]
    history = History().updated(1, first, kept_share=0.5, by_problem=False)
    assert history.reward.value == pytest.approx(1 / 3)
    assert (history.cohort_average("easy"), history.cohort_average("hard")) == (0.5, 0.0)
    assert history.cohort_average("never seen") == history.reward.value
    history = history.updated(2, [group(1.0, 1.0, cohort="hard")], kept_share=0.0, by_problem=False)
    assert history.reward.value == pytest.approx((1 / 3 + 1) / 2)
    assert (history.cohort_average("easy"), history.cohort_average("hard")) == (0.5, 0.5)
    assert history.kept_share == 0.25
    assert history.problems == {}
    assert (
        history.updated(3, [], kept_share=0.0, by_problem=False) == history
    )  # a step that only used groups that waited


def test_a_problem_is_remembered_by_its_pass_rate_and_how_often_in_a_row_it_was_solved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    history = History()
    for step, rewards in enumerate([(1.0, 1.0), (1.0, 1.0), (1.0, 0.0), (1.0, None)], 1):
        history = history.updated(step, [group(*rewards, id="a")], 1.0, by_problem=True)
        if step == 2:
            assert history.problems["a"] == Record(1.0, 2, 2)
    assert history.problems["a"] == Record((0.75 + 1.0) / 2, 1, 4)
    monkeypatch.setattr(history_module, "MOST_PROBLEMS", 2)
    for step, name in enumerate("bac", 5):
        history = history.updated(step, [group(0.0, id=name)], 1.0, by_problem=True)
    assert list(history.problems) == ["a", "c"]  # the one seen longest ago is forgotten


def test_a_history_comes_back_from_json_as_it_was() -> None:
    history = History(kl_coef=0.1).updated(3, [group(1 / 3, 0.1, cohort="x", id="p")], 1 / 7, by_problem=True)
    assert History.of(json.loads(json.dumps(asdict(history)))) == history


def test_coefficients_follow_what_was_measured_and_only_where_there_is_a_target() -> None:
    objective = Objective(kl_coef=0.1, kl_target=0.01)
    history = History().steered(objective, {"kl": 0.02, "entropy": 1.0})
    assert history.adapted(objective).kl_coef == 0.2
    assert history.steered(objective, {"kl": 0.001}).adapted(objective).kl_coef == 0.1
    assert history.steered(objective, {}).adapted(objective).kl_coef == 0.2  # a step that learned nothing
    fixed = Objective(kl_coef=0.1)
    assert History().steered(fixed, {"kl": 5.0, "entropy": 0.0}).adapted(fixed) == fixed


def test_an_entropy_bonus_grows_while_the_entropy_is_below_its_target_and_rests_above_it() -> None:
    objective = Objective(entropy_target=0.5)
    assert History().adapted(objective).entropy_coef == 0.0
    low = History().steered(objective, {"entropy": 0.2}).steered(objective, {"entropy": 0.3})
    assert low.adapted(objective).entropy_coef == pytest.approx(0.01)
    high = low.steered(objective, {"entropy": 0.9})
    assert high.adapted(objective).entropy_coef == 0.0
    assert high.entropy_coef == pytest.approx(0.005)
