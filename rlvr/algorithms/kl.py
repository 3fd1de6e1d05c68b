"""Estimates of KL(policy || reference) from the log-probabilities of tokens that the old policy drew.

With d = log pi_ref - log pi at a token (Schulman, "Approximating KL divergence", 2020), and w = pi / pi_old:

    k1           -d                    unbiased, can be negative, high variance; in a loss its gradient is pure noise
    k2           d^2 / 2               biased, low variance; its gradient is that of the true KL
    k3           exp(d) - d - 1        unbiased, never negative; its gradient is that of KL(reference || policy)
    k3_unbiased  w (exp(d) - d - 1)    value and gradient unbiased (DeepSeek-V3.2, arXiv:2512.02556, eq. 7)

An estimator takes d and w, both `(B, T)` with gradients, and returns `(B, T)`.
"""

from collections.abc import Callable

from torch import Tensor

from rlvr.algorithms.choices import pick
from rlvr.algorithms.log_ratio import bounded


def k1(log_ratio: Tensor, ratio: Tensor) -> Tensor:
    return -log_ratio


def k2(log_ratio: Tensor, ratio: Tensor) -> Tensor:
    return log_ratio**2 / 2


def k3(log_ratio: Tensor, ratio: Tensor) -> Tensor:
    return log_ratio.exp() - log_ratio - 1


def k3_unbiased(log_ratio: Tensor, ratio: Tensor) -> Tensor:
    """k3 times the ratio pi / pi_old, with the gradient of that ratio."""
    return ratio * k3(log_ratio, ratio)


ESTIMATORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "k1": k1,
    "k2": k2,
    "k3": k3,
    "k3_unbiased": k3_unbiased,
}


def kl(logprobs: Tensor, ref_logprobs: Tensor, ratio: Tensor, estimator: str) -> Tensor:
    """Per-token KL estimate, of the shape of `logprobs`, with its gradient in `logprobs` and `ratio`."""
    log_ratio = bounded(ref_logprobs - logprobs)
    return pick(ESTIMATORS, estimator, "kl")(log_ratio, ratio)
