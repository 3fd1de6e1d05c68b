"""A factor that corrects for differences between the generator's and the learner's probabilities at equal weights.

    log-ratio   l = log pi_old - log pi_rollout    of each token, or summed over the completion (`sequence`)
    factor      c = exp(l), truncated to [low, high], or 0 outside of it

Yao et al., "Your efficient RL framework secretly brings you off-policy RL training" (2025), truncate from above (TIS);
IcePop (Ling team, 2025) and Liu et al., "When speed kills stability" (2025), mask instead (MIS). The factor multiplies
the advantages. It is detached and never negative, so no advantage changes its sign.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from rlvr.algorithms.choices import pick
from rlvr.algorithms.log_ratio import bounded
from rlvr.algorithms.objective import Objective


def token_gap(log_ratio: Tensor) -> Tensor:
    """Each token's own log-ratio."""
    return log_ratio


def sequence_gap(log_ratio: Tensor) -> Tensor:
    """The log-ratio of the whole completion at each of its tokens: the sum, where GSPO's ratio takes the mean."""
    return log_ratio.sum(-1, keepdim=True).expand_as(log_ratio)


def no_correction(ratio: Tensor, objective: Objective) -> Tensor:
    return torch.ones_like(ratio)


def truncate(ratio: Tensor, objective: Objective) -> Tensor:
    """The ratio, truncated to [low, high]."""
    return ratio.clamp(objective.correction_low, objective.correction_high)


def mask_outside(ratio: Tensor, objective: Objective) -> Tensor:
    """The ratio inside [low, high], and 0 outside."""
    inside = (ratio >= objective.correction_low) & (ratio <= objective.correction_high)
    return torch.where(inside, ratio, 0.0)


CORRECTION_LEVELS: dict[str, Callable[[Tensor], Tensor]] = {"token": token_gap, "sequence": sequence_gap}
CORRECTIONS: dict[str, Callable[[Tensor, Objective], Tensor]] = {
    "none": no_correction,
    "truncate": truncate,
    "mask": mask_outside,
}


def correction(log_ratio: Tensor, mask: Tensor, objective: Objective) -> Tensor:
    """The factor of each token.

    Args: `log_ratio` (B, T), old minus rollout log-probabilities; `mask` (B, T).
    Returns: (B, T), without gradient, at least 0; 1 everywhere if the objective has no correction.
    """
    gap = torch.where(mask, log_ratio.detach(), 0.0)
    level = pick(CORRECTION_LEVELS, objective.correction_level, "correction_level")(gap)
    ratio = bounded(level).exp()
    return pick(CORRECTIONS, objective.correction, "correction")(ratio, objective)


def rollout_ratio(old_logprobs: Tensor, rollout_logprobs: Tensor, mask: Tensor, own_B: Tensor) -> dict[str, float]:
    """Statistics over tokens of the ratio of old to rollout probability, before any correction, for the log.

    Args: log-probabilities and `mask` (B, T); `own_B` (B,), the rows that were sampled with the old weights.
    Returns: metrics. `rollout_gap` is the mean |log-ratio| of the rows in `own_B`; it is only rounding if the generator
    holds the right weights. The other metrics include rows that were sampled with older weights.
    """
    gap = bounded(old_logprobs - rollout_logprobs)
    ratio, last = gap[mask].exp().sort().values, int(mask.sum()) - 1
    own = gap[mask & own_B.unsqueeze(-1)].abs()
    return {
        **{f"rollout_ratio/p{percent:02}": float(ratio[round(percent / 100 * last)]) for percent in (1, 50, 99)},
        "rollout_ratio/max": float(ratio[-1]),
        "rollout_ratio/outside": float(((ratio < 0.9) | (ratio > 1.1)).float().mean()),
        "rollout_ratio/kl": float((ratio - ratio.log() - 1).mean()),  # k3 of KL(rollout || old)
        **({"rollout_gap": float(own.mean())} if len(own) else {}),
    }
