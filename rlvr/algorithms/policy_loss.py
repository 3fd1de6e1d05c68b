"""The loss of a policy update, token by token.

    log-ratio   l = log pi - log pi_old             per token, or averaged over the completion (`sequence`)
    ratio       w = exp(l)
    surrogate   s(w, A)                             the maximized quantity
    loss        sum_t weight_t * (-s_t + kl_coef * KL_t - entropy_coef * H_t)

The weights come from `weights.token_weights`, so nothing is divided here. The advantages already include the
`correction` for the generator's probabilities.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rlvr.algorithms.choices import pick
from rlvr.algorithms.kl import kl
from rlvr.algorithms.log_ratio import bounded
from rlvr.algorithms.objective import Objective


def token_log_ratio(log_ratio: Tensor, mask: Tensor) -> Tensor:
    """Each token's own log-ratio."""
    return log_ratio


def sequence_log_ratio(log_ratio: Tensor, mask: Tensor) -> Tensor:
    """The completion's mean log-ratio at each of its tokens (GSPO, arXiv:2507.18071, eq. 7).

    Each token has the value and the gradient of the mean.
    """
    mean = (log_ratio * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)
    return mean.expand_as(log_ratio)


@dataclass(frozen=True)
class Tokens:
    """The input of a surrogate, all `(B, T)`: `logprobs`, `log_ratio` and `ratio` (per token or per sequence, as the
    objective chooses) carry gradients; `old_logprobs`, `advantages` and `mask` are constants. Outside of the mask every
    log-probability is 0 and every ratio 1."""

    logprobs: Tensor
    old_logprobs: Tensor
    log_ratio: Tensor
    ratio: Tensor
    advantages: Tensor
    mask: Tensor


