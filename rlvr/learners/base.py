"""The seam between the trainer and whatever holds the policy and its optimizer: this process, or ranks elsewhere.

Nobody reaches through it: what a loss, a checkpoint or a weight sync needs is a method here. Losses are values without
state, so that they can be sent to where the weights are.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from rlvr.types import Batch


class Loss(Protocol):
    """What a microbatch costs, and what to log of it.

    Returns a scalar that is already weighted, so that microbatches add up, and values of each token `(B, T)` or of
    whatever the loss counts `(N,)`. With `entropy_gradient` the entropy of the scores has one; with `whole_groups` the
    rows of a group come in one microbatch. A loss is a frozen dataclass: it must survive pickling.
    """

    @property
    def entropy_gradient(self) -> bool: ...

    @property
    def whole_groups(self) -> bool: ...

    def __call__(self, batch: Batch, scores: Any, /) -> tuple[Tensor, dict[str, Tensor]]: ...


@dataclass(frozen=True)
class Total:
    """A sum and how many values went into it, so that pieces and ranks add up. `count` 0: the sum itself is meant."""

    sum: float
    count: int = 0

    @property
    def value(self) -> float:
        return self.sum / max(1, self.count)

    def __add__(self, other: "Total") -> "Total":
        return Total(self.sum + other.sum, self.count + other.count)


@dataclass(frozen=True)
class Update:
    """What an optimizer step found: totals to log, and the log-probabilities `(B, T)` that it started from."""

    totals: Mapping[str, Total]
    logprobs: Tensor

    @property
    def metrics(self) -> dict[str, float]:
        return {name: total.value for name, total in self.totals.items()}


def mean_metrics(updates: Sequence[Update]) -> dict[str, float]:
    """The mean over optimizer steps of what each of them logged."""
    steps = [update.metrics for update in updates]
    return {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}


@dataclass(frozen=True)
class Snapshot:
    """What the weights say of a batch before they move: log-probabilities and a critic's values `(B, T)`, zero outside
    of the completion mask, and the value after the last token of each row `(B,)`."""

    logprobs: Tensor
    values: Tensor
    after_B: Tensor


@dataclass(frozen=True)
class LearnerStats:
    """What a learner has used so far: tokens in forward and backward passes, and the most memory in MiB."""

    tokens: int
    peak_memory_mb: float


class Learner(Protocol):
    """Policy (or reward model) and optimizer.

    `version` counts optimizer steps: it is the version of the weights.
    """

    version: int

    def update(self, batch: Batch, loss: Loss) -> Update:
        """One optimizer step over all rows of `batch`, in microbatches whose losses add up.

        A loss or gradient that is not finite leaves the weights as they are and is counted; the third in a row raises
        `DivergenceError`. Logged are `loss`, `grad_norm`, `lr`, `skipped`, and the mean of what the loss logs (of what
        it logs for each token, over the scored ones).
        """
        ...

    def frozen_logprobs(self, batch: Batch, rows: Tensor, reference: bool = False) -> Tensor:
        """Log-probabilities `(B, T)` of completion tokens as constants, zero outside of `rows`.

        They are the policy's now, or with `reference` those of the frozen reference policy.
        """
        ...

    def snapshot(self, batch: Batch) -> Snapshot:
        """Log-probabilities and values of the weights as they are. Needs a critic."""
        ...

    def frozen_scores(self, batch: Batch) -> Tensor:
        """The score `(B,)` of each row. Needs a reward model."""
        ...

    def weight_names(self) -> frozenset[str]:
        """The names of all weights that `buckets` will hold."""
        ...

    def buckets(self, max_bytes: int) -> Iterator[Mapping[str, Tensor]]:
        """All weights by their Hugging Face names, adapters merged in, layer by layer.

        A bucket holds at most `max_bytes`, but one tensor at least; it is made when it is asked for.
        """
        ...

    def adapter(self) -> Mapping[str, Tensor] | None:
        """The adapters alone, where there are some."""
        ...

    def perturbed(self, noise: float) -> AbstractContextManager[object]:
        """Inside, every trained weight is off by normal noise of the share `noise` of its tensor's spread."""
        ...

    def save(self, folder: Path) -> None:
        """Write what training changes and the optimizer's moments: what `load` needs to go on with the same bits."""
        ...

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote."""
        ...

    def export(self, folder: Path) -> None:
        """Write the model in Hugging Face's format, adapters merged in, with its tokenizer."""
        ...

    def stats(self) -> LearnerStats: ...
