"""The trust-region step (TRPO, arXiv:1502.05477, appendix C): the natural gradient, as long as the KL allows.

    maximize  g . s   where   s F s / 2 <= bound                          near the old policy; F is the Fisher matrix
    s       = sqrt(2 bound / (x F x)) x   with   F x = g                  x by conjugate gradients, from products F v
    taken     the first of s, s/2, s/4, ... with a gain and a measured KL of at most the bound; else none

The caller supplies what depends on a model: the gradient, the products, and the gain and KL of a trial step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# The conjugate gradient method ends when |residual|^2 has fallen to this share of |target|^2.
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Trial:
    """Gain and KL of a trial step, as a share of the longest step."""

    share: float
    gain: float
    kl: float


def conjugate_gradient(product: Callable[[Tensor], Tensor], target: Tensor, iterations: int) -> Tensor:
    """An approximate solution x `(N,)` of product(x) = `target` `(N,)`, for a symmetric positive definite matrix.

    Exact after N iterations up to rounding (Hestenes and Stiefel, 1952).
    """
    solution = torch.zeros_like(target)
    residual, towards = target.clone(), target.clone()
    size = residual @ residual
    enough = TOLERANCE * size
    for _ in range(iterations):
        if size <= enough:
            break
        image = product(towards)
        length = size / (towards @ image)
        solution = solution + length * towards
        residual = residual - length * image
        size, before = residual @ residual, size
        towards = residual + size / before * towards
    return solution


def longest_step(direction: Tensor, curvature: float, bound: float) -> Tensor:
    """The step `(N,)` along `direction` whose KL, to second order, is `bound`.

    `curvature` is direction . F direction; if it is not positive, the step is zero.
    """
    return direction * (2 * bound / curvature) ** 0.5 if curvature > 0 else torch.zeros_like(direction)


def line_search(measure: Callable[[float], tuple[float, float]], bound: float, halvings: int) -> Trial | None:
    """The first of the shares 1, 1/2, 1/4, ... of a step with a gain and a KL of at most `bound`; `None` if none has.

    `measure` returns (gain, KL) of a share. NaN is refused.
    """
    for halving in range(halvings + 1):
        share = 0.5**halving
        gain, kl = measure(share)
        if gain > 0 and kl <= bound:
            return Trial(share, gain, kl)
    return None
