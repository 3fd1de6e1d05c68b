import math

import numpy
import pytest

from rlvr.report.costs import costs, step_of_target
from rlvr.report.measures import MEASURES, measure_run
from rlvr.report.statistics import problem_weights
from tests.rlvr.report.runs import run_of

# Four problems, evaluations at steps 0, 10 and 20, two drawn completions.
GREEDY = [[0, 0, 0, 1], [1, 1, 1, 1], [1, 1, 0, 1]]
SCORES = [
    [[0, 0], [0, 0], [0, 1], [1, 1]],
    [[1, 1], [1, 1], [1, 1], [1, 1]],
    [[1, 1], [1, 0], [0, 0], [1, 0]],
]
TOKENS = [
    [[10, 20], [30, 40], [50, 8], [6, 4]],
    [[5, 5], [5, 5], [5, 5], [5, 5]],
    [[10, 12], [14, 60], [70, 80], [16, 90]],
]
RUN = run_of("grpo", 0, GREEDY, SCORES, TOKENS, cohorts=["easy", "easy", "hard", "hard"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 3 / 4),
        ("best_accuracy", 1.0),
        ("area", ((1 + 4) / 2 * 10 + (4 + 3) / 2 * 10) / (4 * 20)),
        ("avg", (1 + 0.5 + 0 + 0.5) / 4),
        ("pass", 3 / 4),
        ("maj", 3 / 4),
        ("weakest_cohort", (0 + 0.5) / 2),
        ("correct_length", (10 + 12 + 14 + 16) / 4),
        ("incorrect_length", (60 + 70 + 80 + 90) / 4),
        ("correct_length_growth", (10 + 12 + 14 + 16) / 4 - (8 + 6 + 4) / 3),
        ("incorrect_length_growth", (60 + 70 + 80 + 90) / 4 - (10 + 20 + 30 + 40 + 50) / 5),
    ],
)
def test_each_measure_is_what_is_counted_by_hand(name: str, value: float) -> None:
    found, _ = measure_run(MEASURES[name], RUN, problem_weights(4, 10))
    assert found == pytest.approx(value)


def test_every_measure_has_a_value_worked_by_hand() -> None:
    (parametrized,) = test_each_measure_is_what_is_counted_by_hand.pytestmark  # type: ignore[attr-defined]
    assert {name for name, _ in parametrized.args[1]} == set(MEASURES)


@pytest.mark.parametrize("name", list(MEASURES))
def test_drawing_every_problem_once_gives_the_measure_itself(name: str) -> None:
    value, resampled_B = measure_run(MEASURES[name], RUN, numpy.ones((3, 4)))
    assert resampled_B == pytest.approx([value] * 3)


def test_drawing_a_problem_twice_counts_it_twice() -> None:
    _, (twice_the_first,) = measure_run(MEASURES["incorrect_length"], RUN, numpy.array([[0.0, 2.0, 1.0, 1.0]]))
    assert twice_the_first == pytest.approx((2 * 60 + 70 + 80 + 90) / 5)
    _, (only_hard,) = measure_run(MEASURES["weakest_cohort"], RUN, numpy.array([[0.0, 0.0, 2.0, 2.0]]))
    assert only_hard == pytest.approx(0.25)  # a cohort that is not drawn is not the weakest


def test_the_length_of_what_never_happened_is_not_a_number() -> None:
    perfect = run_of("grpo", 0, [[1, 1], [1, 1]])
    value, resampled_B = measure_run(MEASURES["incorrect_length"], perfect, problem_weights(2, 4))
    assert math.isnan(value)
    assert all(math.isnan(one) for one in resampled_B)


def test_costs_are_counted_to_the_first_evaluation_at_the_target() -> None:
    other = run_of("grpo", 1, [[0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1]])
    assert step_of_target(RUN, 0.75) == 10
    assert step_of_target(other, 0.75) is None
    (cost,) = costs({"grpo": [RUN, other]}, 0.75)
    assert (cost.reached, cost.seeds) == (1, 2)
    assert cost.tokens == 2000
    assert cost.tokens_to_target == 1000
    assert cost.seconds_to_target == 5
    (without,) = costs({"grpo": [RUN]}, None)
    assert without.reached == 0
    assert math.isnan(without.tokens_to_target)
