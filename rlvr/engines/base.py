"""The seam between the trainer and whatever writes completions.

Requests are submitted and come back when they are ready, in any order, so that one caller can feed several engines.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from rlvr.types import Completion, Sampling


@dataclass(frozen=True)
class Request:
    """A prompt to be continued `n` times.

    `number` is the caller's, and comes back with the completions; no two open requests have the same. What is drawn
    depends on `seed` and the weights alone, never on the requests beside it.
    """

    number: int
    prompt_ids: Sequence[int]
    n: int
    sampling: Sampling
    seed: int


@dataclass(frozen=True)
class WeightUpdate:
    """The policy's weights on their way to an engine.

    `buckets` hold all weights by their Hugging Face `names`, adapters merged in; they are made while they are walked,
    and can be walked once for each engine. `adapter` holds the adapters alone, where there are some, for an engine that
    keeps the base weights.
    """

    version: int
    names: frozenset[str]
    buckets: Iterable[Mapping[str, Tensor]]
    adapter: Mapping[str, Tensor] | None = None


class Generator(Protocol):
    """Writes completions, with the weights that it was last given.

    `version` is that of its weights. `shares_weights` says that they are the learner's own tensors, not a copy.
    """

    version: int
    shares_weights: bool

    def submit(self, request: Request) -> None:
        """Take a request, without waiting for anything."""
        ...

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        """The requests that were finished since the last call, each as its number and its `n` completions.

        Waits for one at least while there are open ones, no longer than `timeout_seconds` (`None`: without end); an
        engine that computes in this process computes here, and may take longer. An empty list: none is open, or the
        time is up. Each completion carries its log-probabilities, finish reason and the versions that wrote it.
        """
        ...

    def open(self) -> int:
        """How many requests were submitted and have not come back from `ready`."""
        ...

    def abort(self) -> None:
        """Forget all open requests."""
        ...

    def load(self, update: WeightUpdate) -> None:
        """Take over the policy's weights. Raises `WeightSyncError` where a tensor is missing or unknown."""
        ...

    def close(self) -> None:
        """Give back what the engine holds: memory, threads, processes."""
        ...


def complete(generator: Generator, requests: Sequence[Request]) -> list[list[Completion]]:
    """Submit `requests` to a generator that has no others open, and wait for all of them; in their order."""
    for request in requests:
        generator.submit(request)
    completions: dict[int, list[Completion]] = {}
    while generator.open():
        completions.update(generator.ready())
    return [completions[request.number] for request in requests]
