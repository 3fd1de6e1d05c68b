import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from rlvr.algorithms.objective import Objective
from rlvr.algorithms.policy_loss import policy_loss
from rlvr.algorithms.presets import PRESETS
from rlvr.algorithms.weights import token_weights

MASK = tensor([[True, True, False], [True, True, True]])
GROUPS = tensor([0, 0])


def loss_of(objective: Objective, ratio: Tensor, advantages: Tensor, mask: Tensor = MASK, **more: Tensor) -> Tensor:
    """The loss at given ratios, with old log-probabilities of -1."""
    old = torch.full(ratio.shape, -1.0, dtype=ratio.dtype)
    weights = token_weights(mask, torch.zeros(len(mask), dtype=torch.long), objective.aggregate, max_tokens=4)
    value, _ = policy_loss(
        old + ratio.log(), torch.zeros_like(ratio), old_logprobs=old, advantages=advantages * mask, mask=mask,
        weights=weights.to(ratio.dtype), objective=objective, **more,
    )  # fmt: skip
    return value


@pytest.mark.parametrize("advantage", [-5.0, -1.0, 1.0, 5.0])
@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.5])
def test_the_clip_table_at_epsilon_0_2(advantage: float, ratio: float) -> None:
    # min(w A, clip(w, 0.8, 1.2) A), worked by hand for each pair.
    table = {
        (-5.0, 0.5): -4.0, (-5.0, 1.0): -5.0, (-5.0, 1.5): -7.5,
        (-1.0, 0.5): -0.8, (-1.0, 1.0): -1.0, (-1.0, 1.5): -1.5,
        (1.0, 0.5): 0.5, (1.0, 1.0): 1.0, (1.0, 1.5): 1.2,
        (5.0, 0.5): 2.5, (5.0, 1.0): 5.0, (5.0, 1.5): 6.0,
    }  # fmt: skip
    objective = Objective(aggregate="token")
    loss = loss_of(objective, tensor([[ratio]]), tensor([[advantage]]), tensor([[True]]))
    assert_close(loss, tensor(-table[advantage, ratio]))


@pytest.mark.parametrize("advantage", [-5.0, -1.0, 1.0, 5.0])
@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.5])
def test_the_gradient_is_cut_only_where_the_ratio_went_too_far_the_right_way(advantage: float, ratio: float) -> None:
    logprobs = tensor([[-1.0 + math.log(ratio)]], requires_grad=True)
    loss, stats = policy_loss(
        logprobs, torch.zeros(1, 1), old_logprobs=tensor([[-1.0]]), advantages=tensor([[advantage]]),
        mask=tensor([[True]]), weights=tensor([[1.0]]), objective=Objective(),
    )  # fmt: skip
    loss.backward()
    is_cut = (advantage > 0 and ratio > 1.2) or (advantage < 0 and ratio < 0.8)
    assert_close(logprobs.grad, tensor([[0.0 if is_cut else -ratio * advantage]]))
    assert stats["clip_fraction"].item() == float(is_cut)


def test_grpo_by_hand_averages_over_tokens_and_then_over_completions() -> None:
    # completion 1: ratios 1, 1.5 with A = 1 -> (1 + 1.2) / 2 = 1.1; completion 2: 1, 0.5, 1 with A = -1 -> -(2.8) / 3
    ratio = tensor([[1.0, 1.5, 7.0], [1.0, 0.5, 1.0]])
    loss = loss_of(replace(PRESETS["grpo"], kl_coef=0.0), ratio, tensor([[1.0], [-1.0]]))
    assert_close(loss, tensor(-(1.1 - 2.8 / 3) / 2))


def test_dr_grpo_by_hand_divides_by_a_constant() -> None:
    ratio = tensor([[1.0, 1.5, 7.0], [1.0, 0.5, 1.0]])
    loss = loss_of(PRESETS["dr_grpo"], ratio, tensor([[1.0], [-1.0]]))
    assert_close(loss, tensor(-(2.2 - 2.8) / (2 * 4)))


def test_the_sequence_ratio_is_the_geometric_mean_and_clips_the_whole_completion() -> None:
    # completion 1: sqrt(1 * 1.44) = 1.2 at both tokens; completion 2: cube root of 0.512 = 0.8
    ratio = tensor([[1.0, 1.44, 7.0], [0.512, 1.0, 1.0]])
    objective = Objective(ratio="sequence", aggregate="sequence", clip_low=0.1, clip_high=0.1)
    loss = loss_of(objective, ratio, tensor([[1.0], [-1.0]]))
    assert_close(loss, tensor(-(1.1 - 0.9) / 2))


def test_the_kl_term_is_added_with_its_coefficient() -> None:
    ones = torch.ones(2, 3)
    reference = torch.full((2, 3), -1.0 + math.log(2))  # k3 = 2 - log 2 - 1
    with_kl = loss_of(PRESETS["grpo"], ones, torch.zeros(2, 1), ref_logprobs=reference)
    assert_close(with_kl, tensor(0.04 * (1 - math.log(2))))


def test_a_kl_term_without_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="ref_logprobs is missing"):
        loss_of(PRESETS["grpo"], torch.ones(2, 3), torch.zeros(2, 1))


def test_an_entropy_bonus_lowers_the_loss() -> None:
    entropy = torch.full((2, 3), 0.5)
    weights = token_weights(MASK, GROUPS, "token", max_tokens=4)
    loss, _ = policy_loss(
        torch.zeros(2, 3), entropy, old_logprobs=torch.zeros(2, 3), advantages=torch.zeros(2, 3), mask=MASK,
        weights=weights, objective=Objective(entropy_coef=0.1),
    )  # fmt: skip
    assert_close(loss, tensor(-0.05))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_what_lies_outside_of_the_mask_changes_neither_loss_nor_gradient(preset: str) -> None:
    results = []
    for outside in (-1.0, -1e30, 1e30, float("nan")):
        logprobs = torch.full((2, 3), -1.2).masked_fill(~MASK, outside).requires_grad_()
        loss, _ = policy_loss(
            logprobs, torch.zeros(2, 3), old_logprobs=torch.full((2, 3), -1.0), ref_logprobs=torch.full((2, 3), -1.1),
            advantages=tensor([[1.0], [-1.0]]) * MASK, mask=MASK,
            weights=token_weights(MASK, GROUPS, "sequence", max_tokens=4), objective=PRESETS[preset],
        )  # fmt: skip
        loss.backward()
        results.append((loss.detach(), logprobs.grad[MASK]))
    for loss, gradient in results[1:]:
        assert_close(loss, results[0][0])
        assert_close(gradient, results[0][1])


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_zero_advantage_gives_zero_gradient_where_nothing_else_is_asked_for(preset: str) -> None:
    objective = replace(PRESETS[preset], kl_coef=0.0)
    logprobs = torch.full((2, 3), -1.3, requires_grad=True)
    loss, _ = policy_loss(
        logprobs, torch.zeros(2, 3), old_logprobs=torch.full((2, 3), -1.0), advantages=torch.zeros(2, 3), mask=MASK,
        weights=token_weights(MASK, GROUPS, "token", max_tokens=4), objective=objective,
    )  # fmt: skip
    loss.backward()
    assert (logprobs.grad == 0).all()
    assert not objective.trains_without_advantage


def test_shapes_that_do_not_fit_are_refused() -> None:
    zeros = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"advantages must match mask: got \(2,\), expected \(2, 3\)"):
        policy_loss(
            zeros, zeros, old_logprobs=zeros, advantages=torch.zeros(2), mask=MASK, weights=zeros, objective=Objective()
        )
