"""The interface between a trainer and an engine that samples completions.

Requests are submitted and come back when they are ready, in any order, so that one caller can use several engines.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from rlvr.types import Completion, Sampling


@dataclass(frozen=True)
class Request:
    """A prompt with `n` completions to sample.

    `number` is chosen by the caller and comes back with the completions; open requests have different numbers. The
    samples depend only on `seed` and the weights, never on other requests.
    """

    number: int
    prompt_ids: Sequence[int]
    n: int
    sampling: Sampling
    seed: int


@dataclass(frozen=True)
class WeightUpdate:
    """The policy's weights for an engine.

    `buckets` hold all weights by their Hugging Face `names`, with adapters merged in. They are made during iteration;
    each engine iterates once. `adapter` holds only the adapters, if there are any, for an engine that keeps the base
    weights.
    """

    version: int
    names: frozenset[str]
    buckets: Iterable[Mapping[str, Tensor]]
    adapter: Mapping[str, Tensor] | None = None


class Generator(Protocol):
    """Samples completions with the weights that it last loaded.

    `version` is the version of its weights. `shares_weights` is true if they are the learner's own tensors, not a copy.
    """

    version: int
    shares_weights: bool

    def submit(self, request: Request) -> None:
        """Accept a request without waiting."""
        ...

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        """The requests that were finished since the last call, each as its number and its `n` completions.

        While requests are open it waits for at least one, for up to `timeout_seconds` (`None`: without limit). An
        engine in this process computes here and may take longer. The list is empty if no request is open or the time
        is up. Each completion has its log-probabilities, its finish reason and the versions of its weights.
        """
        ...

    def open(self) -> int:
        """The number of submitted requests that `ready` has not returned yet."""
        ...

    def abort(self) -> None:
        """Drop all open requests."""
        ...

    def load(self, update: WeightUpdate) -> None:
        """Load the policy's weights. Raises `WeightSyncError` if a tensor is missing or unknown."""
        ...

    def close(self) -> None:
        """Release memory, threads and processes."""
        ...


def complete(generator: Generator, requests: Sequence[Request]) -> list[list[Completion]]:
    """Submit `requests` to a generator without open ones; wait for their completions and return them in order."""
    for request in requests:
        generator.submit(request)
    completions: dict[int, list[Completion]] = {}
    while generator.open():
        completions.update(generator.ready())
    return [completions[request.number] for request in requests]
