from dataclasses import dataclass, replace

import pytest

from rlvr.algorithms.objective import Objective
from rlvr.config import SelectionConfig
from rlvr.rollouts.history import Average, History, Record
from rlvr.rollouts.selection import Pool, choose
from rlvr.types import Group
from tasks import Problem
from tests.rlvr.rollouts.test_groups import group

MIXED = Objective(keep="mixed", refill_rounds=2)


@dataclass
class Cycle:
    """A finite dataset: problem n is row n modulo its size, and a row's cohort is its parity."""

    size: int = 8

    def problem(self, index: int) -> Problem:
        row = index % self.size
        return Problem(f"row-{row}", ({"role": "user", "content": "?"},), "1", cohort="odd" if row % 2 else "even")

    def held_out(self, count: int) -> list[Problem]:
        return []


def chosen(selection: SelectionConfig, history: History, cursor: int = 0, count: int = 3, step: int = 10):
    problems, after = choose(Cycle(), cursor, count, selection, history, step)
    return list(problems), after


def test_without_a_selection_problems_come_in_the_order_of_their_numbers() -> None:
    assert chosen(SelectionConfig(), History(), cursor=6) == ([6, 7, 8], 9)


def test_problems_solved_k_times_in_a_row_rest_and_are_asked_again_after_a_while() -> None:
    selection = SelectionConfig(skip_solved=2, revisit_after=5)
    records = {"row-1": Record(1.0, 2, 6), "row-2": Record(1.0, 1, 9), "row-3": Record(1.0, 3, 4)}
    history = History(problems=records)
    assert chosen(selection, history, step=10) == ([0, 2, 3], 4)  # row 1 rests; row 3 did for its five steps
    assert chosen(selection, history, step=12) == ([0, 1, 2], 3)
    assert chosen(SelectionConfig(), history) == ([0, 1, 2], 3)


def test_where_all_problems_rest_they_are_asked_after_all() -> None:
    history = History(problems={f"row-{row}": Record(1.0, 9, 10) for row in range(8)})
    numbers, after = chosen(SelectionConfig(skip_solved=1), history)
    assert numbers == [0, 1, 2]
    assert after == 30  # looked ten times as far as was wanted, and no further


def test_a_curriculum_asks_what_is_nearest_to_the_target_and_takes_the_unseen_for_their_cohorts_average() -> None:
    selection = SelectionConfig(curriculum="pass_rate", target_pass_rate=0.5, oversample=2, revisit_after=5)
    history = History(
        reward=Average(-0.6, 3),
        passed=Average(0.6, 3),
        cohorts_passed={"even": Average(0.9, 3), "odd": Average(0.3, 3)},
        problems={"row-0": Record(0.5, 0, 9), "row-3": Record(0.0, 0, 9), "row-5": Record(0.5, 0, 2)},
    )
    # rows 0 to 5: measured 0.5, odd 0.3, even 0.9, measured 0.0, even 0.9, measured too long ago: odd 0.3
    assert chosen(selection, history, step=10) == ([0, 1, 5], 6)


def aged(version: int, *rewards: float) -> Group:
    made = group(*rewards)
    return replace(made, rollouts=tuple(replace(rollout, policy_version=version) for rollout in made.rollouts))


def test_a_pool_asks_for_what_the_share_kept_so_far_lets_expect() -> None:
    assert Pool(8, MIXED, version=0).wanted() == 8
    half = History(kept=Average(0.5, 1))
    assert Pool(8, MIXED, version=0, history=half, kept=(group(0, 1),) * 6).wanted() == 4
    pool = Pool(8, MIXED, version=0, history=History(kept=Average(0.1, 1)))
    pool = pool.with_fresh([group(0, 1)] * 4 + [group(1, 1)] * 4)
    assert pool.wanted() == 8  # four are missing, and every other one is kept
    pool = pool.with_fresh([group(0, 1)] * 3 + [group(0, 0)])
    assert pool.wanted() == 2  # one is missing, seven of twelve were kept
    pool = pool.with_fresh([group(1, 1)] * 2)
    assert pool.wanted() == 0  # no round is left
    assert len(pool.batch) == 7
    assert "7 of 8 groups were found in 3 rounds of sampling (50% of 14 sampled groups were kept)" in pool.shortfall()
    assert "43% of groups are all right" in pool.shortfall()


def test_a_round_takes_no_fewer_than_are_missing_and_no_more_than_a_batch() -> None:
    pool = Pool(4, MIXED, version=0).with_fresh([group(1, 1)] * 4)
    assert pool.wanted() == 4  # nothing was kept: no share to expect anything from
    assert Pool(4, MIXED, version=0, max_staleness=3).with_waiting([aged(0, 0, 1)] * 3).wanted() == 1


def test_a_surplus_waits_where_it_may_and_is_thrown_away_where_not() -> None:
    made = [group(0, 1), group(1, 0), group(0.2, 0.4)]
    patient = Pool(2, MIXED, version=0, max_staleness=1).with_fresh(made)
    assert (list(patient.batch), list(patient.pending), patient.left_out) == (made[:2], made[2:], ())
    hasty = Pool(2, MIXED, version=0).with_fresh(made)
    assert (list(hasty.batch), hasty.pending, list(hasty.left_out)) == (made[:2], (), made[2:])


def test_what_waited_comes_first_unless_its_weights_are_too_old() -> None:
    old, young = aged(3, 0, 1), aged(5, 0, 1)
    pool = (
        Pool(2, MIXED, version=7, max_staleness=2).with_waiting([old, young]).with_fresh([aged(7, 0, 1), aged(7, 1, 1)])
    )
    assert [member.policy_version for member in pool.batch] == [5, 7]
    assert list(pool.expired) == [old]
    figures = pool.describe(pool.batch)
    assert figures["groups/staleness_mean"] == 1.0
    assert figures["groups/staleness_max"] == 2
    assert figures["groups/sampled"] == 2
    assert figures["groups/kept"] == 1
    assert figures["groups/dropped"] == 2  # one without spread, one too old
    assert figures["groups/expired"] == 1
    assert figures["groups/fullness"] == 1.0


@pytest.mark.parametrize("keep", ["all", "mixed"])
def test_a_group_that_nothing_is_trained_on_takes_no_place(keep: str) -> None:
    pool = Pool(4, Objective(keep=keep, overlong="mask"), version=0)
    assert not pool.keeps(group(0.0, 1.0, finish="length"))
    assert not pool.keeps(group(None, None))
    assert pool.keeps(group(0.0, 1.0))
