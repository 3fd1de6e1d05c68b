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


# Ratios of 2 x 3 tokens with A = 1 and A = -1; the last of the first row is outside of the mask.
RATIO = tensor([[1.0, 1.5, 7.0], [0.5, 1.0, 4.0]])
SIGNS = tensor([[1.0], [-1.0]])


def surrogate_of(objective: Objective, old: float = 0.1) -> tuple[Tensor, Tensor, Tensor]:
    """Value, d value / d log pi, and what was cut, at RATIO over old probabilities of `old`."""
    logprobs = (RATIO * old).log().requires_grad_()
    loss, stats = policy_loss(
        logprobs, torch.zeros(2, 3), old_logprobs=torch.full((2, 3), math.log(old)), advantages=SIGNS * MASK, mask=MASK,
        weights=MASK.float(), objective=objective,
    )  # fmt: skip
    (gradient,) = torch.autograd.grad(-loss, logprobs)
    return -loss.detach(), gradient, stats["clip_fraction"].bool() & MASK


def test_dual_clip_by_hand_bounds_bad_tokens_at_its_ratio() -> None:
    # 1 + 1.2 - 0.8 - 1 - 3 where 4 would be unbounded.
    value, gradient, cut = surrogate_of(Objective(clip_dual=3.0))
    assert_close(value, tensor(1 + 1.2 - 0.8 - 1 - 3.0))
    assert_close(gradient, tensor([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]))
    assert cut.tolist() == [[False, True, False], [True, False, True]]


@pytest.mark.parametrize("dual", [1.3, 2.0, 5.0])
def test_dual_clip_is_the_two_sided_clip_wherever_it_lies_above_the_range(dual: float) -> None:
    for advantage in (-2.0, -0.5, 0.5, 2.0):
        ratio = torch.linspace(0.05, 6, 120)[None]
        two_sided = torch.minimum(ratio.clamp(max=dual) * advantage, ratio.clamp(0.8, 1.2) * advantage)
        for column in range(0, 120, 7):
            loss = loss_of(
                Objective(clip_dual=dual, aggregate="token"), ratio[:, column : column + 1], tensor([[advantage]]),
                tensor([[True]]),
            )  # fmt: skip
            assert_close(-loss, two_sided[0, column])


def test_cispo_by_hand_bounds_the_weight_and_keeps_every_gradient() -> None:
    value, gradient, cut = surrogate_of(Objective(surrogate="cispo", clip_low=1.0, clip_high=1.0))
    log = math.log
    expected = log(0.1) + 1.5 * log(0.15) - 0.5 * log(0.05) - log(0.1) - 2 * log(0.4)
    assert_close(value, tensor(expected))
    assert_close(gradient, tensor([[1.0, 1.5, 0.0], [-0.5, -1.0, -2.0]]))
    assert cut.tolist() == [[False, False, False], [False, False, True]]


def test_reinforce_by_hand_has_no_bound() -> None:
    value, gradient, cut = surrogate_of(Objective(surrogate="reinforce"))
    assert_close(value, tensor(1 + 1.5 - 0.5 - 1 - 4.0))
    assert_close(gradient, tensor([[1.0, 1.5, 0.0], [-0.5, -1.0, -4.0]]))
    assert not cut.any()


def test_the_band_by_hand_looks_at_probabilities_and_not_at_ratios() -> None:
    # At old 0.1: 0.15 and 0.05 are both 0.05 away; good and rising, bad and falling, and above 0.04, both are cut.
    value, gradient, cut = surrogate_of(Objective(surrogate="tv_mask", divergence_threshold=0.04))
    assert_close(value, tensor(1.0 - 1 - 4))
    assert_close(gradient, tensor([[1.0, 0.0, 0.0], [0.0, -1.0, -4.0]]))
    assert cut.tolist() == [[False, True, False], [True, False, False]]
    # At old 0.01 the same ratios move probabilities by 0.005: nothing is cut.
    assert not surrogate_of(Objective(surrogate="tv_mask", divergence_threshold=0.04), old=0.01)[2].any()


