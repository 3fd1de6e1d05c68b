"""Completions for the scripted engine, and verifiers, that tests name by `module:name`."""

import random
import re
import zlib
from collections.abc import Sequence
from fractions import Fraction

import numpy

from tasks.one_liners import PHRASES, write_out
from verifiers import FunctionVerifier, Verdict
from verifiers.verdict import Pair


def half_right(prompt: str, seed: int, number: int) -> str:
    """Some answers of some completions; which, depends on the seed."""
    return f"#### {random.Random(f'{seed}/{number}').randrange(4)}"


def tagged_sums(prompt: str, seed: int, number: int) -> str:
    """The sum of the prompt's numbers or one more, with tags or without: right, well formed, both, neither."""
    draw = random.Random(f"{seed}/{number}")
    total = sum(map(int, re.findall(r"\d+", prompt))) + draw.randrange(2)
    return f"<think>a sum</think><answer>{total}</answer>" if draw.randrange(2) else f"#### {total}"


def always_five(prompt: str, seed: int, number: int) -> str:
    return "#### 5"


def always_four(prompt: str, seed: int, number: int) -> str:
    return "#### 4"


def rambles(prompt: str, seed: int, number: int) -> str:
    return "Let me see. I do not know yet. " * 40


def brackets_or_not(prompt: str, seed: int, number: int) -> str:
    """A function as the task `one_liners` asks for it; every second one forgets all brackets."""
    steps = []
    for words in re.findall(r"f\(x\): (.*)\.", prompt)[-1].split(", then "):
        name = next(name for name, text in PHRASES.items() if re.fullmatch(text.format(n=r"\d+"), words))
        steps.append((name, int((re.findall(r"\d+", words) or ["0"])[0])))
    expression = write_out(steps, range(len(steps)) if number % 2 else ())
    return f"```python\ndef f(x): return {expression}\n```"


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


class AtOnce(FunctionVerifier):
    """A verifier that takes no workers: for a test whose runs are processes enough."""

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        return [self(completion, answer) for completion, answer, *_ in pairs]


coin_at_once = AtOnce(coin)
always_fails_at_once = AtOnce(always_fails)


def float32_penalty(completion: str, answer: str, **context: object) -> object:
    return numpy.float32(0.5 if even(completion) else -0.25)


def int64_sign(completion: str, answer: str, **context: object) -> object:
    return numpy.int64(1 if even(completion) else -1)


def numpy_bool(completion: str, answer: str, **context: object) -> object:
    return numpy.bool_(even(completion))


def plus_or_minus_1(completion: str, answer: str, **context: object) -> object:
    return 1 if even(completion) else -1


def up_to_10(completion: str, answer: str, **context: object) -> object:
    """Twice the last digit, at most 10, of which 10 solves."""
    return min(10, 2 * int(completion[-1]))


def unbounded_penalty(completion: str, answer: str, **context: object) -> object:
    """A thousand times minus the last digit."""
    return -1000.0 * int(completion[-1])


def fraction_score(completion: str, answer: str, **context: object) -> object:
    return Fraction(2 * int(completion[-1]) - 9, 2)


def even(completion: str) -> bool:
    return completion[-1:] in "02468"


def wants_the_column(completion: str, answer: object, wanted: int, level: int) -> Verdict:
    """Right if the completion says the number in the column `wanted`, modulo 4."""
    right = completion == f"#### {wanted % 4}"
    return Verdict(float(right), "correct" if right else "wrong", detail=f"level {level}")
