"""The engine of a run that samples nothing: it takes any weights and is never asked to write."""

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from rlvr.types import Rollout, Sampling


class SilentEngine:
    def generate(
        self, prompts: Sequence[Sequence[int]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Rollout]]]:
        raise NotImplementedError("this run samples nothing")

    def load_weights(self, named_weights: Iterable[tuple[str, Tensor]], version: int) -> None:
        pass
