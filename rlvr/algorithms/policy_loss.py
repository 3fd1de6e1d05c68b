"""The loss of a policy update, token by token.

    log-ratio   l = log pi - log pi_old             per token, or averaged over the completion (`sequence`)
    ratio       w = exp(l)
    surrogate   s(w, A)                             what is maximized
    loss        sum_t weight_t * (-s_t + kl_coef * KL_t - entropy_coef * H_t)

The weights come from `weights.token_weights`, so that nothing is divided here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rlvr.algorithms.choices import pick
from rlvr.algorithms.kl import kl
from rlvr.algorithms.objective import Objective

# e^20 is far outside of every clip range and far inside of float32.
MAX_LOG_RATIO = 20.0


def token_log_ratio(log_ratio: Tensor, mask: Tensor) -> Tensor:
    """Each token's own log-ratio."""
    return log_ratio


def sequence_log_ratio(log_ratio: Tensor, mask: Tensor) -> Tensor:
    """The completion's mean log-ratio at each of its tokens (GSPO, arXiv:2507.18071, eq. 7).

    Spread over the tokens with their own gradients intact: each token's value is the mean, each token's gradient is
    the mean's.
    """
    mean = (log_ratio * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)
    return mean.expand_as(log_ratio)


@dataclass(frozen=True)
class Tokens:
    """What a surrogate sees, all `(B, T)`: `logprobs`, `log_ratio` and `ratio` (of the level that the objective
    chose) carry gradients, `old_logprobs`, `advantages` and `mask` are constants."""

    logprobs: Tensor
    old_logprobs: Tensor
    log_ratio: Tensor
    ratio: Tensor
    advantages: Tensor
    mask: Tensor


def clip(tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """min(w A, clip(w, 1 - low, 1 + high) A) (PPO, arXiv:1707.06347, eq. 7)."""
    clipped = tokens.ratio.clamp(1 - objective.clip_low, 1 + objective.clip_high)
    cut_above = (tokens.advantages > 0) & (tokens.ratio > 1 + objective.clip_high)
    cut_below = (tokens.advantages < 0) & (tokens.ratio < 1 - objective.clip_low)
    return torch.minimum(tokens.ratio * tokens.advantages, clipped * tokens.advantages), cut_above | cut_below


def reinforce(tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """w A with no bound: the policy gradient itself at w = 1, importance-weighted elsewhere."""
    return tokens.ratio * tokens.advantages, torch.zeros_like(tokens.mask)


# What is maximized at each token, and which tokens' gradients the rule has cut: `(B, T)` each.
Surrogate = Callable[[Tokens, Objective], tuple[Tensor, Tensor]]
RATIOS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"token": token_log_ratio, "sequence": sequence_log_ratio}
SURROGATES: dict[str, Surrogate] = {"clip": clip, "reinforce": reinforce}


def policy_loss(
    logprobs: Tensor,
    entropy: Tensor,
    *,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    weights: Tensor,
    objective: Objective,
    ref_logprobs: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of some rows, and what to log of it.

    Args: all tensors `(B, T)`; `logprobs` and `entropy` of the current policy, the others constants. `ref_logprobs` may
    be left out where `objective.kl_coef` is 0.
    Returns: the scalar loss, and per-token values `(B, T)` to be averaged over the mask: `ratio`, `clip_fraction`
    (tokens whose gradient the clip range has cut), `policy_kl` (k3 from the old policy), `entropy`, `kl`.
    """
    for name, value in {"logprobs": logprobs, "advantages": advantages, "weights": weights}.items():
        if value.shape != mask.shape:
            raise ValueError(f"{name} must match mask: got {tuple(value.shape)}, expected {tuple(mask.shape)}")
    # Outside the mask log-probabilities mean nothing; zeroed before exp, they cannot turn into inf * 0 = nan.
    log_ratio = torch.where(mask, logprobs - old_logprobs, 0.0).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    level = pick(RATIOS, objective.ratio, "ratio")(log_ratio, mask)
    tokens = Tokens(logprobs, old_logprobs, level, level.exp(), advantages, mask)
    surrogate, cut = pick(SURROGATES, objective.surrogate, "surrogate")(tokens, objective)
    per_token = -surrogate

    stats = {
        "ratio": tokens.ratio,
        "clip_fraction": cut.float(),
        "policy_kl": log_ratio.exp() - log_ratio - 1,
        "entropy": entropy,
    }
    if objective.kl_coef:
        if ref_logprobs is None:
            raise ValueError(
                "ref_logprobs is missing: expected (B, T) where kl_coef > 0; set kl_coef to 0 to do without"
            )
        stats["kl"] = kl(logprobs, torch.where(mask, ref_logprobs, logprobs.detach()), objective.kl)
        per_token = per_token + objective.kl_coef * stats["kl"]
    if objective.entropy_coef:
        per_token = per_token - objective.entropy_coef * entropy
    loss = (weights * torch.where(mask, per_token, 0.0)).sum()
    return loss, {name: value.detach() for name, value in stats.items()}
