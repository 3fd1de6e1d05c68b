"""From logits to a token: pure functions on tensors, for the embedded engine. `types.Sampling` gives their order.

R is the number of rows (completions in progress), V the size of the vocabulary.
"""

import math

import torch
from torch import Tensor

from rlvr.types import Sampling


def draw_uniforms(seed: int, n: int, max_tokens: int) -> Tensor:
    """The numbers in [0, 1) `(n, max_tokens)` that determine all samples of a prompt, whatever else is in the batch."""
    return torch.rand(n, max_tokens, generator=torch.Generator().manual_seed(seed))


def penalize(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Logits `(R, V)` with those of `seen` tokens `(R, V)` divided by `penalty` if positive, else multiplied by it.

    Keskar et al., "CTRL" (2019). A penalty above 1 makes seen tokens less likely.
    """
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def tokens_seen(ids: Tensor, mask: Tensor, vocabulary: int) -> Tensor:
    """Which of the tokens of the `vocabulary` each row of `ids` `(R, T)` holds where `mask` `(R, T)` is true: `(R,
    V)`."""
    counts = torch.zeros(len(ids), vocabulary, dtype=torch.int32, device=ids.device)
    return counts.scatter_add(-1, ids, mask.int()) > 0


class LogitRules:
    """The steps that depend on the tokens so far: `min_tokens` and the repetition penalty of `sampling`.

    `end_ids` end a completion. `seen` `(N, V)` are the tokens of each rollout's prompt; it grows as tokens are added.
    Only a penalty needs it.
    """

    def __init__(self, sampling: Sampling, end_ids: Tensor, seen: Tensor | None) -> None:
        self.sampling = sampling
        self.end_ids = end_ids
        self.seen = seen

    def apply(self, logits: Tensor, step: int, rollouts: Tensor) -> Tensor:
        """The logits `(R, V)` of token number `step` (from 0) of some `rollouts` `(R,)`."""
        if step < self.sampling.min_tokens:
            known = self.end_ids[self.end_ids < logits.shape[-1]]  # a tokenizer may have tokens that the model has not
            logits = logits.index_fill(-1, known, -torch.inf)
        if self.seen is not None:
            logits = penalize(logits, self.seen[rollouts], self.sampling.repetition_penalty)
        return logits

    def add(self, rollouts: Tensor, tokens: Tensor) -> None:
        """Note the next token `(R,)` of some rollouts `(R,)`."""
        if self.seen is not None:
            self.seen[rollouts, tokens] = True


def truncate(logits: Tensor, sampling: Sampling) -> Tensor:
    """Set tokens outside of `min_p`, `top_k` and `top_p` to -inf, in this order; the most likely token always stays."""
    if sampling.min_p > 0:
        floor = logits.amax(-1, keepdim=True) + math.log(sampling.min_p)
        logits = logits.masked_fill(logits < floor, -torch.inf)
    if sampling.top_k:
        smallest = logits.topk(min(sampling.top_k, logits.shape[-1]), dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    if sampling.top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True)
        probabilities = ordered.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities
        cut = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= sampling.top_p)
        logits = logits.masked_fill(cut, -torch.inf)
    return logits


def draw(logits: Tensor, uniforms: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Tokens `(R,)` by inversion of the cumulative distribution, and their log-probabilities `(R,)`.

    The log-probabilities belong to the distribution that was sampled: after temperature, `min_p`, `top_k` and `top_p`.
    Greedy decoding reports log-probabilities at temperature 1.
    """
    if sampling.temperature == 0:
        tokens = logits.argmax(-1)
        return tokens, logits.log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    logprobs = truncate(logits / sampling.temperature, sampling).log_softmax(-1)
    cumulative = logprobs.exp().cumsum(-1)
    # Rounding may keep the last entry from being 1. `right` skips tokens of probability zero.
    targets = uniforms.unsqueeze(-1) * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, targets, right=True).clamp(max=logits.shape[-1] - 1)
    return tokens.squeeze(-1), logprobs.gather(-1, tokens).squeeze(-1)
