"""Losses that learn from comparisons: of scores (reward models) and of log-ratios to a reference policy (DPO, KTO).

    h        log pi(y | x) - log pi_ref(y | x), summed over the answer's tokens; beta h is the implicit reward
    margin   d = h_better - h_worse

All losses are per comparison `(N,)` or per answer `(B,)`; `comparison_weights` gives the weight of each.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from rlvr.algorithms.advantage import group_sum


def comparisons(ranks_B: Tensor, group_index: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs of rows of one group in which the first ranks above the second: better `(N,)`, worse `(N,)`.

    Rank 0 is the best; ties form no pair.
    """
    same = group_index.unsqueeze(1) == group_index.unsqueeze(0)
    better, worse = (same & (ranks_B.unsqueeze(1) < ranks_B.unsqueeze(0))).nonzero(as_tuple=True)
    return better, worse


def comparison_weights(better: Tensor, group_index: Tensor, groups: int) -> Tensor:
    """1 / (comparisons of the group x `groups`) `(N,)`: each prompt counts the same, however long its ranking.

    The k (k - 1) / 2 pairs of a ranking belong to one prompt (InstructGPT, arXiv:2203.02155, section 3.5). `groups`
    is the number of groups with a comparison in the whole optimizer step.
    """
    group_N = group_index[better]
    return 1 / (group_sum(torch.ones(len(group_N), device=group_N.device), group_N) * groups)


def bradley_terry(better: Tensor, worse: Tensor, margin: Tensor | float = 0.0) -> Tensor:
    """-log sigmoid(r_better - r_worse - margin): the negative log-likelihood if the odds are exp(r) to exp(r).

    Bradley and Terry, 1952; the margin as in Llama 2 (arXiv:2307.09288, eq. 2).
    """
    return -logsigmoid(better - worse - margin)


def centring(better: Tensor, worse: Tensor) -> Tensor:
    """(r_better + r_worse)^2: fixes the additive constant that comparisons leave open (arXiv:2312.09244, section 2)."""
    return (better + worse) ** 2


def sigmoid(margin: Tensor, mean_margin: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """-(1 - e) log sigmoid(beta d) - e log sigmoid(-beta d): DPO (arXiv:2305.18290, eq. 7), smoothed cDPO.

    With label smoothing e the loss has its minimum where sigmoid(beta d) = 1 - e instead of nowhere.
    """
    return -(1 - label_smoothing) * logsigmoid(beta * margin) - label_smoothing * logsigmoid(-beta * margin)


def robust(margin: Tensor, mean_margin: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """(-(1 - e) log sigmoid(beta d) + e log sigmoid(-beta d)) / (1 - 2 e): rDPO (arXiv:2403.00409, eq. 12).

    Its mean over labels that are flipped with probability e is the loss on clean labels.
    """
    clean, flipped = -logsigmoid(beta * margin), -logsigmoid(-beta * margin)
    return ((1 - label_smoothing) * clean - label_smoothing * flipped) / (1 - 2 * label_smoothing)


def hinge(margin: Tensor, mean_margin: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """max(0, 1 - beta d) (SLiC, arXiv:2305.10425, as normalized by RSO, arXiv:2309.06657)."""
    return (1 - beta * margin).clamp(min=0)


def ipo(margin: Tensor, mean_margin: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """(d - 1 / (2 beta))^2 (arXiv:2310.12036, eq. 17), with each h averaged over its tokens.

    The paper sums; its authors average in their experiments, since a sum grows with the length of the answers.
    """
    return (mean_margin - 1 / (2 * beta)) ** 2


PAIR_LOSSES: dict[str, Callable[[Tensor, Tensor, float, float], Tensor]] = {
    "sigmoid": sigmoid,
    "robust": robust,
    "hinge": hinge,
    "ipo": ipo,
}


def kto(log_ratio: Tensor, desirable: Tensor, kl: Tensor, beta: float) -> Tensor:
    """1 - sigmoid(beta (h - kl)) for a desirable answer, 1 - sigmoid(beta (kl - h)) for an undesirable one.

    KTO (arXiv:2402.01306, eq. 8). `kl` estimates KL(policy || reference) and carries no gradient.
    """
    return 1 - torch.sigmoid(beta * torch.where(desirable, log_ratio - kl, kl - log_ratio))


def kl_estimate(log_ratio: Tensor) -> Tensor:
    """max(0, mean h) over answers that belong to other prompts: KTO's estimate of the KL, without a gradient."""
    return log_ratio.mean().clamp(min=0).detach()


UNPAIRED_LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {"kto": kto}
