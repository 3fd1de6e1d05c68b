"""Each preset against its paper's formula, and what must not change its loss."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from rlvr.algorithms.advantage import Outcomes, advantages
from rlvr.algorithms.objective import Objective
from rlvr.algorithms.policy_loss import policy_loss
from rlvr.algorithms.presets import PRESETS
from rlvr.algorithms.returns import kl_penalty, token_advantages
from rlvr.algorithms.weights import token_weights
from tests.rlvr.algorithms.transcriptions import FORMULAS, Case

MAX_TOKENS = 9
EVERY = pytest.mark.parametrize("preset", sorted(PRESETS))
# How far the policy has moved from the old one: not at all, within GSPO's range, and across every clip range.
DRIFT = pytest.mark.parametrize("drift", [0.0, 3e-4, 3e-3, 0.6])


@dataclass(frozen=True)
class Step:
    """One optimizer step's rows, as tensors behind two columns of prompt and before padding."""

    logprobs: Tensor
    old: Tensor
    ref: Tensor
    mask: Tensor
    outcomes: Outcomes

    def rows(self, index: Tensor) -> "Step":
        o = self.outcomes
        assert o.parts is not None
        assert o.cohort_lag_B is not None
        picked = replace(
            o, rewards=o.rewards[index], group_index=o.group_index[index], lengths_B=o.lengths_B[index],
            parts=o.parts[index], cohort_lag_B=o.cohort_lag_B[index],
        )  # fmt: skip
        return Step(self.logprobs[index], self.old[index], self.ref[index], self.mask[index], picked)

    def padded(self, left: int, right: int) -> "Step":
        def pad(value: Tensor, fill: float) -> Tensor:
            return torch.nn.functional.pad(value, (left, right), value=fill)

        return replace(
            self, logprobs=pad(self.logprobs, -50.0), old=pad(self.old, 3.0), ref=pad(self.ref, -7.0),
            mask=torch.nn.functional.pad(self.mask, (left, right)),
        )  # fmt: skip


def step(drift: float, seed: int = 0) -> Step:
    """Three problems: two of mixed and one of equal rewards, completions of 1 to 5 tokens."""
    draw = torch.Generator().manual_seed(seed)
    lengths = tensor([3, 1, 4, 2, 5, 3, 2, 4])
    mask = (torch.arange(8) >= 2) & (torch.arange(8) < 2 + lengths[:, None])
    noise = torch.randn(3, 8, 8, generator=draw, dtype=torch.float64)
    old = -(noise[0].abs() + 0.05)
    outcomes = Outcomes(
        rewards=tensor([1.0, 0.0, 0.0, 0.25, 1.0, 0.5, 1.0, 1.0], dtype=torch.float64),
        group_index=tensor([0, 0, 0, 1, 1, 1, 2, 2]),
        lengths_B=lengths.double(),
        moving_average=0.4,
        parts=tensor([[1, 0], [0, 0.5], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1], [1, 1]], dtype=torch.float64),
        cohort_lag_B=tensor([0.3, 0.3, 0.3, -0.2, -0.2, -0.2, 0.0, 0.0], dtype=torch.float64),
    )
    logprobs = (old + drift * noise[1]).clamp(max=-1e-3)
    return Step(logprobs, old, (old + 0.2 * noise[2]).clamp(max=-1e-3), mask, outcomes)


def case_of(s: Step) -> Case:
    def completions(values: Tensor) -> list[list[float]]:
        return [row[mask].tolist() for row, mask in zip(values, s.mask, strict=True)]

    o = s.outcomes
    assert o.parts is not None
    assert o.cohort_lag_B is not None
    return Case(
        o.rewards.tolist(), o.group_index.tolist(), completions(s.old), completions(s.ref), o.parts.tolist(),
        o.cohort_lag_B.tolist(), o.moving_average, MAX_TOKENS,
    )  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """A step with what is computed over all its rows, before any split."""

    step: Step
    advantages: Tensor
    weights: Tensor


