"""Each preset against its paper's formula, and what must not change its loss.

A preset is compared at one step, which reaches every place where its rule could be wrong: `places` holds it to that.
What a loss does with rows that are already prepared is tested once for each way through `policy_loss`, and not for
presets that differ in their advantages alone. Gradients of the formulas come from autograd, as ours do, but through
sums of single tokens that share no operation with ours.
"""

from dataclasses import dataclass, replace
from math import exp

import pytest
import torch
from torch import Tensor, tensor

from rlvr.algorithms.advantage import Outcomes, advantages
from rlvr.algorithms.objective import Objective
from rlvr.algorithms.policy_loss import SURROGATES, policy_loss
from rlvr.algorithms.presets import PRESETS
from rlvr.algorithms.returns import kl_penalty, token_advantages
from rlvr.algorithms.weights import token_weights
from tests.rlvr.algorithms.transcriptions import FORMULAS, Case

MAX_TOKENS = 9
EVERY = pytest.mark.parametrize("preset", sorted(PRESETS))
# How far the policy has moved from the old one: so far that some ratios stay within the preset's range and others leave
# it on each side.
DRIFT = dict.fromkeys(PRESETS, 0.6) | {"gspo": 6e-4, "luspo": 4e-3, "cispo": 3.0}


def differing(*choices: str) -> pytest.MarkDecorator:
    """One preset for each combination of these choices."""
    chosen = {tuple(getattr(row, choice) for choice in choices): name for name, row in PRESETS.items()}
    return pytest.mark.parametrize("preset", sorted(chosen.values()))


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


