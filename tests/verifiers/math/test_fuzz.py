"""A short run of the fuzzer that bench/fuzz_math.py runs for long."""

from bench.fuzz_math import fuzz, seeds_from


def test_mutated_answers_neither_crash_the_verifier_nor_take_its_time() -> None:
    statuses = fuzz(3_000, seed=1, seeds=seeds_from(None))
    assert sum(statuses.values()) >= 3_000
    assert statuses["correct"] > 50
    assert statuses["wrong"] > 1_000
    assert statuses["error"] == 0
