"""Waiting for all of some requests, whatever the order in which an engine finishes them."""

from rlvr.engines.base import Request, complete
from rlvr.engines.scripted import ScriptedEngine
from rlvr.models.chat import Chat
from rlvr.types import Completion, Sampling


class LastFirst(ScriptedEngine):
    """Finishes all open requests at once, the last one first, after it was asked twice."""

    asked = 0

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        self.asked += 1
        if self.asked % 2:
            return []
        return [done for _ in range(self.open()) for done in super(LastFirst, self).ready()][::-1]


def requests(chat: Chat, numbers: list[int]) -> list[Request]:
    return [
        Request(number, chat.completion_ids(str(number)), n=2, sampling=Sampling(20), seed=number) for number in numbers
    ]


def echo(prompt: str, seed: int, number: int) -> str:
    return f"{prompt} {seed} {number}"


def test_completions_come_in_the_order_of_the_requests_and_not_in_that_of_their_ends(chat: Chat) -> None:
    engine = LastFirst(echo, chat)
    completions = complete(engine, requests(chat, [7, -3, 5]))
    texts = [[chat.text(completion.ids) for completion in group] for group in completions]
    assert texts == [["7 7 0", "7 7 1"], ["-3 -3 0", "-3 -3 1"], ["5 5 0", "5 5 1"]]
    assert engine.open() == 0


def test_nothing_asked_is_nothing_waited_for(chat: Chat) -> None:
    engine = LastFirst(echo, chat)
    assert complete(engine, []) == []
    assert engine.asked == 0
