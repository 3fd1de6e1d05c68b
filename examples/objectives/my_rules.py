"""A custom clip rule: rare tokens may rise further than tokens that the policy was sure of."""

import torch
from torch import Tensor

from rlvr.algorithms.objective import Objective
from rlvr.algorithms.policy_loss import Tokens


def my_clip(tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """min(w A, clip(w, 1 - low, 1 + (2 - p) high) A), p the token's old probability."""
    low, high = 1 - objective.clip_low, 1 + objective.clip_high * (2 - tokens.old_logprobs.exp())
    value = torch.minimum(
        tokens.ratio * tokens.advantages, tokens.ratio.clamp(min=low).minimum(high) * tokens.advantages
    )
    too_high, too_low = tokens.ratio > high, tokens.ratio < low
    return value, torch.where(tokens.advantages > 0, too_high, too_low & (tokens.advantages < 0))
