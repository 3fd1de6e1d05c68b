"""Players without a model: a script writes, a function grades at once, and nothing depends on the machine."""

import random
from collections.abc import Callable, Sequence

from rlvr.engines.base import Generator
from rlvr.engines.scripted import Script, ScriptedEngine
from rlvr.models.chat import Chat
from rlvr.rollouts.play import Player
from rlvr.types import Rollout
from tasks import Environment, Problem, SingleTurn
from tasks.problem import question_problem
from verifiers import Verdict


def digit(prompt: str, seed: int, number: int) -> str:
    """One of ten digits; which, depends on the seed."""
    return str(random.Random(f"{seed}/{number}").randrange(10))


def even_is_right(problem: Problem, rollouts: Sequence[Rollout]) -> list[Verdict]:
    """Correct where the last digit is even."""
    right = [(rollout.text[-1:] in "02468", rollout.text) for rollout in rollouts]
    return [Verdict(float(is_right), "correct" if is_right else "wrong", extracted=text) for is_right, text in right]


def fails(problem: Problem, rollouts: Sequence[Rollout]) -> list[Verdict]:
    return [Verdict(None, "error", detail="the judge is not at home") for _ in rollouts]


class Numbers:
    """A task without end: problem n asks for n."""

    def problem(self, index: int) -> Problem:
        return question_problem(f"number-{index}", f"Say {index}.", str(index))

    def held_out(self, count: int) -> list[Problem]:
        return [question_problem(f"held-out-{index}", f"Say {index}.", str(index)) for index in range(count)]


def player_of(
    chat: Chat,
    script: Script = digit,
    engine: Generator | None = None,
    environment: Callable[[], Environment] = SingleTurn,
) -> Player:
    return Player(ScriptedEngine(script, chat) if engine is None else engine, chat, environment)
