"""Completions for the scripted engine, and verifiers, that tests name by `module:name`."""

import random
import zlib

from verifiers import Verdict


def half_right(prompt: str, seed: int, number: int) -> str:
    """Some answers of some completions; which, depends on the seed."""
    return f"#### {random.Random(f'{seed}/{number}').randrange(4)}"


def always_five(prompt: str, seed: int, number: int) -> str:
    return "#### 5"


def always_four(prompt: str, seed: int, number: int) -> str:
    return "#### 4"


def rambles(prompt: str, seed: int, number: int) -> str:
    return "Let me see. I do not know yet. " * 40


def coin(completion: str, answer: str, **context: object) -> Verdict:
    """A verifier that finds the last digit even or odd: rewards on any data."""
    right = completion[-1:] in "02468"
    return Verdict(float(right), "correct" if right else "wrong", extracted=completion[-1:])


def by_text(completion: str, answer: str, **context: object) -> Verdict:
    """Rewards about half of all texts, whatever they are."""
    right = zlib.crc32(completion.encode()) % 2
    return Verdict(float(right), "correct" if right else "wrong")


def wants_a_mark(completion: str, answer: str, **context: object) -> Verdict:
    return Verdict(0.0, "wrong" if "####" in completion else "no_answer")


def fails_on_threes(completion: str, answer: str, **context: object) -> Verdict:
    if completion.endswith("3"):
        raise RuntimeError("the judge is not at home")
    return coin(completion, answer)


def reads_the_context(completion: str, answer: str, *, prompt: tuple[dict[str, str], ...], problem_id: str) -> Verdict:
    """Cannot be called without what training tells a verifier."""
    return Verdict(1.0, "correct", detail=f"{problem_id} asks {prompt[-1]['content']}")


def without_context(completion: str, answer: str) -> float:
    return 1.0


def always_fails(completion: str, answer: str, **context: object) -> Verdict:
    raise RuntimeError("the judge is not at home")