def test_the_band_by_kl_by_hand() -> None:
    # 0.1 log(0.1 / 0.15) + 0.9 log(0.9 / 0.85) = 0.01090; 0.1 log(0.1 / 0.05) + 0.9 log(0.9 / 0.95) = 0.02065
    cut = surrogate_of(Objective(surrogate="kl_mask", divergence_threshold=0.0110))[2]
    assert cut.tolist() == [[False, False, False], [True, False, False]]
    cut = surrogate_of(Objective(surrogate="kl_mask", divergence_threshold=0.0108))[2]
    assert cut.tolist() == [[False, True, False], [True, False, False]]
    assert not surrogate_of(Objective(surrogate="kl_mask", divergence_threshold=0.0207))[2].any()


def test_the_soft_gate_by_hand() -> None:
    # 4 / tau sigmoid(tau (w - 1)): 2 at w = 1 for tau = 1; its slope there is 1.
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    value, gradient, cut = surrogate_of(
        Objective(surrogate="soft_gate", temperature_positive=1.0, temperature_negative=2.0)
    )
    good = 4 * sigmoid(0) + 4 * sigmoid(0.5)
    bad = 2 * sigmoid(-1) + 2 * sigmoid(0) + 2 * sigmoid(6)
    assert_close(value, tensor(good - bad))
    slopes = [[1.0, 1.5 * 4 * sigmoid(0.5) * sigmoid(-0.5), 0.0],
              [-0.5 * 4 * sigmoid(-1) * sigmoid(1), -1.0, -4.0 * 4 * sigmoid(6) * sigmoid(-6)]]  # fmt: skip
    assert_close(gradient, tensor(slopes))
    assert not cut.any()


def test_the_geometric_mean_by_hand_bounds_each_token_on_one_side() -> None:
    # Good: min(1, 1.25) min(1.5, 1.25), root of 1.25. Bad: max(0.5, 0.8) max(1, 0.8) max(4, 0.8), cube root of 3.2.
    high, low = math.log(1.25), -math.log(0.8)
    value, gradient, cut = surrogate_of(Objective(surrogate="geometric", clip_low=low, clip_high=high))
    good, bad = 1.25**0.5, 3.2 ** (1 / 3)
    assert_close(value, tensor(2 * good - 3 * bad))  # each token carries the value of its completion
    assert_close(gradient, tensor([[good, 0.0, 0.0], [0.0, -bad, -bad]]))
    assert cut.tolist() == [[False, True, False], [True, False, False]]


def test_a_kl_term_in_the_reward_is_no_part_of_the_loss() -> None:
    ones, reference = torch.ones(2, 3), torch.full((2, 3), -3.0)
    for kl_in in ("reward", "token_reward"):
        objective = Objective(kl_coef=0.5, kl_in=kl_in)
        with_reference = loss_of(objective, ones, torch.ones(2, 1), ref_logprobs=reference)
        assert_close(with_reference, loss_of(Objective(), ones, torch.ones(2, 1)))


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


@pytest.mark.parametrize(
    "choices",
    [
        {"kl": "k1", "kl_coef": 0.3},
        {"kl": "k2", "kl_coef": 0.3},
        {"kl": "k3_unbiased", "kl_coef": 0.3},
        {"kl": "k3_unbiased", "kl_coef": 0.3, "ratio": "sequence"},
        {"clip_dual": 1.3},
        {"surrogate": "kl_mask", "divergence_threshold": 0.01},
        {"surrogate": "soft_gate", "ratio": "sequence"},
        {"surrogate": "reinforce", "ratio": "sequence", "aggregate": "prompt"},
    ],
)
def test_the_gradient_of_rows_without_a_name_agrees_with_finite_differences(choices: dict) -> None:
    objective, draw = Objective(**choices), torch.Generator().manual_seed(0)
    noise = torch.randn(3, 2, 3, dtype=torch.float64, generator=draw)
    old, reference = noise[0] - 3, noise[1] - 3
    weights = token_weights(MASK, GROUPS, objective.aggregate, max_tokens=4, dtype=torch.float64)

    def loss(values: Tensor) -> Tensor:
        return policy_loss(
            values, torch.zeros_like(values), old_logprobs=old, ref_logprobs=reference,
            advantages=tensor([[1.0], [-0.7]], dtype=torch.float64) * MASK, mask=MASK, weights=weights,
            objective=objective,
        )[0]  # fmt: skip

    assert torch.autograd.gradcheck(loss, (old + 0.4 * noise[2]).requires_grad_())
