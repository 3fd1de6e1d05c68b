"""Quantized base weights under adapters, where bitsandbytes is installed. On a CPU it computes the same, slowly."""

import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from rlvr.algorithms.presets import resolve
from rlvr.config import LoraConfig, ModelConfig, OptimizerConfig
from rlvr.engines.transformers_engine import TransformersEngine
from rlvr.learners.local import LocalLearner, add_noise
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.models.policy import Policy
from rlvr.trainers.grpo import GRPOLoss
from rlvr.weight_sync import Probe
from tests.conftest import TINY
from tests.rlvr.learners.test_local import example

pytest.importorskip("bitsandbytes")
CPU = torch.device("cpu")
WIDE = TINY.model_copy(update={"hidden_size": 64, "intermediate_size": 64})


@pytest.fixture
def saved(chat: Chat, tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    load_policy(ModelConfig(scratch=WIDE), chat, CPU, 1.0, 0).save(folder, chat.tokenizer)
    return folder


def quantized(saved: Path, chat: Chat, kind: str, device: torch.device = CPU) -> Policy:
    config = ModelConfig(path=str(saved), quantize=kind, lora=LoraConfig(rank=4, alpha=8))
    torch.manual_seed(0)
    policy = load_policy(config, chat, device, 1.0, 0)
    add_noise(policy.trainable().values(), 1.0)  # adapters that do something
    return policy


def logits_of(policy: Policy) -> torch.Tensor:
    with torch.no_grad():
        return policy.model.eval()(torch.tensor([[2, 30, 40, 50, 3]], device=policy.device)).logits.float().cpu()


@pytest.mark.parametrize(("kind", "dtype"), [("nf4", torch.uint8), ("int8", torch.int8)])
def test_base_weights_are_small_and_only_adapters_are_trained(
    chat: Chat, saved: Path, kind: str, dtype: torch.dtype
) -> None:
    policy = quantized(saved, chat, kind)
    layers = {n: p for n, p in policy.model.named_parameters() if n.endswith("proj.base_layer.weight")}
    assert len(layers) == 14
    assert {weight.dtype for weight in layers.values()} == {dtype}
    before = {name: weight.clone() for name, weight in policy.model.named_parameters()}
    learner = LocalLearner(policy, OptimizerConfig(lr=1e-3), steps=10)
    assert learner.update(example(), GRPOLoss(resolve("dr_grpo"))).metrics["grad_norm"] > 0
    changed = {n for n, weight in policy.model.named_parameters() if not torch.equal(weight, before[n])}
    assert changed == set(policy.trainable()) == {n for n in before if ".lora_" in n}


@pytest.mark.parametrize(("kind", "tolerance"), [("nf4", 1e-4), ("int8", 0.1)])
def test_it_is_saved_as_a_plain_model_that_computes_what_was_trained(
    chat: Chat, saved: Path, tmp_path: Path, kind: str, tolerance: float
) -> None:
    policy, folder = quantized(saved, chat, kind), tmp_path / "merged"
    folder.mkdir()
    policy.save(folder, chat.tokenizer)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    plain = load_policy(ModelConfig(path=str(folder)), chat, CPU, 1.0, 0)
    names = {name for name, _ in plain.model.named_parameters()}
    assert names == set(LocalLearner(policy, OptimizerConfig(), 1).weight_names())
    assert_close(logits_of(plain), logits_of(policy), atol=tolerance, rtol=0)
    unquantized = load_policy(ModelConfig(path=str(saved)), chat, CPU, 1.0, 0)
    assert (logits_of(unquantized) - logits_of(policy)).abs().max() > 2 * tolerance


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_the_embedded_engine_samples_from_it_and_a_checkpoint_goes_on(
    chat: Chat, saved: Path, tmp_path: Path, kind: str
) -> None:
    policy, again = quantized(saved, chat, kind), quantized(saved, chat, kind)
    learner, other = (LocalLearner(each, OptimizerConfig(lr=1e-2), steps=10) for each in (policy, again))
    tolerance = 1e-4 if kind == "nf4" else 0.1  # int8 rounds activations by the largest of the batch
    assert (
        Probe([[2, 30, 3], [2, 31, 32, 3]], 1.0, 1.0).gap(learner, TransformersEngine(policy.model, [1]), 8) < tolerance
    )
    learner.update(example(), GRPOLoss(resolve("dr_grpo")))
    learner.save(tmp_path)
    other.load(tmp_path)
    assert torch.equal(logits_of(policy), logits_of(again))


def test_sampling_before_a_step_changes_no_gradient(chat: Chat, saved: Path) -> None:
    fresh, sampled = quantized(saved, chat, "nf4"), quantized(saved, chat, "nf4")
    logits_of(sampled)
    norms = [
        LocalLearner(policy, OptimizerConfig(lr=1e-3), steps=10).update(example(), GRPOLoss(resolve("dr_grpo"))).metrics
        for policy in (fresh, sampled)
    ]
    assert norms[0] == norms[1]


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_a_gpu_holds_it_too(chat: Chat, saved: Path, kind: str) -> None:
    policy = quantized(saved, chat, kind, torch.device("cuda"))
    learner = LocalLearner(policy, OptimizerConfig(lr=1e-3, name="paged_adamw_8bit"), steps=10)
    assert learner.update(example(), GRPOLoss(resolve("dr_grpo"))).metrics["grad_norm"] > 0