def step(drift: float) -> Step:
    """Four problems: three of mixed and one of equal rewards, 2 to 4 completions each, of 1 to 5 tokens."""
    draw = torch.Generator().manual_seed(107)
    lengths = tensor([3, 1, 4, 2, 5, 3, 2, 4, 2, 3, 1, 4])
    mask = (torch.arange(8) >= 2) & (torch.arange(8) < 2 + lengths[:, None])
    noise = torch.randn(3, 12, 8, generator=draw, dtype=torch.float64)
    old = -(noise[0].abs() + 0.05)
    group_index = tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3])
    outcomes = Outcomes(
        rewards=tensor([1.0, 0.0, 0.0, 1.0, 0.25, 1.0, 0.5, 0.0, 1.0, 0.0, 1.0, 1.0], dtype=torch.float64),
        group_index=group_index,
        lengths_B=lengths.double(),
        moving_average=0.4,
        parts=tensor(
            [[1, 0], [0, 0.5], [0, 1], [1, 1], [1, 1], [0, 0], [1, 0], [0, 0.5], [1, 1], [0, 0], [0, 1], [1, 1]],
            dtype=torch.float64,
        ),
        cohort_lag_B=tensor([0.3, -0.2, 0.1, 0.0], dtype=torch.float64)[group_index],
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


def places(p: Prepared, objective: Objective) -> set[tuple[bool, str]]:
    """Of the tokens with an advantage: whether it is good, and where the token lies in the range its rule bounds."""
    s = p.step
    moved, low, high = (s.logprobs - s.old).exp(), 1 - objective.clip_low, 1 + objective.clip_high
    if objective.ratio == "sequence":
        moved = (((s.logprobs - s.old) * s.mask).sum(-1, keepdim=True) / s.mask.sum(-1, keepdim=True)).exp() * s.mask
    if objective.surrogate == "geometric":
        low, high = exp(-objective.clip_low), exp(objective.clip_high)
    if objective.surrogate == "tv_mask":
        moved, low, high = (
            s.logprobs.exp() - s.old.exp(),
            -objective.divergence_threshold,
            objective.divergence_threshold,
        )
    trained = s.mask & (p.advantages != 0)
    return {
        (advantage > 0, "below" if value < low else "above" if value > high else "within")
        for advantage, value in zip(p.advantages[trained].tolist(), moved[trained].tolist(), strict=True)
    }


def assert_agrees(actual: Tensor, expected: Tensor, relative: float) -> None:
    """To `relative` of the largest number in `expected`."""
    assert (actual - expected).abs().max() <= relative * expected.abs().max() + 1e-15


def test_every_preset_has_a_formula() -> None:
    assert FORMULAS.keys() == PRESETS.keys()


@EVERY
def test_value_and_gradient_agree_with_the_papers_formula(preset: str) -> None:
    s, objective = step(DRIFT[preset]), PRESETS[preset]
    logprobs = s.logprobs.clone().requires_grad_()
    expected = transcribed(preset, s, logprobs, s.logprobs)
    (expected_gradient,) = torch.autograd.grad(expected, logprobs)
    p = prepare(s, objective)
    loss, gradient = loss_and_gradient(p, objective)
    assert_agrees(loss, expected.detach(), 1e-6)
    assert_agrees(gradient, expected_gradient, 1e-6)
    assert (gradient[~s.mask] == 0).all()
    # Nothing of the formula was left out of the comparison: good and bad tokens, on each side of each bound.
    sides = ("within", "above") if objective.clip_low == 1 else ("below", "within", "above")
    assert places(p, objective) == {(good, side) for good in (True, False) for side in sides}


@differing("surrogate", "ratio", "kl_in_loss", "kl")
def test_the_pieces_of_a_split_that_runs_across_groups_add_up_to_the_whole(preset: str) -> None:
    # Pieces of 1, 4 and 7 rows: what divided by the rows or the tokens of a piece, or looked at neighbours, would show.
    objective, p = PRESETS[preset], prepare(step(DRIFT[preset]), PRESETS[preset])
    loss, gradient = loss_and_gradient(p, objective)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    parts = [(rows, *loss_and_gradient(p, objective, rows)) for rows in order.split([1, 4, 7])]
    assert_agrees(torch.stack([part for _, part, _ in parts]).sum(), loss, 1e-12)
    together = torch.zeros_like(gradient)
    for rows, _, part in parts:
        together[rows] = part
    assert_agrees(together, gradient, 1e-12)


@EVERY
def test_padding_on_both_sides_changes_nothing(preset: str) -> None:
    s, objective = step(DRIFT[preset]), PRESETS[preset]
    loss, gradient = loss_and_gradient(prepare(s, objective), objective)
    wide_loss, wide = loss_and_gradient(prepare(s.padded(2, 5), objective), objective)
    assert_agrees(wide_loss, loss, 1e-12)
    assert_agrees(wide[:, 2:10], gradient, 1e-12)


@EVERY
def test_the_order_of_rows_changes_nothing(preset: str) -> None:
    s, objective, order = step(DRIFT[preset]), PRESETS[preset], tensor([5, 2, 10, 7, 0, 9, 3, 6, 11, 1, 8, 4])
    loss, gradient = loss_and_gradient(prepare(s, objective), objective)
    other_loss, other = loss_and_gradient(prepare(s.rows(order), objective), objective)
    assert_agrees(other_loss, loss, 1e-7)
    assert_agrees(other, gradient[order], 1e-7)


@differing("surrogate", "ratio")
def test_zero_advantage_gives_zero_gradient_where_the_loss_has_no_other_term(preset: str) -> None:
    objective = replace(PRESETS[preset], kl_coef=0.0)
    p = prepare(step(DRIFT[preset]), objective)
    _, gradient = loss_and_gradient(replace(p, advantages=torch.zeros_like(p.advantages)), objective)
    assert (gradient == 0).all()
    assert not objective.trains_without_advantage


@differing("surrogate", "ratio")
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


@pytest.mark.parametrize(
    ("surrogate", "ratio"),
    [(name, "token") for name in SURROGATES]
    + [(name, "sequence") for name in ("clip", "cispo", "soft_gate", "reinforce")],
)
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
