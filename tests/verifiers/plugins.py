"""Verifiers that behave well and badly, for the tests of the pool and of the batch call."""

import asyncio
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from verifiers import BatchVerifier, Verdict


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
