"""Randomness as a function of seed, stream and position."""

import random

import numpy
import torch

from rlvr.seeds import derive, set_global_generators


def drawn() -> tuple[float, float, float]:
    return random.random(), float(numpy.random.rand()), float(torch.rand(()))


def test_a_derived_number_is_the_beginning_of_a_digest_on_every_machine() -> None:
    # echo -n "(0, 'sample', 3)" | sha256sum | cut -c -12
    assert derive(0, "sample", 3) == 0x4221ACD0477C


def test_seeds_streams_and_positions_are_told_apart() -> None:
    numbers = [
        derive(seed, *stream)
        for seed in (0, 1)
        for stream in [("sample", 1), ("sample", 2), ("evaluate", 1), ("sample", "1"), ("sample", 1, 1), ()]
    ]
    assert len(set(numbers)) == len(numbers) == 12
    assert all(0 <= number < 2**48 for number in numbers)


def test_all_generators_draw_the_same_at_the_same_position_and_something_else_at_another() -> None:
    set_global_generators(5, "step", 7)
    first = drawn()
    set_global_generators(5, "step", 8)
    second = drawn()
    set_global_generators(5, "step", 7)
    assert drawn() == first
    assert all(a != b for a, b in zip(first, second, strict=True))
