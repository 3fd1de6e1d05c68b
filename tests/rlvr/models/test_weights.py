"""A model's weights under the names of the hub, and its folder."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, GenerationConfig

from rlvr.config import LoraConfig
from rlvr.models.adapters import add_adapters
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy
from rlvr.models.weights import (
    SINGLE,
    adapter_weights,
    is_untied,
    merged_shapes,
    merged_weights,
    plain_name,
    save_model,
    saved_names,
    shards_of,
)
from tests.rlvr.models.layouts import build, layout

IDS = torch.tensor([[5, 6, 7, 8]])


def noisy(policy: Policy, **keys: object) -> Policy:
    """The policy with adapters that change it."""
    adapted = Policy(policy.model, add_adapters(policy.model, LoraConfig(rank=2, **keys)))
    with torch.no_grad():
        for parameter in adapted.trainable().values():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return adapted


def test_a_plain_name_knows_nothing_of_adapters() -> None:
    assert plain_name("model.layers.0.mlp.up_proj.base_layer.weight") == "model.layers.0.mlp.up_proj.weight"
    assert plain_name("lm_head.modules_to_save.default.weight") == "lm_head.weight"
    assert plain_name("mlp.experts.base_layer.base_layer.down_proj") == "mlp.experts.down_proj"


def test_tied_embeddings_are_written_once_and_twice_where_an_adapter_changes_one(policy: Policy, chat: Chat) -> None:
    assert "lm_head.weight" not in dict(merged_weights(policy.model))
    assert not is_untied(policy.model)
    adapted = noisy(policy, targets=["lm_head"])
    weights = dict(merged_weights(adapted.model))
    assert is_untied(adapted.model)
    assert torch.equal(weights["model.embed_tokens.weight"], policy.model.get_input_embeddings().weight)
    assert (weights["lm_head.weight"] - weights["model.embed_tokens.weight"]).abs().max() > 0.01
    assert merged_shapes(adapted.model).keys() == weights.keys()


def test_the_configuration_of_the_folder_is_untied_and_that_of_the_model_stays(
    policy: Policy, chat: Chat, tmp_path: Path
) -> None:
    adapted = noisy(policy, targets=["embed_tokens"])
    adapted.save(tmp_path, chat.tokenizer)
    assert json.loads((tmp_path / "config.json").read_text())["tie_word_embeddings"] is False
    assert policy.model.config.tie_word_embeddings is True
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert_close(again(input_ids=IDS).logits, adapted.model(input_ids=IDS).logits, atol=1e-5, rtol=1e-5)


def test_adapters_are_their_own_tensors_and_the_modules_that_are_trained_whole(policy: Policy) -> None:
    assert adapter_weights(policy.model, None) is None
    adapted = noisy(policy, targets=["q_proj"], modules_to_save=["lm_head"])
    own = adapter_weights(adapted.model, adapted.adapters)
    assert own is not None
    assert own.keys() == adapted.trainable().keys()


def test_buffers_that_belong_to_the_weights_are_saved(policy: Policy, tmp_path: Path) -> None:
    norm = policy.model.model.norm
    norm.register_buffer("score_correction", torch.tensor([0.25]))
    norm.register_buffer("cache", torch.tensor([1.0]), persistent=False)
    weights = dict(merged_weights(policy.model))
    assert weights["model.norm.score_correction"].tolist() == [0.25]
    assert "model.norm.cache" not in weights


def test_experts_leave_as_one_tensor_each_and_none_is_made_twice(chat: Chat) -> None:
    model = build(layout("Qwen3-MoE"), chat.tokenizer)
    weights = dict(merged_weights(model))
    fused = model.model.layers[0].mlp.experts.gate_up_proj
    assert_close(weights["model.layers.0.mlp.experts.3.gate_proj.weight"], fused[3, :32].detach())
    assert_close(weights["model.layers.0.mlp.experts.3.up_proj.weight"], fused[3, 32:].detach())
    assert {name: weight.shape for name, weight in weights.items()} == {
        name: shape.shape for name, shape in merged_shapes(model).items()
    }


def test_large_models_are_saved_in_several_files_with_an_index(policy: Policy, tmp_path: Path) -> None:
    save_model(policy.model, tmp_path / "whole")
    save_model(policy.model, tmp_path / "parts", shard_bytes=40_000)
    files = sorted((tmp_path / "parts").glob("*.safetensors"))
    assert len(files) > 2
    assert files[0].name == f"model-00001-of-{len(files):05}.safetensors"
    whole = load_file(tmp_path / "whole" / SINGLE)
    parts = {name: tensor for file in files for name, tensor in load_file(file).items()}
    assert parts.keys() == whole.keys() == saved_names(tmp_path / "whole") == saved_names(tmp_path / "parts")
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "parts")
    assert_close(again(input_ids=IDS).logits, policy.model(input_ids=IDS).logits)


def test_a_file_holds_what_fits_or_one_tensor() -> None:
    assert shards_of({"a": 3, "b": 4, "c": 9, "d": 1, "e": 6}, 7) == [["a", "b"], ["c"], ["d", "e"]]


def test_generation_settings_that_contradict_each_other_leave_as_they_came(policy: Policy, tmp_path: Path) -> None:
    settings = {"do_sample": False, "temperature": 0.6, "top_p": 0.95, "eos_token_id": [1, 7]}
    policy.model.generation_config = GenerationConfig(**settings)
    with pytest.raises(ValueError, match="temperature"):
        policy.model.save_pretrained(tmp_path / "refused")
    save_model(policy.model, tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "generation_config.json").read_text())
    # do_sample is off by default, and defaults are not written.
    assert {key: saved[key] for key in ("temperature", "top_p", "eos_token_id")} == {
        key: settings[key] for key in ("temperature", "top_p", "eos_token_id")
    }


def test_a_folder_says_its_class_and_dtype_and_no_quantization_that_is_gone(policy: Policy, tmp_path: Path) -> None:
    model = policy.model.to(torch.bfloat16)
    model.config.quantization_config = {"quant_method": "fp8"}
    model.config.architectures = ["SomethingElse"]
    save_model(model, tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["architectures"] == ["Qwen3ForCausalLM"]
    assert saved["dtype"] == "bfloat16"
    assert "quantization_config" not in saved
    assert model.config.architectures == ["SomethingElse"]


CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "own"

class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


def test_a_model_that_brings_its_own_code_leaves_with_it(chat: Chat, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    build(layout("SmolLM2"), chat.tokenizer).save_pretrained(hub)
    (hub / "own_model.py").write_text(CODE)
    classes = {"AutoConfig": "own_model.OwnConfig", "AutoModelForCausalLM": "own_model.OwnForCausalLM"}
    config = json.loads((hub / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": classes, "architectures": ["OwnForCausalLM"]}
    (hub / "config.json").write_text(json.dumps(config))
    model = AutoModelForCausalLM.from_pretrained(hub, trust_remote_code=True)
    save_model(model, tmp_path / "saved")
    assert (tmp_path / "saved" / "own_model.py").read_text() == CODE
    saved = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert saved["auto_map"] == classes
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", trust_remote_code=True)
    assert type(again).__name__ == "OwnForCausalLM"
    assert_close(again(input_ids=IDS).logits, model(input_ids=IDS).logits)
