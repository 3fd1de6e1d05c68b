"""Weights on their way out of a learner: in buckets, to a checkpoint, to a folder, and changed for a while."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlvr.batching import token_batch
from rlvr.config import LoraConfig, ModelConfig, OptimizerConfig
from rlvr.learners.local import LocalLearner
from rlvr.models.adapters import add_adapters
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.models.policy import Policy
from rlvr.trainers.sft import LikelihoodLoss
from rlvr.types import Batch
from tests.conftest import TINY


def plain_learner(chat: Chat) -> LocalLearner:
    policy = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), temperature=1.0, seed=0)
    return LocalLearner(policy, OptimizerConfig(lr=1e-2), steps=10, tokenizer=chat.tokenizer)


def lora_learner(chat: Chat) -> LocalLearner:
    """With adapters that do something: a new one is a product with zero."""
    model = plain_learner(chat).policy.model
    with torch.random.fork_rng():
        torch.manual_seed(1)
        policy = Policy(model, add_adapters(model, LoraConfig(rank=4, alpha=8)))
        for parameter in policy.trainable().values():
            torch.nn.init.normal_(parameter, std=0.1)
    return LocalLearner(policy, OptimizerConfig(lr=1e-2), steps=10, tokenizer=chat.tokenizer)


def batch() -> Batch:
    rows = token_batch([[5, 6], [7]], [[8, 9], [10, 11, 12]], [[True] * 2, [True] * 3], [0, 1])
    return replace(rows, loss_weights=rows.completion_mask / 5)


def weights_of(learner: LocalLearner) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in learner.policy.model.named_parameters()}


def assert_same_bits(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, weight in one.items():
        assert torch.equal(weight, other[name]), name


LEARNERS = pytest.mark.parametrize("make", [plain_learner, lora_learner], ids=["all weights", "adapters"])


@LEARNERS
@pytest.mark.parametrize("max_bytes", [1, 5_000, 20_000, 10**9])
def test_buckets_hold_each_weight_once_and_no_more_than_they_may(
    chat: Chat, make: Callable[[Chat], LocalLearner], max_bytes: int
) -> None:
    learner = make(chat)
    buckets = list(learner.buckets(max_bytes))
    names = [name for bucket in buckets for name in bucket]
    assert names == [name for name, _ in learner.policy.named_weights()]
    assert len(set(names)) == len(names)
    for bucket in buckets:
        assert len(bucket) == 1 or sum(weight.nbytes for weight in bucket.values()) <= max_bytes
    sizes = [sum(weight.nbytes for weight in bucket.values()) for bucket in buckets]
    firsts = [next(iter(bucket.values())).nbytes for bucket in buckets]
    assert all(size + first > max_bytes for size, first in zip(sizes, firsts[1:], strict=False))  # none is half empty


def test_buckets_hold_the_base_weights_with_the_adapters_products_added(chat: Chat) -> None:
    learner = lora_learner(chat)
    plain, parameters = weights_of(plain_learner(chat)), weights_of(learner)
    merged = {name: weight for bucket in learner.buckets(20_000) for name, weight in bucket.items()}
    assert merged.keys() == plain.keys()
    adapted = 0
    for name, weight in merged.items():
        lower = parameters.get(name.replace(".weight", ".lora_A.default.weight"))
        if lower is None:
            assert torch.equal(weight, plain[name])
            continue
        upper = parameters[name.replace(".weight", ".lora_B.default.weight")]
        assert_close(weight, plain[name] + (8 / 4) * upper @ lower)  # alpha / rank
        adapted += 1
    assert adapted == 2 * 7  # layers x (q, k, v, o, gate, up, down)


def test_an_adapters_product_is_made_when_its_bucket_is_asked_for(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    honest = LoraLinear.get_delta_weight
    monkeypatch.setattr(LoraLinear, "get_delta_weight", lambda self, name: made.append(self) or honest(self, name))
    buckets = lora_learner(chat).buckets(1)  # a bucket for each weight
    assert made == []
    next(buckets)
    assert len(made) <= 1
    list(buckets)
    assert len(made) == 2 * 7


def test_buckets_are_made_anew_of_the_weights_as_they_are(chat: Chat) -> None:
    learner = plain_learner(chat)
    before = {name: weight.clone() for bucket in learner.buckets(10**9) for name, weight in bucket.items()}
    learner.update(batch(), LikelihoodLoss())
    (after,) = learner.buckets(10**9)
    assert_same_bits(after, {name: weight for name, weight in weights_of(learner).items() if name in after})
    assert all(not torch.equal(after[name], weight) for name, weight in before.items())


def test_adapters_alone_are_those_that_training_changes(chat: Chat) -> None:
    learner = lora_learner(chat)
    adapter = learner.adapter()
    assert adapter is not None
    assert_same_bits(adapter, learner.policy.trainable())
    assert plain_learner(chat).adapter() is None


@LEARNERS
def test_a_learner_that_was_loaded_takes_the_next_step_with_the_same_bits(
    chat: Chat, make: Callable[[Chat], LocalLearner], tmp_path: Path
) -> None:
    learner, other = make(chat), make(chat)
    for _ in range(2):
        learner.update(batch(), LikelihoodLoss())
    learner.skipped_in_a_row = 1
    learner.save(tmp_path)
    saved = weights_of(learner)
    other.load(tmp_path)
    assert_same_bits(weights_of(other), saved)
    assert (other.version, other.skipped_in_a_row) == (2, 1)
    found, expected = other.update(batch(), LikelihoodLoss()), learner.update(batch(), LikelihoodLoss())
    assert found.metrics == expected.metrics
    assert_same_bits(weights_of(other), weights_of(learner))
    assert any(not torch.equal(weight, saved[name]) for name, weight in weights_of(other).items())


@LEARNERS
def test_a_checkpoint_holds_what_training_changes_and_nothing_else(
    chat: Chat, make: Callable[[Chat], LocalLearner], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    learner = make(chat)
    learner.save(tmp_path)
    assert_same_bits(load_file(tmp_path / "weights.safetensors"), learner.policy.trainable())


@LEARNERS
def test_perturbed_weights_are_off_by_their_share_of_noise_and_come_back_bit_by_bit(
    chat: Chat, make: Callable[[Chat], LocalLearner]
) -> None:
    learner = make(chat)
    before = weights_of(learner)
    with learner.perturbed(0.5):
        for name, weight in learner.policy.trainable().items():
            off = weight.detach() - before[name]
            expected = 0.5 * (float(before[name].std(unbiased=False)) + 0.01)
            # 1 / sqrt(2 n) is the relative error of a standard deviation of n draws.
            assert float(off.pow(2).mean().sqrt()) == pytest.approx(expected, rel=4 / (2 * off.numel()) ** 0.5)
    assert_same_bits(weights_of(learner), before)


def test_perturbed_weights_come_back_after_an_error_too(chat: Chat) -> None:
    learner = plain_learner(chat)
    before = weights_of(learner)
    with pytest.raises(RuntimeError, match="the engine is gone"), learner.perturbed(0.5):
        raise RuntimeError("the engine is gone")
    assert_same_bits(weights_of(learner), before)


@LEARNERS
def test_what_is_exported_is_a_model_that_transformers_loads_and_says_the_same(
    chat: Chat, make: Callable[[Chat], LocalLearner], tmp_path: Path
) -> None:
    learner = make(chat)
    learner.export(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert not any("lora" in name for name, _ in model.named_parameters())
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert_close(model(ids).logits, learner.policy.model(ids).logits, atol=1e-5, rtol=1e-4)
    messages = [{"role": "user", "content": "2 + 3?"}]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    ids_of = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert list(ids_of) == chat.prompt_ids(messages)


def test_a_learner_without_a_tokenizer_cannot_be_exported(chat: Chat, tmp_path: Path) -> None:
    learner = plain_learner(chat)
    learner.tokenizer = None
    with pytest.raises(ValueError, match="this learner has no tokenizer; expected one to export with the model"):
        learner.export(tmp_path)
