"""Aggregation as weights: how much each token counts in the loss of one optimizer step.

The weights are computed once, over all rows of the step and before any split. The loss of a piece is
`(weights * per_token).sum()`, and the pieces add up. Nothing is divided later, however the rows are split.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from rlvr.algorithms.advantage import group_sum
from rlvr.algorithms.choices import pick


def token(mask: Tensor, group_index: Tensor, max_tokens: int) -> Tensor:
    """1 / (tokens of the batch): long completions count more (DAPO, arXiv:2503.14476, eq. 8, over the batch)."""
    return mask / mask.sum().clamp(min=1)


def sequence(mask: Tensor, group_index: Tensor, max_tokens: int) -> Tensor:
    """1 / (rows x the row's tokens): each completion counts the same (GRPO, arXiv:2402.03300, eq. 3)."""
    return mask / mask.sum(-1, keepdim=True).clamp(min=1) / len(mask)


def sequence_sum(mask: Tensor, group_index: Tensor, max_tokens: int) -> Tensor:
    """1 / rows: the policy gradient of whole completions, whose log-probability is a sum (RLOO, arXiv:2402.14740;
    LUSPO, arXiv:2602.05261, which calls it a loss scaled by the completion's length)."""
    return mask / len(mask)


def prompt(mask: Tensor, group_index: Tensor, max_tokens: int) -> Tensor:
    """1 / (groups x the group's tokens): each problem counts the same, and so does each of its tokens (DAPO,
    arXiv:2503.14476, eq. 8, under its expectation over problems)."""
    tokens_B = group_sum(mask.sum(-1), group_index).clamp(min=1)
    return mask / tokens_B.unsqueeze(-1) / len(group_index.unique())


def constant(mask: Tensor, group_index: Tensor, max_tokens: int) -> Tensor:
    """1 / (rows x `max_tokens`): a token counts the same in every batch (Dr. GRPO, arXiv:2503.20783, section 3.2)."""
    return mask / (len(mask) * max_tokens)


AGGREGATES: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "token": token,
    "sequence": sequence,
    "sequence_sum": sequence_sum,
    "prompt": prompt,
    "constant": constant,
}


def token_weights(
    completion_mask: Tensor, group_index: Tensor, aggregate: str, max_tokens: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The weight of each token.

    Args: `completion_mask` (B, T) over all rows of one optimizer step; `group_index` (B,); `max_tokens`, the longest
    completion that sampling allows (only `constant` reads it).
    Returns: (B, T) of `dtype`, zero outside the mask.
    """
    if len(completion_mask) != len(group_index):
        raise ValueError(
            f"completion_mask must have a row for each group_index: got {len(completion_mask)}, "
            f"expected {len(group_index)}"
        )
    weigh = pick(AGGREGATES, aggregate, "aggregate")
    return weigh(completion_mask.to(dtype), group_index, max_tokens)
