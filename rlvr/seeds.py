"""Randomness as a function: every number drawn depends on the run's seed, the name of a stream and a position in it.

There is no generator state to save: a run that resumes at step 70 draws the same numbers at step 70 as an uninterrupted
run. The global generators, which dropout or plugins may use, are seeded again at each step.
"""

import hashlib
import random

import numpy
import torch


def derive(seed: int, *stream: str | int) -> int:
    """A 48-bit number: SHA-256 of the seed and of the stream's name and position."""
    digest = hashlib.sha256(repr((seed, *stream)).encode()).digest()
    return int.from_bytes(digest[:6], "big")


def set_global_generators(seed: int, *stream: str | int) -> None:
    """Seed Python's, NumPy's and torch's generators (on every device) for one position of a stream."""
    number = derive(seed, "global", *stream)
    random.seed(number)
    numpy.random.seed(number % 2**32)
    torch.manual_seed(number)
