"""Several engines behind one: the same completions as from one engine, whichever of them writes what."""

import threading
from collections.abc import Iterator

import pytest

from rlvr.engines.base import Request, WeightUpdate, complete
from rlvr.engines.fleet import Fleet
from rlvr.engines.scripted import ScriptedEngine
from rlvr.errors import WeightSyncError
from rlvr.models.chat import Chat
from rlvr.types import Completion, Sampling
from tests.rlvr.players import Numbers, digit, even_is_right, player_of


class Fails(ScriptedEngine):
    """Cannot write, and takes over no weights."""

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        raise RuntimeError("the GPU fell off the bus")

    def load(self, update: WeightUpdate) -> None:
        raise WeightSyncError("a tensor is missing")


class Waits(ScriptedEngine):
    """Writes once its gate is open."""

    def __init__(self, chat: Chat) -> None:
        super().__init__(digit, chat)
        self.gate = threading.Event()

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        assert self.gate.wait(10)
        return super().ready(timeout_seconds)


@pytest.fixture
def fleets() -> Iterator[list[Fleet]]:
    """Fleets that a test opens, closed at its end."""
    opened: list[Fleet] = []
    yield opened
    for fleet in opened:
        fleet.close()


def requests(chat: Chat, count: int) -> list[Request]:
    prompts = [chat.completion_ids(str(number)) for number in range(count)]
    return [Request(number, prompt, 2, Sampling(20), seed=number) for number, prompt in enumerate(prompts)]


def test_two_engines_of_different_speed_give_the_groups_of_one_engine_in_the_same_order(
    chat: Chat, fleets: list[Fleet]
) -> None:
    written: list[set[str]] = [set(), set()]

    def noting(member: int):
        def script(prompt: str, seed: int, number: int) -> str:
            written[member].add(prompt)
            return digit(prompt, seed, number)

        return script

    fleet = Fleet([ScriptedEngine(noting(0), chat), ScriptedEngine(noting(1), chat, seconds=0.01)])
    fleets.append(fleet)
    task, seeds = Numbers(), range(100, 112)
    problems = [task.problem(number) for number in range(12)]
    alone = player_of(chat).collect(problems, 3, Sampling(20), seeds, even_is_right)
    together = player_of(chat, engine=fleet).collect(problems, 3, Sampling(20), seeds, even_is_right)
    assert all(written)  # both have written
    for got, expected in zip(together, alone, strict=True):
        assert (got.problem, got.draw) == (expected.problem, expected.draw)
        for theirs, ours in zip(got.rollouts, expected.rollouts, strict=True):
            assert vars(theirs) == vars(ours)
    assert len({rollout.text for group in alone for rollout in group.rollouts}) > 2


def test_a_request_goes_to_the_least_busy_engine(chat: Chat, fleets: list[Fleet]) -> None:
    fleets.append(Fleet([ScriptedEngine(digit, chat, seconds=0.05) for _ in range(3)]))
    for request in requests(chat, 6):
        fleets[0].submit(request)
    assert [member.numbers for member in fleets[0].members] == [{0, 3}, {1, 4}, {2, 5}]
    assert fleets[0].open() == 6


def test_waiting_ends_when_the_time_is_up_and_at_once_where_nothing_is_open(chat: Chat, fleets: list[Fleet]) -> None:
    engine = Waits(chat)
    fleets.append(Fleet([engine]))
    assert fleets[0].ready() == []
    fleets[0].submit(requests(chat, 1)[0])
    assert fleets[0].ready(timeout_seconds=0.01) == []
    assert fleets[0].open() == 1
    engine.gate.set()
    assert [number for number, _ in fleets[0].ready()] == [0]


def test_an_error_in_one_engine_is_raised_by_the_next_ready_and_the_others_go_on(
    chat: Chat, fleets: list[Fleet]
) -> None:
    other = Waits(chat)
    fleets.append(Fleet([Fails(digit, chat), other]))
    for request in requests(chat, 2):
        fleets[0].submit(request)
    with pytest.raises(RuntimeError, match="fell off the bus"):
        fleets[0].ready()
    assert fleets[0].open() == 1
    other.gate.set()
    assert [number for number, _ in fleets[0].ready()] == [1]


def test_what_is_forgotten_never_comes_back(chat: Chat, fleets: list[Fleet]) -> None:
    fleets.append(Fleet([ScriptedEngine(digit, chat, seconds=0.02), ScriptedEngine(digit, chat)]))
    for request in requests(chat, 8):
        fleets[0].submit(request)
    fleets[0].abort()
    assert (fleets[0].open(), fleets[0].ready()) == (0, [])
    completions = complete(fleets[0], [Request(99, chat.completion_ids("?"), 1, Sampling(20), seed=1)])
    assert chat.text(completions[0][0].ids) == digit("?", 1, 0)


def test_weights_reach_every_engine_before_the_next_request_does(chat: Chat, fleets: list[Fleet]) -> None:
    fleets.append(Fleet([ScriptedEngine(digit, chat) for _ in range(3)]))
    assert fleets[0].version == 0
    fleets[0].load(WeightUpdate(7, frozenset(), ()))
    assert [member.generator.version for member in fleets[0].members] == [7, 7, 7]
    assert fleets[0].version == 7
    completions = complete(fleets[0], requests(chat, 6))
    assert {completion.versions for group in completions for completion in group} == {(7,)}


def test_a_fleet_is_as_old_as_its_oldest_member_and_shares_weights_where_all_do(
    chat: Chat, fleets: list[Fleet]
) -> None:
    engines = [ScriptedEngine(digit, chat), ScriptedEngine(digit, chat)]
    fleets.append(Fleet(engines))
    engines[0].version = 3
    assert fleets[0].version == 0
    assert fleets[0].shares_weights
    engines[1].shares_weights = False
    assert not fleets[0].shares_weights


def test_weights_that_one_engine_does_not_take_over_are_an_error(chat: Chat, fleets: list[Fleet]) -> None:
    fleets.append(Fleet([ScriptedEngine(digit, chat), Fails(digit, chat)]))
    with pytest.raises(WeightSyncError, match="a tensor is missing"):
        fleets[0].load(WeightUpdate(1, frozenset(), ()))
    assert fleets[0].version == 0


def test_closing_ends_the_threads(chat: Chat) -> None:
    before = threading.active_count()
    fleet = Fleet([ScriptedEngine(digit, chat), ScriptedEngine(digit, chat, seconds=0.02)])
    assert threading.active_count() == before + 2
    for request in requests(chat, 4):
        fleet.submit(request)
    fleet.close()
    assert threading.active_count() == before
    assert all(member.generator.open() == 0 for member in fleet.members)
