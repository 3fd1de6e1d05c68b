"""The example clip rule, by the name that a user would give it."""

import math

import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from rlvr.algorithms.policy_loss import policy_loss
from rlvr.algorithms.presets import resolve
from rlvr.preflight import check_objective

OBJECTIVE = resolve({"preset": "dr_grpo", "surrogate": "examples.objectives.my_rules:my_clip"})


def value_and_gradient(ratio: float, advantage: float, old: float) -> tuple[Tensor, Tensor]:
    """What one token adds to what is maximized, and its gradient in the token's log-probability."""
    logprobs = tensor([[math.log(old * ratio)]], requires_grad=True)
    loss, _ = policy_loss(
        logprobs, torch.zeros(1, 1), old_logprobs=tensor([[math.log(old)]]), advantages=tensor([[advantage]]),
        mask=tensor([[True]]), weights=torch.ones(1, 1), objective=OBJECTIVE,
    )  # fmt: skip
    (gradient,) = torch.autograd.grad(-loss, logprobs)
    return -loss.detach(), gradient[0, 0]


def test_the_rule_is_found_by_its_name() -> None:
    check_objective(OBJECTIVE)


@pytest.mark.parametrize(
    ("ratio", "advantage", "old", "value", "gradient"),
    [
        (1.3, 1.0, 0.5, 1.3, 1.3),  # may rise to 1 + 1.5 x 0.2 = 1.3
        (1.35, 2.0, 0.5, 2.6, 0.0),
        (1.35, 2.0, 0.1, 2.7, 2.7),  # rarer: to 1.38
        (0.7, -1.0, 0.5, -0.8, 0.0),
        (0.7, 1.0, 0.5, 0.7, 0.7),
        (1.9, -1.0, 0.5, -1.9, -1.9),
    ],
)
def test_a_rare_token_may_rise_further(
    ratio: float, advantage: float, old: float, value: float, gradient: float
) -> None:
    assert_close(
        value_and_gradient(ratio - 1e-6, advantage, old), (tensor(value), tensor(gradient)), rtol=1e-5, atol=1e-5
    )
