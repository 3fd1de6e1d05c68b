"""Randomness as a function: every number drawn depends on the run's seed, the name of a stream and a position in it.

There is no generator whose state would have to be saved: a run that goes on from step 70 draws at step 70 what an
uninterrupted one draws there. For code that uses the global generators (dropout, a plugin) they are set anew each step.
"""

import hashlib
import random

import numpy
import torch


def derive(seed: int, *stream: str | int) -> int:
    """A number of 48 bits, by SHA-256 of the seed and the stream's name and position."""
    digest = hashlib.sha256(repr((seed, *stream)).encode()).digest()
    return int.from_bytes(digest[:6], "big")


def set_global_generators(seed: int, *stream: str | int) -> None:
    """Seed Python's, NumPy's and torch's generators (on every device) for one position of a stream."""
    number = derive(seed, "global", *stream)
    random.seed(number)
    numpy.random.seed(number % 2**32)
    torch.manual_seed(number)
