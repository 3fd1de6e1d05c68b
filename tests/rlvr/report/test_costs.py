"""What a variant costs, counted on runs of known numbers."""

import math
from dataclasses import replace

import pytest

from rlvr.report.costs import costs, step_of_target
from tests.rlvr.report.runs import run_of

# Greedy accuracies 0, 1/2, 1 and 0, 0, 1/2 after 0, 10 and 20 steps, with 100 tokens and half a second each step.
FAST = run_of("grpo", 0, [[0, 0], [0, 1], [1, 1]])
SLOW = run_of("grpo", 1, [[0, 0], [0, 0], [1, 0]])


@pytest.mark.parametrize(
    ("target", "fast", "slow"), [(0.0, 0, 0), (0.5, 10, 20), (0.51, 20, None), (1.0, 20, None), (None, None, None)]
)
def test_a_target_is_reached_at_the_first_evaluation_that_shows_it(
    target: float | None, fast: int | None, slow: int | None
) -> None:
    assert (step_of_target(FAST, target), step_of_target(SLOW, target)) == (fast, slow)


def test_costs_are_means_over_seeds_and_those_to_the_target_over_the_seeds_that_got_there() -> None:
    (cost,) = costs({"grpo": [FAST, SLOW]}, 0.5)
    assert (cost.variant, cost.seeds, cost.reached) == ("grpo", 2, 2)
    assert (cost.tokens, cost.seconds) == (2000, 10)
    assert (cost.steps_to_target, cost.tokens_to_target, cost.seconds_to_target) == (15, 1500, 7.5)
    (higher,) = costs({"grpo": [FAST, SLOW]}, 1.0)
    assert (higher.reached, higher.steps_to_target, higher.tokens_to_target) == (1, 20, 2000)


def test_what_is_not_known_is_not_a_number() -> None:
    (cost,) = costs({"grpo": [SLOW]}, 1.0)
    assert cost.reached == 0
    assert all(math.isnan(value) for value in (cost.steps_to_target, cost.tokens_to_target, cost.seconds_to_target))
    (unknown,) = costs({"grpo": [replace(SLOW, peak_memory_bytes=None)]}, None)
    assert math.isnan(unknown.peak_memory_bytes)


def test_the_most_memory_is_that_of_the_greediest_seed_and_variants_keep_their_order() -> None:
    found = costs({"b": [FAST, replace(SLOW, peak_memory_bytes=3 * 10**9)], "a": [FAST]}, None)
    assert [(cost.variant, cost.peak_memory_bytes) for cost in found] == [("b", 3e9), ("a", 1e9)]
