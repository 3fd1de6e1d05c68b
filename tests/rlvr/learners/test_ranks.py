"""Ranks that share a batch: their gradients and totals add up to those of one learner that has all of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from rlvr.algorithms.presets import resolve
from rlvr.algorithms.weights import token_weights
from rlvr.batching import Piece, plan, token_batch
from rlvr.config import ModelConfig, OptimizerConfig
from rlvr.learners.base import Loss, Total
from rlvr.learners.local import LocalLearner
from rlvr.models.chat import Chat
from rlvr.models.heads import load_reward_model
from rlvr.models.load import load_policy
from rlvr.trainers.dpo import PairLoss
from rlvr.trainers.grpo import GRPOLoss
from rlvr.trainers.reward_model import ComparisonLoss
from rlvr.types import Batch
from tests.conftest import TINY

CPU = torch.device("cpu")


def policy_learner(chat: Chat) -> LocalLearner:
    policy = load_policy(ModelConfig(scratch=TINY), chat, CPU, temperature=1.0, seed=0)
    return LocalLearner(policy, OptimizerConfig(), steps=1)


def reward_learner(chat: Chat) -> LocalLearner:
    return LocalLearner(load_reward_model(ModelConfig(scratch=TINY), chat, CPU, seed=0), OptimizerConfig(), steps=1)


def batch() -> Batch:
    """Three groups of two rows, with all that the losses below ask for."""
    random = torch.Generator().manual_seed(0)

    def tokens(count: int) -> list[int]:
        return torch.randint(5, 300, (count,), generator=random).tolist()

    completions = [tokens(count) for count in (9, 3, 14, 6, 1, 11)]
    prompts = [tokens(count) for count in (4, 4, 2, 2, 5, 5)]
    plain = token_batch(prompts, completions, [[True] * len(ids) for ids in completions], [0, 0, 1, 1, 2, 2])
    advantages_B = torch.tensor([1.0, -0.5, -0.5, 0.3, -0.6, 0.3])
    return replace(
        plain,
        advantages=advantages_B.unsqueeze(-1) * plain.completion_mask,
        rollout_logprobs=torch.zeros(plain.input_ids.shape),
        loss_weights=token_weights(plain.completion_mask, plain.group_index, "token", max_tokens=20),
        ranks_B=torch.tensor([0, 1, 1, 0, 0, 1]),
        ref_logprobs_B=torch.tensor([-50.0, -20.0, -80.0, -30.0, -5.0, -60.0]),
    )


CASES = [
    pytest.param(policy_learner, GRPOLoss(resolve("dr_grpo")), id="rows"),
    pytest.param(policy_learner, PairLoss("sigmoid", 0.1, 0.0, prompts=3), id="pairs"),
    pytest.param(reward_learner, ComparisonLoss(margin=False, center_rewards_coef=0.1, prompts=3), id="scores"),
]


def share(learner: LocalLearner, pieces: Sequence[Piece], loss: Loss) -> tuple[dict[str, Total], Tensor, Tensor]:
    """Totals, gradient and log-probabilities of one rank's pieces."""
    learner.policy.train()
    totals, logprobs = learner.accumulate(batch(), pieces, loss)
    gradient = [p.grad if p.grad is not None else torch.zeros_like(p) for p in learner.policy.trainable().values()]
    return totals, torch.cat([part.flatten() for part in gradient]), logprobs


def added(one: dict[str, Total], other: dict[str, Total]) -> dict[str, Total]:
    return {name: one.get(name, Total(0.0)) + other.get(name, Total(0.0)) for name in {**one, **other}}


@pytest.mark.parametrize(("make", "loss"), CASES)
@pytest.mark.parametrize("max_tokens", [1, 40])
def test_the_shares_of_two_ranks_add_up_to_the_whole(chat: Chat, make, loss: Loss, max_tokens: int) -> None:
    (everything,) = plan(batch(), 10_000, whole_groups=loss.whole_groups)
    assert len(everything) == 1
    whole_totals, whole_gradient, whole_logprobs = share(make(chat), everything, loss)
    dealt = plan(batch(), max_tokens, ranks=2, whole_groups=loss.whole_groups)
    assert len(dealt[0]) == len(dealt[1]) > 1
    (totals, gradient, logprobs), (more, other_gradient, other_logprobs) = (
        share(make(chat), pieces, loss) for pieces in dealt
    )
    largest = float(whole_gradient.abs().max())
    assert largest > 1e-3
    assert_close(gradient + other_gradient, whole_gradient, atol=1e-7 * max(1.0, largest), rtol=1e-5)
    assert_close(logprobs + other_logprobs, whole_logprobs, atol=1e-5, rtol=1e-5)
    both = added(totals, more)
    assert both.keys() == whole_totals.keys()
    for name, total in whole_totals.items():
        assert both[name].count == total.count, name
        assert both[name].sum == pytest.approx(total.sum, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize(("make", "loss"), CASES)
def test_a_filler_changes_neither_gradient_nor_totals(chat: Chat, make, loss: Loss) -> None:
    (pieces,) = plan(batch(), 1, whole_groups=loss.whole_groups)
    filler = replace(pieces[-1], is_filler=True)
    totals, gradient, logprobs = share(make(chat), pieces, loss)
    same_totals, same_gradient, same_logprobs = share(make(chat), [filler, *pieces, filler], loss)
    assert same_totals == totals
    assert torch.equal(same_gradient, gradient)
    assert torch.equal(same_logprobs, logprobs)


@pytest.mark.parametrize(("make", "loss"), CASES)
def test_a_rank_that_has_only_fillers_adds_nothing_and_has_a_gradient_of_zeros(chat: Chat, make, loss: Loss) -> None:
    _, pieces = plan(batch(), 10_000, ranks=2, whole_groups=loss.whole_groups)
    assert [piece.is_filler for piece in pieces] == [True]
    totals, gradient, logprobs = share(make(chat), pieces, loss)
    assert totals == {"loss": Total(0.0, 0)}
    assert not gradient.any()
    assert not logprobs.any()
