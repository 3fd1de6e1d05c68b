"""The interface between a trainer and the holder of the policy and its optimizer: this process, or other ranks.

Everything that a loss, a checkpoint or a weight sync needs is a method here. Losses are stateless values, so that they
can be sent to where the weights are.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from rlvr.types import Batch


class Loss(Protocol):
    """The loss of a microbatch, and values to log.

    Returns a scalar that is already weighted, so that microbatches add up, and values per token `(B, T)` or per item
    that the loss counts `(N,)`. With `entropy_gradient` the entropy of the scores has a gradient; with `whole_groups`
    the rows of a group stay in one microbatch. A loss is a frozen dataclass and must survive pickling.
    """

    @property
    def entropy_gradient(self) -> bool: ...

    @property
    def whole_groups(self) -> bool: ...

    def __call__(self, batch: Batch, scores: Any, /) -> tuple[Tensor, dict[str, Tensor]]: ...


@dataclass(frozen=True)
class Total:
    """A sum and its number of values, so that pieces and ranks add up. With `count` 0 the value is the sum itself."""

    sum: float
    count: int = 0

    @property
    def value(self) -> float:
        return self.sum / max(1, self.count)

    def __add__(self, other: "Total") -> "Total":
        return Total(self.sum + other.sum, self.count + other.count)


@dataclass(frozen=True)
class Update:
    """The result of an optimizer step: totals to log, and the log-probabilities `(B, T)` before it."""

    totals: Mapping[str, Total]
    logprobs: Tensor

    @property
    def metrics(self) -> dict[str, float]:
        return {name: total.value for name, total in self.totals.items()}


def mean_metrics(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The means of the logged values over optimizer steps."""
    return {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}


@dataclass(frozen=True)
class Snapshot:
    """A batch scored before an update: log-probabilities and a critic's values `(B, T)`, zero outside of the completion
    mask, and the value after the last token of each row `(B,)`."""

    logprobs: Tensor
    values: Tensor
    after_B: Tensor


@dataclass(frozen=True)
class LearnerStats:
    """A learner's usage so far: tokens in forward and backward passes, and peak memory in MiB."""

    tokens: int
    peak_memory_mb: float


class Learner(Protocol):
    """A policy (or reward model) and its optimizer.

    `version` is the version of the weights: the number of optimizer steps.
    """

    version: int

    def update(self, batch: Batch, loss: Loss) -> Update:
        """One optimizer step over all rows of `batch`, in microbatches whose losses add up.

        A loss or gradient that is not finite is counted and leaves the weights unchanged; the third in a row raises
        `DivergenceError`. The metrics are `loss`, `grad_norm`, `lr`, `skipped`, and the means of the values that the
        loss logs (values per token are averaged over the scored tokens).
        """
        ...

    def frozen_logprobs(self, batch: Batch, rows: Tensor, reference: bool = False) -> Tensor:
        """Log-probabilities `(B, T)` of completion tokens as constants, zero outside of `rows`.

        They belong to the current policy or, with `reference`, to the frozen reference policy.
        """
        ...

    def snapshot(self, batch: Batch) -> Snapshot:
        """Log-probabilities and values with the current weights. Needs a critic."""
        ...

    def frozen_scores(self, batch: Batch) -> Tensor:
        """The score `(B,)` of each row. Needs a reward model."""
        ...

    def weight_names(self) -> frozenset[str]:
        """The names of all weights in `buckets`."""
        ...

    def buckets(self, max_bytes: int) -> Iterator[Mapping[str, Tensor]]:
        """All weights by their Hugging Face names, adapters merged in, layer by layer.

        A bucket holds at most `max_bytes` but at least one tensor, and is made on demand.
        """
        ...

    def adapter(self) -> Mapping[str, Tensor] | None:
        """Only the adapters, or `None`."""
        ...

    def perturbed(self, noise: float) -> AbstractContextManager[object]:
        """Add normal noise to every trained weight inside the context: `noise` times the spread of its tensor."""
        ...

    def save(self, folder: Path) -> None:
        """Write the trained weights and the optimizer state, from which `load` continues with the same bits."""
        ...

    def load(self, folder: Path) -> None:
        """Load what `save` wrote."""
        ...

    def export(self, folder: Path) -> None:
        """Write the model and its tokenizer in Hugging Face format, with adapters merged in."""
        ...

    def export_adapter(self, folder: Path) -> bool:
        """Write the adapters alone, in peft's format, for the base model that they were trained on.

        Returns false, and writes nothing, if they cannot stand alone.
        """
        ...

    def stats(self) -> LearnerStats: ...
