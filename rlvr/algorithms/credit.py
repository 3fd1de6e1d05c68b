"""Credit assignment: from the outcomes of a step's completions to an advantage for each of their tokens.

    reward  ->  + shaping (length, KL)  ->  advantage of the completion  ->  advantage of each token

All tensors have aligned rows: entry `[b]` of each belongs to the same completion.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rlvr.algorithms.advantage import Outcomes, advantages
from rlvr.algorithms.objective import Objective
from rlvr.algorithms.returns import token_advantages


@dataclass(frozen=True)
class Credit:
    """The credit of each completion.

    `shaping_B` is what was added to its reward, `advantages_B` its advantage, `trained_B` whether it is trained on.
    `advantages` (B, T) is the advantage of each token, zero in rows that are not trained on.
    """

    shaping_B: Tensor
    advantages_B: Tensor
    trained_B: Tensor
    advantages: Tensor


def assign_credit(
    outcomes: Outcomes,
    completion_mask: Tensor,
    objective: Objective,
    max_tokens: int,
    penalty: Tensor | None = None,
) -> Credit:
    """Rewards to advantages, for all rows of a step at once.

    Args: `outcomes` with the rewards as the verdicts gave them, in float64; `completion_mask` (B, T); `max_tokens`, the
    longest completion that sampling allows; `penalty` (B, T) from `returns.kl_penalty`, where the KL is in the reward.

    With `overlong: mask` a cut-off completion is not trained on but still counts in the baseline: it is a failed
    attempt, and without it the rest of its group would look worse than it is (DAPO, arXiv:2503.14476, section 3.4,
    masks only the loss).
    """
    if completion_mask.shape[0] != len(outcomes.rewards):
        raise ValueError(
            f"completion_mask must have a row for each reward: got {completion_mask.shape[0]}, expected "
            f"{len(outcomes.rewards)}"
        )
    shaping_B = shaping(outcomes, objective, max_tokens, penalty)
    advantages_B = advantages(shaped(outcomes, shaping_B), objective)
    trained_B = torch.ones_like(outcomes.rewards, dtype=torch.bool)
    if objective.overlong == "mask" and outcomes.truncated_B is not None:
        trained_B = ~outcomes.truncated_B
    mask = completion_mask & trained_B.unsqueeze(-1)
    tokens = token_advantages(advantages_B.unsqueeze(-1) * mask, mask, objective, penalty)
    return Credit(shaping_B, advantages_B, trained_B, tokens)


def shaping(outcomes: Outcomes, objective: Objective, max_tokens: int, penalty: Tensor | None = None) -> Tensor:
    """What is added to each reward before the baseline is subtracted `(B,)`: minus the penalties for length and KL."""
    lengths_B = outcomes.lengths_B.to(outcomes.rewards.dtype)
    total_B = torch.zeros_like(outcomes.rewards)
    if objective.overlong == "punish":
        total_B = overlong_punishment(lengths_B, objective.overlong_tokens(max_tokens), max_tokens)
    if penalty is not None and objective.kl_in == "reward":
        total_B = total_B - penalty.sum(-1).to(total_B.dtype)
    return total_B


def overlong_punishment(lengths_B: Tensor, buffer: int, max_tokens: int) -> Tensor:
    """0 up to `max_tokens - buffer` tokens, from there linearly down to -1 at `max_tokens` (DAPO, arXiv:2503.14476,
    eq. 13)."""
    return (max_tokens - buffer - lengths_B).clamp(max=0) / buffer


def shaped(outcomes: Outcomes, shaping_B: Tensor) -> Outcomes:
    """The outcomes with shaping added: to the reward, or, where parts are decoupled, as one more part."""
    dtype = torch.get_default_dtype()
    parts, weights = outcomes.parts, outcomes.part_weights
    if parts is not None and shaping_B.any():
        parts = torch.cat([parts, shaping_B.to(parts.dtype).unsqueeze(-1)], dim=-1)
        weights = None if weights is None else torch.cat([weights, weights.new_ones(1)])
    rewards = (outcomes.rewards + shaping_B).to(dtype)
    return replace(outcomes, rewards=rewards, parts=parts, part_weights=weights)
