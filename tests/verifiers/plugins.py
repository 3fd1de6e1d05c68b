"""Verifiers that behave well and badly, for the tests of the pool and of the batch call."""

import asyncio
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy

from verifiers import BatchVerifier, Verdict
from verifiers.verdict import Pair


def same_length(completion: str, answer: str, **context: object) -> float:
    return 1.0 if len(completion) == len(answer) else 0.0


async def same_length_async(completion: str, answer: str, **context: object) -> bool:
    await asyncio.sleep(0)
    return len(completion) == len(answer)


def _many(completions: Sequence[str], answers: Sequence[str]) -> list[Verdict]:
    return [Verdict(float(a == b), "correct" if a == b else "wrong") for a, b in zip(completions, answers, strict=True)]


same_many = BatchVerifier(_many, chunk=2)


def misbehaves(completion: str, answer: str, **context: object) -> float:
    """Does to its process what the completion says."""
    if completion == "hang":
        time.sleep(60)
    if completion == "burn":
        len(str(7 ** (7**9)))
    if completion == "die":
        os._exit(3)
    if completion == "raise":
        raise RuntimeError("no")
    if completion == "junk":
        return "great"  # type: ignore[return-value]
    return 1.0


def process_id(payload: object) -> int:
    return os.getpid()


def hoard(payload: object) -> int:
    return len(bytearray(10**9))


def add(payload: tuple[float, float]) -> float:
    return payload[0] + payload[1]


def start_a_program_and_wait(payload: str) -> None:
    """Writes the program's process id to the file `payload`."""
    program = subprocess.Popen(["sleep", "60"])
    Path(payload).write_text(str(program.pid))
    program.wait()


def end(payload: int) -> None:
    """End this process: by the signal `payload`, or with the exit code 3 for 0."""
    if not payload:
        os._exit(3)
    os.kill(os.getpid(), payload)
    time.sleep(5)


def compute(seconds: float) -> None:
    """Use the processor for so long."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def sleep(payload: float) -> float:
    time.sleep(payload)
    return payload


def longer_than(completion: str, answer: str, *, characters: int = 3, unit: str = "", **context: object) -> Verdict:
    """A verifier with settings: those behind the answer that have a default."""
    long = len(completion) > characters
    return Verdict(float(long), "correct" if long else "wrong", detail=f"more than {characters} {unit}".strip())


async def longer_than_async(completion: str, answer: str, characters: int = 3, **context: object) -> bool:
    await asyncio.sleep(0)
    return len(completion) > characters


not_picklable = eval("lambda completion, answer, characters=3, **context: len(completion) > characters")


def _scaled(completions: Sequence[str], answers: Sequence[str], factor: float = 1.0) -> list[float]:
    return [factor * (completion == answer) for completion, answer in zip(completions, answers, strict=True)]


scaled_many = BatchVerifier(_scaled, chunk=2)


class Opens:
    """A verifier that reads a file when it is made, with a parameter of every kind."""

    def __init__(self, path: str, lines: list[int] = [1], rate: float | None = None) -> None:  # noqa: B006
        self.lines = [Path(path).read_text().splitlines()[line] for line in lines]
        self.rate = rate

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return Verdict(float(completion in self.lines), "correct")


class TakesAnything:
    def __init__(self, **settings: object) -> None:
        self.settings = settings

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return Verdict(float(completion in self.settings), "correct")


already_made = TakesAnything(a=1)


class Penalizes:
    """A verifier of one's own that returns bare numbers of numpy."""

    def __call__(self, completion: str, answer: str, **context: object) -> object:
        return numpy.float32(1 if completion == answer else -1)


class PenalizesAsync:
    async def __call__(self, completion: str, answer: str, **context: object) -> object:
        return numpy.int64(1 if completion == answer else -1)


class ScoresAtOnce(Penalizes):
    """The same for a whole batch, in the calling process."""

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> object:
        return numpy.array([1 if completion == answer else -1 for completion, answer, *_ in pairs])
