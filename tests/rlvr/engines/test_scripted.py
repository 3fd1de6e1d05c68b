"""The engine without a model keeps the promises of an engine with one."""

import time

import pytest

from rlvr.engines.base import Request, WeightUpdate, complete
from rlvr.engines.scripted import ScriptedEngine, load_script
from rlvr.errors import ConfigError
from rlvr.models.chat import Chat
from rlvr.types import Sampling
from tests.rlvr.scripts import always_five


def request(chat: Chat, number: int = 0, n: int = 2, max_tokens: int = 20) -> Request:
    return Request(number, chat.prompt_ids(({"role": "user", "content": "2 + 3?"},)), n, Sampling(max_tokens), seed=9)


def test_a_script_is_told_the_prompt_the_seed_and_the_completions_number(chat: Chat) -> None:
    engine = ScriptedEngine(lambda prompt, seed, number: f"{prompt}{seed}/{number}", chat)
    ((first, second),) = complete(engine, [request(chat)])
    assert [chat.text(first.ids), chat.text(second.ids)] == ["2 + 3?9/0", "2 + 3?9/1"]
    assert list(first.ids) == chat.completion_ids("2 + 3?9/0")
    assert list(first.logprobs) == [0.0] * len(first.ids)
    assert first.finish == "stop"


def test_a_completion_that_is_too_long_is_cut_off(chat: Chat) -> None:
    ids = chat.completion_ids("#### 5")
    engine = ScriptedEngine(always_five, chat)
    ((whole,), (cut,)) = complete(
        engine,
        [
            request(chat, 0, n=1, max_tokens=len(ids)),
            request(chat, 1, n=1, max_tokens=len(ids) - 1),
        ],
    )
    assert (list(whole.ids), whole.finish) == (ids, "stop")
    assert (list(cut.ids), cut.finish) == (ids[:-1], "length")
    assert len(cut.logprobs) == len(ids) - 1


def test_completions_carry_the_version_of_the_weights_that_were_loaded_last(chat: Chat) -> None:
    engine = ScriptedEngine(always_five, chat)
    assert [completion.versions for completion in complete(engine, [request(chat)])[0]] == [(0,), (0,)]
    engine.load(WeightUpdate(4, frozenset(), ()))
    assert [completion.versions for completion in complete(engine, [request(chat)])[0]] == [(4,), (4,)]


def test_requests_are_open_until_they_come_back_or_are_forgotten(chat: Chat) -> None:
    engine = ScriptedEngine(always_five, chat)
    for number in (3, 1, 2):
        engine.submit(request(chat, number))
    assert engine.open() == 3
    assert [number for number, _ in engine.ready()] == [3]
    assert engine.open() == 2
    engine.abort()
    assert (engine.open(), engine.ready()) == (0, [])


def test_a_slow_engine_lets_each_request_wait(chat: Chat) -> None:
    engine = ScriptedEngine(always_five, chat, seconds=0.02)
    started = time.monotonic()
    complete(engine, [request(chat, 0), request(chat, 1)])
    assert time.monotonic() - started >= 0.04


def test_a_script_is_found_by_its_module_and_name() -> None:
    assert load_script("tests.rlvr.scripts:always_five")("?", 0, 0) == "#### 5"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (None, "engine.script: got None, expected module:function that writes a completion's text"),
        ("always_five", "engine.script: got 'always_five', expected module:function"),
        ("tests.rlvr.scripts:always_six", "engine.script: .*always_six"),
        ("tests.rlvr.no_such_module:f", "engine.script: .*no_such_module"),
    ],
)
def test_a_script_that_is_not_there_is_refused_by_name(path: str | None, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_script(path)