def prepare(s: Step, objective: Objective) -> Prepared:
    """What the trainer does before the loss: penalties, advantages, weights."""
    penalty = kl_penalty(s.old, s.ref, s.mask, objective)
    outcomes = s.outcomes
    if objective.kl_in == "reward":
        outcomes = replace(outcomes, rewards=outcomes.rewards - penalty.sum(-1))
    of_rows = advantages(outcomes, objective).unsqueeze(-1) * s.mask
    of_tokens = token_advantages(of_rows, s.mask, objective, penalty)
    weights = token_weights(s.mask, outcomes.group_index, objective.aggregate, MAX_TOKENS, torch.float64)
    return Prepared(s, of_tokens, weights)


def loss_and_gradient(p: Prepared, objective: Objective, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Loss of some of the rows, and its gradient in the log-probabilities of those."""
    rows = torch.arange(len(p.step.mask)) if rows is None else rows
    logprobs = p.step.logprobs[rows].clone().requires_grad_()
    loss, _ = policy_loss(
        logprobs, torch.zeros_like(logprobs), old_logprobs=p.step.old[rows], advantages=p.advantages[rows],
        mask=p.step.mask[rows], weights=p.weights[rows], objective=objective, ref_logprobs=p.step.ref[rows],
    )  # fmt: skip
    (gradient,) = torch.autograd.grad(loss, logprobs)
    return loss.detach(), gradient


def transcribed(preset: str, s: Step, logprobs: Tensor, frozen: Tensor) -> Tensor:
    """The formula's loss of a dense `(B, T)` tensor of log-probabilities."""
    now, fixed = (
        [list(row[mask].unbind()) for row, mask in zip(values, s.mask, strict=True)] for values in (logprobs, frozen)
    )
    return FORMULAS[preset](case_of(s), now, fixed)


def assert_agrees(actual: Tensor, expected: Tensor, relative: float) -> None:
    """To `relative` of the largest number in `expected`."""
    assert (actual - expected).abs().max() <= relative * expected.abs().max() + 1e-15


def test_every_preset_has_a_formula() -> None:
    assert FORMULAS.keys() == PRESETS.keys()


@EVERY
@DRIFT
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient_agree_with_the_papers_formula(preset: str, drift: float, seed: int) -> None:
    s, objective = step(drift, seed), PRESETS[preset]
    logprobs = s.logprobs.clone().requires_grad_()
    expected = transcribed(preset, s, logprobs, s.logprobs)
    (expected_gradient,) = torch.autograd.grad(expected, logprobs)
    loss, gradient = loss_and_gradient(prepare(s, objective), objective)
    assert_agrees(loss, expected.detach(), 1e-6)
    assert_agrees(gradient, expected_gradient, 1e-6)
    assert drift > 3e-3 or gradient.abs().max() > 1e-3  # something is compared: not everything was clipped


@EVERY
def test_the_gradient_agrees_with_finite_differences_of_the_formula(preset: str) -> None:
    s, objective = step(3e-4 if PRESETS[preset].ratio == "sequence" else 0.6), PRESETS[preset]
    _, gradient = loss_and_gradient(prepare(s, objective), objective)
    width = 1e-6
    for row, column in s.mask.nonzero().tolist():
        nudge = torch.zeros_like(s.logprobs)
        nudge[row, column] = width
        up, down = (transcribed(preset, s, s.logprobs + sign * nudge, s.logprobs) for sign in (1, -1))
        assert_close(gradient[row, column], (up - down) / (2 * width), rtol=1e-5, atol=1e-8)
    assert (gradient[~s.mask] == 0).all()


@EVERY
@DRIFT
@pytest.mark.parametrize("pieces", [1, 2, 3, 8])
def test_microbatches_add_up_to_the_whole(preset: str, drift: float, pieces: int) -> None:
    objective, p = PRESETS[preset], prepare(step(drift), PRESETS[preset])
    loss, gradient = loss_and_gradient(p, objective)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(pieces))
    parts = [(rows, *loss_and_gradient(p, objective, rows)) for rows in order.chunk(pieces)]
    assert_agrees(torch.stack([part for _, part, _ in parts]).sum(), loss, 1e-12)
    together = torch.zeros_like(gradient)
    for rows, _, part in parts:
        together[rows] = part
    assert together.equal(gradient)


