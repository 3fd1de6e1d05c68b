"""Where groups come from: the fresh source, and the one that runs ahead, with weights that change at each step."""

import json
from collections.abc import Iterator

import pytest

from rlvr.algorithms.objective import Objective
from rlvr.config import SelectionConfig
from rlvr.engines.base import WeightUpdate
from rlvr.errors import DataError, WeightSyncError
from rlvr.models.chat import Chat
from rlvr.rollouts.selection import Pool
from rlvr.rollouts.source import AheadSource, Draws, FreshSource, GroupSource
from rlvr.types import Group, Sampling
from tasks import Problem
from tests.rlvr.players import Numbers, even_is_right, player_of

ALL, MIXED = Objective(keep="all"), Objective(keep="mixed", refill_rounds=3)
SIZE = 3


def draws_of(chat: Chat, group_size: int = 2) -> Draws:
    return Draws(Numbers(), SelectionConfig(), player_of(chat), even_is_right, group_size, Sampling(40), seed=5)


def pool_of(step: int, max_staleness: int = 0, objective: Objective = ALL) -> Pool:
    """The pool of a step when each step before it took one optimizer step."""
    return Pool(SIZE, objective, version=step - 1, step=step, max_staleness=max_staleness)


def steps(source: GroupSource, draws: Draws, first: int, last: int, max_staleness: int) -> Iterator[tuple[Group, ...]]:
    """The groups of some steps, with new weights after each."""
    for step in range(first, last + 1):
        yield source.fill(pool_of(step, max_staleness)).batch
        source.finish_open()
        draws.player.generator.load(WeightUpdate(step, frozenset(), ()))


def numbers_of(groups: tuple[Group, ...]) -> list[int]:
    return [group.draw for group in groups]


