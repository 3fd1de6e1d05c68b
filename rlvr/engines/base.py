"""The seam between the trainer and whatever writes completions."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from torch import Tensor

from rlvr.types import Rollout, Sampling


class Generator(Protocol):
    """Writes completions, with the weights that it was last given."""

    def generate(
        self, prompts: Sequence[Sequence[int]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Rollout]]]:
        """Draw `n` completions of each prompt; yield `(index of the prompt, its rollouts)` as prompts are finished.

        `prompts` are token ids. `seeds` holds one number a prompt: what is drawn for a prompt depends on its seed and
        the weights alone, never on its neighbours in the call. Each rollout carries the log-probabilities of its tokens
        at the sampling temperature, the finish reason, and the version of the weights that wrote it.
        """
        ...

    def load_weights(self, named_weights: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Take over the policy's weights. Raises `WeightSyncError` where a tensor is missing or unknown."""
        ...
