"""What crosses the seam: totals that add up, and losses that survive the way to where the weights are."""

import pickle
import pkgutil
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from importlib import import_module

import pytest
import torch

from rlvr import trainers
from rlvr.algorithms.presets import resolve
from rlvr.config.rl import PPO_OBJECTIVE
from rlvr.learners.base import Loss, Total, Update, mean_metrics
from rlvr.trainers.dpo import AnswerLoss, PairLoss
from rlvr.trainers.grpo import GRPOLoss
from rlvr.trainers.ppo import PPOLoss
from rlvr.trainers.reward_model import ComparisonLoss
from rlvr.trainers.sft import LikelihoodLoss
from rlvr.trainers.trust_region import CriticLoss

LOSSES = [
    GRPOLoss(resolve("dapo")),
    PPOLoss(PPO_OBJECTIVE, value_coef=0.5, value_clip=0.2),
    CriticLoss(value_coef=0.5, value_clip=0.2),
    PairLoss("sigmoid", beta=0.1, label_smoothing=0.05, prompts=12),
    AnswerLoss("kto", beta=0.1, desirable_weight=1.0, undesirable_weight=1.5, answers=16, kl=torch.tensor(0.25)),
    ComparisonLoss(margin=True, center_rewards_coef=0.01, prompts=12),
    LikelihoodLoss(),
]


def update(**totals: Total) -> Update:
    return Update(totals, torch.zeros(1, 1))


def test_totals_of_pieces_add_up_to_the_mean_over_all_their_values() -> None:
    one, other = Total(6.0, 3), Total(2.0, 1)  # means 2 and 2; together 8 / 4
    assert one + other == Total(8.0, 4)
    assert (one + other).value == 2.0
    assert (Total(6.0, 3) + Total(4.0, 1)).value == 2.5  # not 3, the mean of the means


def test_a_total_without_a_count_is_the_sum_itself() -> None:
    assert Total(0.75).value == 0.75
    assert (Total(0.75) + Total(0.5)).value == 1.25
    assert Total(0.0, 0).value == 0.0


def test_an_update_logs_values_and_several_log_their_mean() -> None:
    updates = [update(loss=Total(0.5), kl=Total(3.0, 2)), update(loss=Total(0.25), kl=Total(1.0, 4))]
    assert updates[0].metrics == {"loss": 0.5, "kl": 1.5}
    assert mean_metrics([one.metrics for one in updates]) == {"loss": 0.375, "kl": (1.5 + 0.25) / 2}


def test_optimizer_steps_that_logged_different_things_have_no_mean() -> None:
    with pytest.raises(KeyError, match="kl"):
        mean_metrics([update(loss=Total(0.5), kl=Total(1.0, 1)).metrics, update(loss=Total(0.5)).metrics])


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_loss_is_a_frozen_value_that_survives_pickling(loss: Loss) -> None:
    copy = pickle.loads(pickle.dumps(loss))
    assert copy == loss
    assert (copy.entropy_gradient, copy.whole_groups) == (loss.entropy_gradient, loss.whole_groups)
    assert is_dataclass(loss)
    with pytest.raises(FrozenInstanceError):
        setattr(loss, fields(loss)[0].name, None)


def test_every_loss_of_the_trainers_is_among_those_tried_above() -> None:
    modules = [import_module(f"rlvr.trainers.{module.name}") for module in pkgutil.iter_modules(trainers.__path__)]
    known = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and hasattr(value, "entropy_gradient") and hasattr(value, "whole_groups")
    }
    assert {kind.__name__ for kind in known - {Loss}} == {type(loss).__name__ for loss in LOSSES}


def test_losses_say_whether_they_compare_rows_and_whether_their_entropy_has_a_gradient() -> None:
    assert {type(loss).__name__ for loss in LOSSES if loss.whole_groups} == {"PairLoss", "ComparisonLoss"}
    assert not GRPOLoss(resolve("dapo")).entropy_gradient
    assert GRPOLoss(replace(resolve("dapo"), entropy_coef=0.01)).entropy_gradient
    assert PPOLoss(replace(PPO_OBJECTIVE, entropy_coef=0.01), 0.5, 0.2).entropy_gradient
