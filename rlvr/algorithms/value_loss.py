"""The loss of a critic: half the squared distance to the return, with an optional bound on the change of a value."""

import torch
from torch import Tensor


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float) -> Tensor:
    """max((V - R)^2, (V_old + clamp(V - V_old, -clip, clip) - R)^2) / 2 at each token, `(B, T)`; clip 0 sets no bound.

    The bound keeps a value close to the one that the advantages were computed from (as in the code of PPO,
    arXiv:1707.06347; Engstrom et al., 2020, arXiv:2005.12729, section 3, find no harm in leaving it out).
    """
    loss = (values - returns) ** 2
    if clip:
        bounded = old_values + (values - old_values).clamp(-clip, clip)
        loss = torch.maximum(loss, (bounded - returns) ** 2)
    return loss / 2
