"""Estimates of KL(policy || reference) from the log-probabilities of tokens that the policy drew.

With d = log pi_ref - log pi at a token (Schulman, "Approximating KL divergence", 2020):

    k1 = -d                 unbiased, can be negative, high variance
    k2 = d^2 / 2            biased, low variance; its gradient is that of the true KL
    k3 = exp(d) - d - 1     unbiased, never negative
"""

from collections.abc import Callable

from torch import Tensor

from rlvr.algorithms.choices import pick

# exp(d) of a token that the reference finds e^20 times likelier says "far off" as well as a larger number would.
MAX_LOG_RATIO = 20.0


def k1(log_ratio: Tensor) -> Tensor:
    return -log_ratio


def k2(log_ratio: Tensor) -> Tensor:
    return log_ratio**2 / 2


def k3(log_ratio: Tensor) -> Tensor:
    return log_ratio.exp() - log_ratio - 1


ESTIMATORS: dict[str, Callable[[Tensor], Tensor]] = {"k1": k1, "k2": k2, "k3": k3}


def kl(logprobs: Tensor, ref_logprobs: Tensor, estimator: str) -> Tensor:
    """Per-token KL estimate, of the shape of `logprobs`, with its gradient in `logprobs`."""
    log_ratio = (ref_logprobs - logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    return pick(ESTIMATORS, estimator, "kl")(log_ratio)
