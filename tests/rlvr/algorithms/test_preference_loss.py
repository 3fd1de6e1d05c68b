import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from rlvr.algorithms.preference_loss import (
    PAIR_LOSSES,
    bradley_terry,
    centring,
    comparison_weights,
    comparisons,
    hinge,
    ipo,
    kl_estimate,
    kto,
    robust,
    sigmoid,
)

LN2 = math.log(2)


def test_bradley_terry_at_equal_scores_is_ln_2_and_pulls_the_scores_apart() -> None:
    better, worse = tensor([1.5], requires_grad=True), tensor([1.5], requires_grad=True)
    loss = bradley_terry(better, worse)
    assert_close(loss, tensor([LN2]))
    loss.sum().backward()
    assert_close(better.grad, tensor([-0.5]))  # descending raises the better score
    assert_close(worse.grad, tensor([0.5]))


def test_bradley_terry_by_hand() -> None:
    # sigmoid(2 - 1) = 0.731059, -log = 0.313262; with a margin of 1 the scores are just apart enough: log 2.
    assert_close(bradley_terry(tensor([2.0]), tensor([1.0])), tensor([0.313262]), atol=1e-6, rtol=0)
    assert_close(bradley_terry(tensor([2.0]), tensor([1.0]), 1.0), tensor([LN2]))
    assert centring(tensor([2.0]), tensor([1.0])).item() == 9.0


def test_dpo_at_the_reference_is_ln_2_and_raises_the_better_answer() -> None:
    better, worse = tensor([0.0], requires_grad=True), tensor([0.0], requires_grad=True)
    loss = sigmoid(better - worse, better - worse, 0.1, 0.0)
    assert_close(loss, tensor([LN2]))
    loss.sum().backward()
    assert_close(better.grad, tensor([-0.05]))  # -beta / 2
    assert_close(worse.grad, tensor([0.05]))


def test_pair_losses_by_hand() -> None:
    d, mean_d = tensor([5.0]), tensor([0.5])  # beta d = 0.5
    plain, flipped = 0.474077, 0.974077  # -log sigmoid(0.5), -log sigmoid(-0.5)
    assert_close(sigmoid(d, mean_d, 0.1, 0.0), tensor([plain]), atol=1e-6, rtol=0)
    assert_close(sigmoid(d, mean_d, 0.1, 0.2), tensor([0.8 * plain + 0.2 * flipped]), atol=1e-6, rtol=0)
    assert_close(robust(d, mean_d, 0.1, 0.2), tensor([(0.8 * plain - 0.2 * flipped) / 0.6]), atol=1e-6, rtol=0)
    assert_close(hinge(d, mean_d, 0.1, 0.0), tensor([0.5]))
    assert_close(hinge(4 * d, mean_d, 0.1, 0.0), tensor([0.0]))
    assert_close(ipo(d, mean_d, 0.1, 0.0), tensor([20.25]))  # (0.5 - 5)^2


def test_label_smoothing_has_its_minimum_where_the_odds_are_those_of_a_flip() -> None:
    d = tensor([math.log(0.8 / 0.2) / 0.1], requires_grad=True)  # sigmoid(0.1 d) = 0.8
    sigmoid(d, d, 0.1, 0.2).sum().backward()
    assert_close(d.grad, tensor([0.0]), atol=1e-8, rtol=0)


def test_robust_is_on_average_over_flipped_labels_the_clean_loss() -> None:
    d = tensor([3.0])
    average = 0.7 * robust(d, d, 0.1, 0.3) + 0.3 * robust(-d, -d, 0.1, 0.3)
    assert_close(average, sigmoid(d, d, 0.1, 0.0))


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_every_pair_loss_falls_as_the_better_answer_gains(name: str) -> None:
    d = tensor([1.0], requires_grad=True)
    PAIR_LOSSES[name](d, d / 10, 0.1, 0.0).sum().backward()
    assert d.grad is not None
    assert d.grad.item() < 0


def test_kto_by_hand_and_which_way_it_pushes() -> None:
    h = tensor([3.0, 3.0], requires_grad=True)
    wanted = tensor([True, False])
    loss = kto(h, wanted, tensor(1.0), 0.5)  # sigmoid(0.5 * 2) = 0.731059
    assert_close(loss, tensor([1 - 0.731059, 0.731059]), atol=1e-6, rtol=0)
    loss.sum().backward()
    assert h.grad is not None
    assert h.grad[0] < 0 < h.grad[1]


def test_the_kl_estimate_is_never_negative_and_carries_no_gradient() -> None:
    h = tensor([1.0, 2.0], requires_grad=True)
    assert kl_estimate(h).item() == 1.5
    assert not kl_estimate(h).requires_grad
    assert kl_estimate(-h).item() == 0.0


def test_a_ranking_of_four_is_six_comparisons_that_weigh_as_much_as_one_pair() -> None:
    ranks = tensor([0, 1, 2, 3, 0, 1])
    group = tensor([0, 0, 0, 0, 1, 1])
    better, worse = comparisons(ranks, group)
    assert sorted(zip(better.tolist(), worse.tolist(), strict=True)) == [
        (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (4, 5),
    ]  # fmt: skip
    weights = comparison_weights(better, group, groups=2)
    assert_close(weights, tensor([1 / 12] * 6 + [1 / 2]))


def test_ties_are_no_comparisons_and_the_order_of_rows_does_not_matter() -> None:
    better, worse = comparisons(tensor([1, 0, 0]), tensor([7, 7, 7]))
    assert list(zip(better.tolist(), worse.tolist(), strict=True)) == [(1, 0), (2, 0)]
    better, _ = comparisons(tensor([0, 0]), tensor([0, 0]))
    assert len(better) == 0
    assert torch.isfinite(comparison_weights(better, tensor([0, 0]), groups=0)).all()