@EVERY
@DRIFT
def test_two_ranks_with_half_of_the_rows_each_add_up_to_one(preset: str, drift: float) -> None:
    # A rank holds whole rows, and groups may lie across ranks: what is computed over all rows is gathered first.
    objective, p = PRESETS[preset], prepare(step(drift), PRESETS[preset])
    loss, gradient = loss_and_gradient(p, objective)
    ranks = [loss_and_gradient(p, objective, torch.arange(rank, 8, 2)) for rank in range(2)]
    assert_agrees(ranks[0][0] + ranks[1][0], loss, 1e-12)
    for rank in range(2):
        assert ranks[rank][1].equal(gradient[rank::2])


@EVERY
@DRIFT
@pytest.mark.parametrize(("left", "right"), [(0, 3), (2, 0), (1, 5)])
def test_padding_changes_nothing(preset: str, drift: float, left: int, right: int) -> None:
    objective = PRESETS[preset]
    loss, gradient = loss_and_gradient(prepare(step(drift), objective), objective)
    wide_loss, wide = loss_and_gradient(prepare(step(drift).padded(left, right), objective), objective)
    assert_agrees(wide_loss, loss, 1e-12)
    assert_agrees(wide[:, left : left + 8], gradient, 1e-12)


@EVERY
@DRIFT
def test_the_order_of_rows_changes_nothing(preset: str, drift: float) -> None:
    objective, order = PRESETS[preset], tensor([5, 2, 7, 0, 3, 6, 1, 4])
    loss, gradient = loss_and_gradient(prepare(step(drift), objective), objective)
    other_loss, other = loss_and_gradient(prepare(step(drift).rows(order), objective), objective)
    assert_agrees(other_loss, loss, 1e-7)
    assert_agrees(other, gradient[order], 1e-7)


@EVERY
def test_zero_advantage_gives_zero_gradient_where_the_loss_has_no_other_term(preset: str) -> None:
    objective = replace(PRESETS[preset], kl_coef=0.0)
    p = prepare(step(0.6), objective)
    _, gradient = loss_and_gradient(replace(p, advantages=torch.zeros_like(p.advantages)), objective)
    assert (gradient == 0).all()
    assert not objective.trains_without_advantage


@EVERY
def test_the_first_update_has_ratio_1_cuts_nothing_and_is_the_policy_gradient(preset: str) -> None:
    objective = replace(PRESETS[preset], kl_coef=0.0)
    p = prepare(step(0.0), objective)
    s = p.step
    logprobs = s.logprobs.clone().requires_grad_()
    loss, stats = policy_loss(
        logprobs, torch.zeros_like(logprobs), old_logprobs=s.old, advantages=p.advantages, mask=s.mask,
        weights=p.weights, objective=objective,
    )  # fmt: skip
    assert (stats["ratio"] == 1).all()
    assert (stats["clip_fraction"] == 0).all()
    assert (stats["policy_kl"] == 0).all()
    # Whatever the surrogate: d loss / d log pi = -weight A, token by token.
    (gradient,) = torch.autograd.grad(loss, logprobs)
    assert_agrees(gradient, -p.weights * p.advantages, 1e-12)


@pytest.mark.parametrize("surrogate", ["cispo", "soft", "geometric", "band", "band_kl", "reinforce"])
@pytest.mark.parametrize("ratio", ["token", "sequence"])
def test_far_off_ratios_stay_finite(surrogate: str, ratio: str) -> None:
    for old, now in ((-200.0, -1e-9), (-1e-9, -200.0), (0.0, 0.0)):
        logprobs = torch.full((1, 3), now, requires_grad=True)
        loss, _ = policy_loss(
            logprobs, torch.zeros(1, 3), old_logprobs=torch.full((1, 3), old), advantages=torch.ones(1, 3),
            mask=torch.ones(1, 3, dtype=torch.bool), weights=torch.ones(1, 3),
            objective=Objective(surrogate=surrogate, ratio=ratio),
        )  # fmt: skip
        loss.backward()
        assert loss.isfinite()
        assert logprobs.grad is not None
        assert logprobs.grad.isfinite().all()
