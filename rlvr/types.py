"""The nouns that travel between the stages: Completion, Rollout, Group, Batch (Problem comes from `tasks`).

All are frozen. A stage fills in its fields with `dataclasses.replace`: it returns a new value and never changes its
input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor

from tasks import Problem
from verifiers import Verdict, is_solved

Finish = Literal["stop", "length", "abort"]


@dataclass(frozen=True)
class Sampling:
    """How completions are sampled. Temperature 0 is greedy; `top_p=1`, `top_k=0` do not truncate the distribution."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0

    @property
    def is_truncated(self) -> bool:
        """Whether some tokens can never be sampled."""
        return self.top_p < 1 or self.top_k > 0


@dataclass(frozen=True)
class Completion:
    """The text that an engine sampled after a prompt: one turn of the policy.

    `logprobs` are the engine's own log-probabilities of `ids` at the sampling temperature. `versions` are the
    versions of the weights, oldest first: several if the weights changed during sampling.
    """

    ids: Sequence[int]
    logprobs: Sequence[float]
    finish: Finish
    versions: tuple[int, ...]


@dataclass(frozen=True)
class Rollout:
    """A single completion or a conversation of several turns after one prompt, with everything known about it.

    `rollout_logprobs` are the generator's own log-probabilities of `completion_ids` at the sampling temperature.
    `completion_mask` is True where the policy chose the token; a tool's output is False, with log-probability 0.
    `policy_version` is the version of the oldest weights involved. `reward` is `None` until there is a verdict, and
    stays `None` if the grader failed. `shaping` is added to the reward before the baseline is subtracted (a length or
    KL penalty); the reward itself never changes. `advantage` is `None` if the rollout is not trained on: it has no
    reward, its group was not kept, or it was cut off and masked.
    """

    prompt_ids: Sequence[int]
    completion_ids: Sequence[int]
    completion_mask: Sequence[bool]
    rollout_logprobs: Sequence[float]
    finish: Finish
    policy_version: int
    text: str = ""
    verdict: Verdict | None = None
    reward: float | None = None
    shaping: float = 0.0
    advantage: float | None = None

    @property
    def sampled_tokens(self) -> int:
        """The number of tokens that the policy chose; every count of tokens means these."""
        return sum(self.completion_mask)

    @property
    def solved(self) -> bool | None:
        """Whether the completion solves its problem (`verifiers.is_solved`); `None` if its verdict does not tell."""
        return is_solved(Verdict(self.reward, "partial") if self.verdict is None else self.verdict)


@dataclass(frozen=True)
class Group:
    """All rollouts of one problem in one step. `draw` is the position of the problem in the order of the task."""

    problem: Problem
    rollouts: tuple[Rollout, ...]
    draw: int = 0

    @property
    def rewards(self) -> list[float]:
        """The rewards of the group, without those of failed graders."""
        return [rollout.reward for rollout in self.rollouts if rollout.reward is not None]

    @property
    def policy_version(self) -> int:
        """The version of the oldest weights involved."""
        return min(rollout.policy_version for rollout in self.rollouts)

    def state(self) -> dict[str, Any]:
        """The group as JSON, which restores floats exactly; the answer of its problem keeps its type and its digits."""
        rollouts = [asdict(rollout) for rollout in self.rollouts]
        return {"problem": self.problem.state(), "rollouts": rollouts, "draw": self.draw}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `state`, also after a round trip through JSON."""
        rollouts = (
            Rollout(**{**rollout, "verdict": rollout["verdict"] and Verdict(**rollout["verdict"])})
            for rollout in values["rollouts"]
        )
        return cls(Problem.of(values["problem"]), tuple(rollouts), values.get("draw", 0))


@dataclass(frozen=True)
class Batch:
    """Rollouts as tensors `(B, T)`, padded on the right. Entry `[b, t]` of every field belongs to token `[b, t]`.

    `group_index` and `policy_version`, the version of the weights that sampled a row, are `(B,)`. Fields that no stage
    has filled yet are `None`. For preferences: `ranks_B`, 0 for the best answer of its group and equal for ties;
    `ratings_B`, the ratings in the data, if any; `ref_logprobs_B`, the reference's log-probability of the answer.
    """

    input_ids: Tensor
    attention_mask: Tensor
    completion_mask: Tensor
    group_index: Tensor
    policy_version: Tensor | None = None
    advantages: Tensor | None = None
    rollout_logprobs: Tensor | None = None
    old_logprobs: Tensor | None = None
    ref_logprobs: Tensor | None = None
    values: Tensor | None = None
    returns: Tensor | None = None
    loss_weights: Tensor | None = None
    ranks_B: Tensor | None = None
    ratings_B: Tensor | None = None
    ref_logprobs_B: Tensor | None = None

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    @property
    def lengths_B(self) -> Tensor:
        """Tokens in each row, prompt and completion."""
        return self.attention_mask.sum(-1)

    def rows(self, index_B: Tensor) -> Self:
        """The rows at `index_B`, in that order, without the padding that none of them needs.

        `index_B` holds row numbers, or is a boolean mask.
        """
        index_B = index_B.nonzero().squeeze(-1) if index_B.dtype == torch.bool else index_B
        width = int(self.lengths_B[index_B].max()) if len(index_B) else 0

        def take(value: Tensor) -> Tensor:
            return value[index_B, :width] if value.dim() == 2 else value[index_B]

        return self._map(take)

    def with_old_logprobs(self, index_B: Tensor, logprobs: Tensor) -> Self:
        """The batch with `logprobs` `(len(index_B), T')` as the old ones of some rows; T' may leave out padding."""
        old = torch.zeros(self.input_ids.shape) if self.old_logprobs is None else self.old_logprobs.clone()
        old[index_B, : logprobs.shape[1]] = logprobs
        return replace(self, old_logprobs=old)

    def to(self, device: torch.device) -> Self:
        return self._map(lambda value: value.to(device))

    def _map(self, function) -> Self:  # type: ignore[no-untyped-def]
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: function(value) for name, value in values.items() if value is not None})
