import math

import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from rlvr.algorithms.kl import kl as kl_at_ratio

LOGPROBS = tensor([[math.log(0.5), math.log(0.2), math.log(0.9)]])
REFERENCE = tensor([[math.log(0.25), math.log(0.4), math.log(0.9)]])
# log(ref / pi): -log 2, log 2, 0


def kl(logprobs: Tensor, reference: Tensor, estimator: str) -> Tensor:
    """On-policy: with ratios of 1, which have no gradient."""
    return kl_at_ratio(logprobs, reference, torch.ones_like(logprobs), estimator)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        ("k1", [math.log(2), -math.log(2), 0.0]),
        ("k2", [math.log(2) ** 2 / 2, math.log(2) ** 2 / 2, 0.0]),
        ("k3", [0.5 + math.log(2) - 1, 2 - math.log(2) - 1, 0.0]),
    ],
)
def test_estimators_by_hand(estimator: str, expected: list[float]) -> None:
    assert_close(kl(LOGPROBS, REFERENCE, estimator), tensor([expected]))


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_k1_and_k3_are_unbiased(estimator: str) -> None:
    policy, reference = tensor([0.6, 0.3, 0.1]), tensor([0.2, 0.5, 0.3])
    true_kl = (policy * (policy / reference).log()).sum()
    assert_close((policy * kl(policy.log(), reference.log(), estimator)).sum(), true_kl)


def test_k3_is_never_negative_and_far_off_references_stay_finite() -> None:
    values = kl(torch.full((1, 4), -200.0), tensor([[-200.0, -1.0, -400.0, -201.0]]), "k3")
    assert (values >= 0).all()
    assert values.isfinite().all()


def test_the_gradient_of_k2_is_that_of_the_true_kl() -> None:
    logits = tensor([0.3, -0.2, 0.5], dtype=torch.float64, requires_grad=True)
    reference = tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
    policy = logits.log_softmax(-1)
    (true_gradient,) = torch.autograd.grad((policy.exp() * (policy - reference)).sum(), logits, retain_graph=True)
    # Expectation over tokens that the policy draws: its probabilities weigh, without a gradient of their own.
    estimate = (policy.exp().detach() * kl(policy, reference, "k2")).sum()
    (gradient,) = torch.autograd.grad(estimate, logits)
    assert_close(gradient, true_gradient)


def test_k3_unbiased_is_k3_times_the_ratio() -> None:
    ratio = tensor([[2.0, 0.5, 1.5]])
    expected = tensor([[2 * (0.5 + math.log(2) - 1), 0.5 * (2 - math.log(2) - 1), 0.0]])
    assert_close(kl_at_ratio(LOGPROBS, REFERENCE, ratio, "k3_unbiased"), expected)


def test_value_and_gradient_of_k3_unbiased_are_those_of_the_true_kl_off_policy() -> None:
    logits = tensor([0.3, -0.2, 0.5], dtype=torch.float64, requires_grad=True)
    old = tensor([0.5, 0.4, 0.1], dtype=torch.float64).log()
    reference = tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
    policy = logits.log_softmax(-1)
    true_kl = (policy.exp() * (policy - reference)).sum()
    (true_gradient,) = torch.autograd.grad(true_kl, logits, retain_graph=True)
    # Expectation over tokens that the old policy drew.
    estimate = (old.exp() * kl_at_ratio(policy, reference, (policy - old).exp(), "k3_unbiased")).sum()
    (gradient,) = torch.autograd.grad(estimate, logits)
    assert_close(estimate, true_kl)
    assert_close(gradient, true_gradient)
