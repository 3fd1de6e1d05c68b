"""A short run of the fuzzer that bench/fuzz_math.py runs for long."""

import time

import pytest

from bench.fuzz_math import fuzz, pump, seeds_from
from verifiers import MathVerifier


def test_mutated_answers_neither_crash_the_verifier_nor_take_its_time() -> None:
    statuses = fuzz(3_000, seed=1, seeds=seeds_from(None))
    assert sum(statuses.values()) >= 3_000
    assert statuses["correct"] > 50
    assert statuses["wrong"] > 1_000
    assert statuses["error"] == 0


def test_repeated_pieces_take_no_reader_longer_than_their_length_explains() -> None:
    seconds, text = pump(300, seed=2, longest=30_000)
    assert seconds < 0.5, text


@pytest.mark.parametrize(
    "completion",
    [
        "\\boxed{5} " + "and x ####'" * 200,
        "A: 1" + "\t" * 990 + "!",
        "#### " * 50_000,
        "1 " + "by " * 330 + "%",
    ],
)
def test_what_the_fuzzer_found_slow_stays_quick(completion: str) -> None:
    started = time.thread_time()
    MathVerifier()(completion, "5")
    assert time.thread_time() - started < 0.5