def clip(tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """min(w A, clip(w, 1 - low, 1 + high) A) (PPO, arXiv:1707.06347, eq. 7), and for A < 0 at least dual A (dual clip,
    arXiv:1912.09729).

    For A < 0 the plain rule has no upper bound on w; max(min(w A, clip(w) A), dual A) is the same rule with w held
    below dual. For A > 0 the clip range is the tighter bound. So `clip_dual` is also INTELLECT-2's two-sided clip
    (arXiv:2505.07291), min(min(w, dual) A, clip(w) A), wherever dual > 1 + high.
    """
    advantages, ratio = tokens.advantages, tokens.ratio
    cut_above = (advantages > 0) & (ratio > 1 + objective.clip_high)
    cut_below = (advantages < 0) & (ratio < 1 - objective.clip_low)
    clipped = ratio.clamp(1 - objective.clip_low, 1 + objective.clip_high)
    value = torch.minimum(ratio * advantages, clipped * advantages)
    if not objective.clip_dual:
        return value, cut_above | cut_below
    cut_dual = (advantages < 0) & (ratio > objective.clip_dual)
    return torch.where(cut_dual, objective.clip_dual * advantages, value), cut_above | cut_below | cut_dual


def reinforce(tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """w A without a bound: the policy gradient at w = 1, importance-weighted elsewhere."""
    return tokens.ratio * tokens.advantages, torch.zeros_like(tokens.mask)


def cispo(tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """sg(clip(w, 1 - low, 1 + high)) A log pi: the weight is bounded, and no token loses its gradient (MiniMax-M1,
    arXiv:2506.13585). Tokens whose weight was bounded are reported as cut."""
    weight = tokens.ratio.detach().clamp(1 - objective.clip_low, 1 + objective.clip_high)
    return weight * tokens.advantages * tokens.logprobs, weight != tokens.ratio.detach()


def total_variation(tokens: Tokens) -> Tensor:
    """|pi - pi_old| of the sampled token: the total variation between "this token" and "another one"."""
    return (tokens.logprobs.detach().exp() - tokens.old_logprobs.exp()).abs()


def binary_kl(tokens: Tokens) -> Tensor:
    """p log(p / q) + (1 - p) log((1 - p) / (1 - q)) with p = pi_old, q = pi: KL between "this token" and "another"."""
    now, old = tokens.logprobs.detach(), tokens.old_logprobs
    # 1 - p as -expm1(log p): exact for p near 0, and kept above 0 where p rounds to 1.
    tiny = torch.finfo(now.dtype).tiny
    rest, old_rest = (-torch.expm1(now)).clamp(min=tiny), (-torch.expm1(old)).clamp(min=tiny)
    return old.exp() * (old - now) + old_rest * (old_rest.log() - rest.log())


def masked(divergence: Tensor, tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """w A, and 0 where the divergence is above the threshold and the update would raise it further."""
    moving_on = (tokens.advantages * (tokens.ratio.detach() - 1)) > 0
    cut = moving_on & (divergence > objective.divergence_threshold)
    return torch.where(cut, 0.0, tokens.ratio * tokens.advantages), cut


def tv_mask(tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """M w A with M = 0 where |pi - pi_old| > threshold and A (w - 1) > 0 (DPPO, arXiv:2602.04879, binary TV, 0.15)."""
    return masked(total_variation(tokens), tokens, objective)


def kl_mask(tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """As `tv_mask`, with the binary KL as distance (DPPO, arXiv:2602.04879, binary KL, 0.05)."""
    return masked(binary_kl(tokens), tokens, objective)


def soft_gate(tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """4/tau sigmoid(tau (w - 1)) A: a gate whose slope is 1 at w = 1 and falls off smoothly (SAPO,
    arXiv:2511.20347). Nothing is cut."""
    good = tokens.advantages > 0
    tau = torch.full_like(tokens.ratio, objective.temperature_negative).masked_fill(
        good, objective.temperature_positive
    )
    gate = 4 / tau * torch.sigmoid(tau * (tokens.ratio - 1))
    return gate * tokens.advantages, torch.zeros_like(tokens.mask)


def geometric(tokens: Tokens, objective: Objective) -> tuple[Tensor, Tensor]:
    """A times the geometric mean of the completion's ratios, each bounded at e^high where A > 0 and at e^-low
    elsewhere (GMPO, arXiv:2507.20673). Each token carries the value of its completion."""
    good = tokens.advantages > 0
    bounded = torch.where(
        good, tokens.log_ratio.clamp(max=objective.clip_high), tokens.log_ratio.clamp(min=-objective.clip_low)
    )
    mean = sequence_log_ratio(bounded, tokens.mask)
    return mean.exp() * tokens.advantages, bounded.detach() != tokens.log_ratio.detach()


# The maximized value of each token, and whether the rule has cut the token's gradient: `(B, T)` each.
Surrogate = Callable[[Tokens, Objective], tuple[Tensor, Tensor]]
RATIOS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"token": token_log_ratio, "sequence": sequence_log_ratio}
SURROGATES: dict[str, Surrogate] = {
    "clip": clip,
    "reinforce": reinforce,
    "cispo": cispo,
    "tv_mask": tv_mask,
    "kl_mask": kl_mask,
    "soft_gate": soft_gate,
    "geometric": geometric,
}


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
    """The loss of some rows, and values to log.

    Args: all tensors `(B, T)`; `logprobs` and `entropy` belong to the current policy, the others are constants.
    `ref_logprobs` is optional if the loss has no KL term; if given, the KL is logged.
    Returns: the scalar loss, and per-token values `(B, T)` to be averaged over the mask: `ratio`, `clip_fraction`
    (tokens whose gradient the clip range has cut), `policy_kl` (k3 from the old policy), `entropy`, `kl`.
    """
    for name, value in {"logprobs": logprobs, "advantages": advantages, "weights": weights}.items():
        if value.shape != mask.shape:
            raise ValueError(f"{name} must match mask: got {tuple(value.shape)}, expected {tuple(mask.shape)}")
    # Log-probabilities outside of the mask are arbitrary; zeroed before exp, they cannot become inf * 0 = nan.
    logprobs, old_logprobs = torch.where(mask, logprobs, 0.0), torch.where(mask, old_logprobs, 0.0)
    log_ratio = bounded(logprobs - old_logprobs)
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
    if ref_logprobs is not None:
        stats["kl"] = kl(logprobs, torch.where(mask, ref_logprobs, 0.0), log_ratio.exp(), objective.kl)
    if objective.kl_coef and objective.kl_in == "loss":
        if ref_logprobs is None:
            raise ValueError(
                "ref_logprobs is missing: expected (B, T) where kl_coef > 0; set kl_coef to 0 to do without"
            )
        per_token = per_token + objective.kl_coef * stats["kl"]
    if objective.entropy_coef:
        per_token = per_token - objective.entropy_coef * entropy
    loss = (weights * torch.where(mask, per_token, 0.0)).sum()
    return loss, {name: value.detach() for name, value in stats.items()}
