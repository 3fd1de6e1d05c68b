"""From token rewards to advantages with a critic: generalized advantage estimation (arXiv:1506.02438, eq. 16).

    r_t      = -penalty_t, and the completion's score at its last token
    delta_t  = r_t + gamma V_{t+1} - V_t
    A_t      = delta_t + gamma lambda A_{t+1}
    return_t = A_t + V_t

V_t is the value of the state before token t. After the last token the value is 0, because the completion has ended. A
cut-off completion has not, so the value of its last state (`after_B`) can stand in for the rest.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlvr.algorithms.advantage import whitened


def token_rewards(scores_B: Tensor, penalty: Tensor, mask: Tensor) -> Tensor:
    """The reward of each token `(B, T)`: minus its penalty, and the score at the last token of the mask."""
    is_last = mask & (mask.cumsum(-1) == mask.sum(-1, keepdim=True))
    return torch.where(mask, torch.where(is_last, scores_B.unsqueeze(-1), 0.0) - penalty, 0.0)


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, discount: float, trace: float, after_B: Tensor | None = None
) -> Tensor:
    """Advantages `(B, T)`, zero outside of the mask; tokens outside of it (a tool's output) are no time steps.

    Args: `rewards` and `values` (B, T), `trace`, the lambda: at 0 an advantage is the TD residual, at 1 the discounted
    return minus the value. `after_B` (B,) is the value after the last token (0 by default).
    """
    if rewards.shape != mask.shape or values.shape != mask.shape:
        raise ValueError(
            f"rewards and values must match mask: got {tuple(rewards.shape)} and {tuple(values.shape)}, expected "
            f"{tuple(mask.shape)}"
        )
    advantages = torch.zeros_like(rewards)
    next_value = torch.zeros_like(rewards[:, 0]) if after_B is None else after_B
    next_advantage = torch.zeros_like(next_value)
    for t in range(rewards.shape[1] - 1, -1, -1):
        here = rewards[:, t] + discount * next_value - values[:, t] + discount * trace * next_advantage
        next_advantage = torch.where(mask[:, t], here, next_advantage)
        next_value = torch.where(mask[:, t], values[:, t], next_value)
        advantages[:, t] = next_advantage
    return advantages * mask


@dataclass(frozen=True)
class Estimates:
    """Advantages and returns of tokens `(B, T)`, zero outside of `mask`, and the critic's values."""

    advantages: Tensor
    returns: Tensor
    values: Tensor
    mask: Tensor
    explained_variance: float

    @property
    def mean_B(self) -> Tensor:
        """The mean advantage of each row's tokens."""
        return self.advantages.sum(-1) / self.mask.sum(-1)

    def metrics(self) -> dict[str, float]:
        return {
            "return/mean": float(self.returns[self.mask].mean()),
            "value/mean": float(self.values[self.mask].mean()),
            "value/explained_variance": self.explained_variance,
        }


def estimate(
    scores_B: Tensor,
    penalty: Tensor,
    values: Tensor,
    after_B: Tensor,
    cut_off_B: Tensor,
    mask: Tensor,
    discount: float,
    trace: float,
    whiten: bool,
) -> Estimates:
    """From scores of completions to advantages and returns of tokens.

    Args: `scores_B` (B,); `penalty` (B, T), taken off each token's reward; `values` (B, T) and `after_B` (B,), the
    critic's values; `cut_off_B` (B,), the rows where `after_B` replaces the score; `whiten`, whether the advantages are
    scaled to mean 0 and standard deviation 1 over all tokens.
    """
    rewards = token_rewards(scores_B.masked_fill(cut_off_B, 0.0), penalty, mask)
    advantages = gae(rewards, values, mask, discount, trace, after_B * cut_off_B)
    returns = advantages + values
    unexplained = advantages[mask].var(correction=0) / returns[mask].var(correction=0).clamp(min=1e-12)
    if whiten:
        advantages = torch.zeros_like(advantages).masked_scatter(mask, whitened(advantages[mask]))
    return Estimates(advantages, returns, values, mask, float(1 - unexplained))
