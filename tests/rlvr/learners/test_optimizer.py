"""The scale of the loss in float16, and optimizers with moments of 8 bits where bitsandbytes is installed."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from rlvr.algorithms.presets import resolve
from rlvr.config import LoraConfig, ModelConfig, OptimizerConfig
from rlvr.errors import DivergenceError
from rlvr.learners.local import LocalLearner
from rlvr.learners.optimizer import GROWTH_STEPS, LARGEST_LOSS_SCALE, LossScale, loss_scale_of, make_optimizer
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.trainers.grpo import GRPOLoss
from rlvr.types import Batch
from tests.conftest import TINY
from tests.rlvr.learners.test_local import example, fresh, weights_after, with_plain_steps

CPU = torch.device("cpu")


def in_float16(chat: Chat, factor: float = 2.0**16) -> LocalLearner:
    policy = load_policy(ModelConfig(scratch=TINY, autocast="float16"), chat, CPU, temperature=1.0, seed=0)
    return with_plain_steps(LocalLearner(policy, OptimizerConfig(lr=1.0), steps=10, loss_scale=LossScale(factor)))


def test_a_scale_is_halved_by_an_overflow_and_doubled_after_many_steps_without() -> None:
    scale = LossScale(1024.0, steady_steps=7)
    assert scale.halved() == LossScale(512.0, 0)
    assert scale.after_step() == LossScale(1024.0, 8)
    assert LossScale(1024.0, GROWTH_STEPS - 1).after_step() == LossScale(2048.0, 0)
    assert LossScale(LARGEST_LOSS_SCALE, GROWTH_STEPS - 1).after_step() == LossScale(LARGEST_LOSS_SCALE, 0)
    assert LossScale().after_step() == LossScale()


@pytest.mark.parametrize(
    ("values", "factor"),
    [({}, 1.0), ({"autocast": "bfloat16"}, 1.0), ({"autocast": "float16"}, 65536.0), ({"dtype": "float16"}, 65536.0)],
)
def test_only_float16_is_scaled(values: dict[str, str], factor: float) -> None:
    assert loss_scale_of(ModelConfig(path="x", **values)).factor == factor


def test_a_scale_changes_no_gradient(chat: Chat) -> None:
    plain, scaled = fresh(chat), fresh(chat)
    scaled.loss_scale = LossScale(2.0**10)
    metrics, weights = weights_after(plain, example())
    scaled_metrics, scaled_weights = weights_after(scaled, example())
    assert scaled_metrics == metrics
    assert_close(scaled_weights, weights, atol=0, rtol=0)  # a power of two rounds nothing


def test_a_step_with_products_in_float16_is_nearly_that_in_float32(chat: Chat) -> None:
    metrics, weights = weights_after(fresh(chat), example())
    half_metrics, half_weights = weights_after(in_float16(chat), example())
    assert half_metrics["grad_norm"] == pytest.approx(metrics["grad_norm"], rel=0.01)
    assert half_metrics["skipped"] == 0
    assert (half_weights - weights).abs().max() < 0.01 * (weights - initial(chat)).abs().max()


def initial(chat: Chat) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in fresh(chat).policy.trainable().values()])


def large(batch: Batch) -> Batch:
    """Advantages whose gradients overflow in float16 at the first scale, and not far below."""
    assert batch.advantages is not None
    return replace(batch, advantages=batch.advantages * 1e3)


def test_a_gradient_that_overflows_is_computed_again_with_less_and_no_step_is_lost(chat: Chat) -> None:
    learner = in_float16(chat, factor=LARGEST_LOSS_SCALE)
    metrics, _ = weights_after(learner, large(example()))
    assert metrics["skipped"] == 0
    assert math.isfinite(metrics["grad_norm"])
    assert 1 < learner.loss_scale.factor < LARGEST_LOSS_SCALE
    assert (learner.loss_scale.steady_steps, learner.version, learner.skipped_in_a_row) == (1, 1, 0)


def test_a_loss_that_is_no_number_is_skipped_at_once_and_the_third_in_a_row_stops(chat: Chat) -> None:
    learner = in_float16(chat)
    with torch.no_grad():
        next(iter(learner.policy.trainable().values())).fill_(math.nan)
    assert [learner.update(example(), GRPOLoss(resolve("dr_grpo"))).metrics["skipped"] for _ in range(2)] == [1, 1]
    assert learner.loss_scale.factor == 2.0**16
    with pytest.raises(DivergenceError):
        learner.update(example(), GRPOLoss(resolve("dr_grpo")))


def test_adapters_on_weights_in_float16_are_trained_and_stay_in_float32(chat: Chat, tmp_path: Path) -> None:
    load_policy(ModelConfig(scratch=TINY), chat, CPU, 1.0, 0).save(tmp_path, chat.tokenizer)
    config = ModelConfig(path=str(tmp_path), dtype="float16", lora=LoraConfig(rank=4, alpha=8))
    policy = load_policy(config, chat, CPU, 1.0, 0)
    learner = LocalLearner(policy, OptimizerConfig(lr=1e-3), steps=10, loss_scale=loss_scale_of(config))
    assert {weight.dtype for weight in policy.trainable().values()} == {torch.float32}
    before = {name: weight.detach().clone() for name, weight in policy.trainable().items()}
    metrics = learner.update(example(), GRPOLoss(resolve("dr_grpo"))).metrics
    assert metrics["skipped"] == 0
    assert metrics["grad_norm"] > 0
    assert all(not torch.equal(weight, before[name]) for name, weight in policy.trainable().items() if "lora_B" in name)


def test_the_scale_goes_on_from_a_checkpoint(chat: Chat, tmp_path: Path) -> None:
    learner, again = in_float16(chat), in_float16(chat)
    learner.loss_scale = LossScale(256.0, 17)
    learner.save(tmp_path)
    again.load(tmp_path)
    assert again.loss_scale == LossScale(256.0, 17)


@pytest.mark.parametrize("name", ["adamw_8bit", "paged_adamw_8bit"])
def test_moments_of_8_bits_learn_and_go_on_from_a_checkpoint_with_the_same_bits(
    chat: Chat, tmp_path: Path, name: str
) -> None:
    pytest.importorskip("bitsandbytes")

    def learner() -> LocalLearner:
        policy = load_policy(ModelConfig(scratch=TINY.model_copy(update={"hidden_size": 64})), chat, CPU, 1.0, 0)
        return LocalLearner(policy, OptimizerConfig(lr=1e-3, name=name), steps=10)

    whole, first, second = learner(), learner(), learner()
    for _ in range(3):
        metrics, weights = weights_after(whole, example())
    weights_after(first, example())
    first.save(tmp_path)
    second.load(tmp_path)
    for _ in range(2):
        again_metrics, again = weights_after(second, example())
    assert again_metrics == metrics
    assert torch.equal(again, weights)
    states = [state for state in whole.optimizer.state.values() if state["state1"].dtype == torch.uint8]
    assert states  # tensors of at least 4,096 numbers
    plain = LocalLearner(learner().policy, OptimizerConfig(lr=1e-3), steps=10)
    for _ in range(3):
        _, exact = weights_after(plain, example())
    start = torch.cat([p.detach().flatten() for p in learner().policy.trainable().values()])
    moved = torch.nn.functional.cosine_similarity(weights - start, exact - start, dim=0)
    assert moved > 0.9


def test_the_name_says_the_kind() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    assert type(make_optimizer(OptimizerConfig(), [weight])) is torch.optim.AdamW
    bitsandbytes = pytest.importorskip("bitsandbytes")
    assert isinstance(make_optimizer(OptimizerConfig(name="adamw_8bit"), [weight]), bitsandbytes.optim.AdamW8bit)
    paged = make_optimizer(OptimizerConfig(name="paged_adamw_8bit"), [weight])
    assert isinstance(paged, bitsandbytes.optim.PagedAdamW8bit)