def test_fresh_groups_are_the_next_problems_and_of_the_present_weights(chat: Chat) -> None:
    draws = draws_of(chat)
    batches = list(steps(FreshSource(draws), draws, 1, 3, max_staleness=0))
    assert [numbers_of(batch) for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert [{group.policy_version for group in batch} for batch in batches] == [{0}, {1}, {2}]
    assert batches[1][0].problem == Numbers().problem(3)


def test_a_fresh_source_samples_in_rounds_until_the_batch_is_full(chat: Chat) -> None:
    draws = draws_of(chat)
    pool = FreshSource(draws).fill(pool_of(1, objective=MIXED))
    assert all(set(group.rewards) == {0.0, 1.0} for group in pool.batch)
    assert len(pool.batch) == SIZE
    assert pool.rounds > 1
    assert draws.cursor == len(pool.fresh) > SIZE


def test_a_fresh_source_goes_on_from_its_state(chat: Chat) -> None:
    draws = draws_of(chat)
    whole = list(steps(FreshSource(draws), draws, 1, 3, max_staleness=0))
    half, rest = draws_of(chat), draws_of(chat)
    first = FreshSource(half)
    assert list(steps(first, half, 1, 1, max_staleness=0)) == whole[:1]
    second = FreshSource(rest)
    second.restore(json.loads(json.dumps(first.state())))
    rest.player.generator.load(WeightUpdate(1, frozenset(), ()))
    assert list(steps(second, rest, 2, 3, max_staleness=0)) == whole[1:]


def test_fresh_groups_of_old_weights_are_refused(chat: Chat) -> None:
    with pytest.raises(WeightSyncError, match="weights of version 0, expected 1"):
        FreshSource(draws_of(chat)).fill(pool_of(2))


def test_a_row_that_is_no_problem_is_an_error_of_the_data(chat: Chat) -> None:
    class Broken(Numbers):
        def problem(self, index: int) -> Problem:
            raise ValueError("row 0: the answer is empty")

    draws = draws_of(chat)
    draws.task = Broken()
    with pytest.raises(DataError, match="row 0: the answer is empty"):
        FreshSource(draws).fill(pool_of(1))


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_a_step_admits_the_problems_of_so_many_steps_after_it_and_of_none_after_the_last(
    chat: Chat, ahead: int
) -> None:
    draws = draws_of(chat)
    source = AheadSource(draws, ahead, last_step=4)
    cursors = []
    for batch in steps(source, draws, 1, 4, max_staleness=ahead):
        cursors.append(draws.cursor)
        assert numbers_of(batch) == [SIZE * (len(cursors) - 1) + place for place in range(SIZE)]
    assert cursors == [SIZE * min(step + ahead, 4) for step in range(1, 5)]


def test_a_groups_age_follows_from_its_number_alone(chat: Chat) -> None:
    draws = draws_of(chat)
    batches = list(steps(AheadSource(draws, 2, last_step=5), draws, 1, 5, max_staleness=2))
    # The first step asks for three steps at once, with version 0; each later one for the step two ahead.
    assert [{group.policy_version for group in batch} for batch in batches] == [{0}, {0}, {0}, {1}, {2}]


def test_no_step_ahead_gives_the_groups_of_the_fresh_source(chat: Chat) -> None:
    fresh, ahead = draws_of(chat), draws_of(chat)
    expected = list(steps(FreshSource(fresh), fresh, 1, 4, max_staleness=0))
    assert list(steps(AheadSource(ahead, 0, last_step=4), ahead, 1, 4, max_staleness=0)) == expected


@pytest.mark.parametrize("ahead", [1, 2])
@pytest.mark.parametrize("until", [1, 3])
def test_a_source_that_goes_on_from_its_state_gives_the_groups_of_an_uninterrupted_one(
    chat: Chat, ahead: int, until: int
) -> None:
    draws = draws_of(chat)
    whole = list(steps(AheadSource(draws, ahead, last_step=5), draws, 1, 5, max_staleness=ahead))
    half, rest = draws_of(chat), draws_of(chat)
    first = AheadSource(half, ahead, last_step=5)
    assert list(steps(first, half, 1, until, max_staleness=ahead)) == whole[:until]
    second = AheadSource(rest, ahead, last_step=5)
    second.restore(json.loads(json.dumps(first.state())))
    rest.player.generator.load(WeightUpdate(until, frozenset(), ()))
    assert list(steps(second, rest, until + 1, 5, max_staleness=ahead)) == whole[until:]


def test_taking_the_state_in_the_middle_changes_nothing(chat: Chat) -> None:
    draws, watched = draws_of(chat), draws_of(chat)
    whole = list(steps(AheadSource(draws, 1, last_step=4), draws, 1, 4, max_staleness=1))
    source = AheadSource(watched, 1, last_step=4)
    for batch, expected in zip(steps(source, watched, 1, 4, max_staleness=1), whole, strict=True):
        assert batch == expected
        source.state()


def test_settling_leaves_no_request_open_before_weights_are_exchanged(chat: Chat) -> None:
    draws = draws_of(chat)
    source = AheadSource(draws, 1, last_step=4)
    source.fill(pool_of(1, max_staleness=1))
    assert draws.player.generator.open() == SIZE
    source.finish_open()
    assert draws.player.generator.open() == 0


def test_groups_that_are_too_old_for_the_step_are_refused(chat: Chat) -> None:
    draws = draws_of(chat)
    source = AheadSource(draws, 1, last_step=4)
    source.fill(pool_of(1, max_staleness=1))
    draws.player.generator.load(WeightUpdate(1, frozenset(), ()))
    source.fill(pool_of(2, max_staleness=1))  # written by version 0: one old
    source.finish_open()  # and so version 1 wrote those of step 3
    draws.player.generator.load(WeightUpdate(2, frozenset(), ()))
    with pytest.raises(WeightSyncError, match="weights of version 1, expected 3 to 4"):
        source.fill(Pool(SIZE, ALL, version=4, step=3, max_staleness=1))
