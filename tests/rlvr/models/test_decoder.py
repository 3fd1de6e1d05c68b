"""A model taken apart: what is below the head, and the head."""

import math
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from torch.testing import assert_close
from transformers import PreTrainedModel

from rlvr.errors import ModelError
from rlvr.models.decoder import LogitTransform, check_decomposition, hidden_states, logit_transform, scores
from rlvr.models.logprobs import token_logprobs
from rlvr.models.policy import Policy

IDS = torch.tensor([[5, 6, 7, 8]])


def test_the_head_over_the_hidden_states_gives_the_models_logits(policy: Policy) -> None:
    with torch.no_grad():
        hidden = hidden_states(policy.model, input_ids=IDS)
        assert hidden.shape == (1, 4, 32)
        assert_close(scores(policy.model, hidden), policy.model(input_ids=IDS).logits)


def test_scores_of_some_tokens_are_those_of_all_of_them(policy: Policy) -> None:
    with torch.no_grad():
        hidden = hidden_states(policy.model, input_ids=IDS)
        assert_close(scores(policy.model, hidden[0, 1:3]), scores(policy.model, hidden)[0, 1:3])


def test_scores_of_bfloat16_weights_are_float32(policy: Policy) -> None:
    model = policy.model.to(torch.bfloat16)
    with torch.no_grad():
        hidden = hidden_states(model, input_ids=IDS)
        logits = scores(model, hidden)
    assert (hidden.dtype, logits.dtype) == (torch.bfloat16, torch.float32)


def test_checking_a_model_leaves_it_in_the_mode_that_it_was_in(policy: Policy) -> None:
    for is_training in (True, False):
        policy.model.train(is_training)
        check_decomposition(policy.model)
        assert policy.model.training is is_training


def tiny(family: str, **keys: Any) -> PreTrainedModel:
    size = {
        "vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 2, "initializer_range": 0.1, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**{**size, **keys})
    return getattr(transformers, f"{family}ForCausalLM")(config).eval()


@pytest.mark.parametrize(
    ("family", "keys", "transform"),
    [
        ("Llama", {}, LogitTransform()),
        ("Granite", {"logits_scaling": 8.0}, LogitTransform(scale=0.125)),
        ("HyperCLOVAX", {"logits_scaling": 8.0}, LogitTransform(scale=8.0)),
        ("Cohere", {"logit_scale": 0.0625}, LogitTransform(scale=0.0625)),
        ("Gemma2", {"final_logit_softcapping": 3.0, "head_dim": 16}, LogitTransform(cap=3.0)),
        ("NanoChat", {"final_logit_softcapping": 3.0}, LogitTransform(cap=3.0)),
        (
            "MiniCPM3",
            {"dim_model_base": 8, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8,
             "v_head_dim": 8},
            LogitTransform(scale=0.25),
        ),
    ],
)  # fmt: skip
def test_what_a_family_does_to_its_logits_is_read_from_its_configuration(
    family: str, keys: dict[str, Any], transform: LogitTransform
) -> None:
    model = tiny(family, **keys)
    assert logit_transform(model.config) == transform
    check_decomposition(model)
    with torch.no_grad():
        assert_close(scores(model, hidden_states(model, input_ids=IDS)), model(input_ids=IDS).logits)


def test_a_transform_scales_and_then_caps() -> None:
    logits = torch.tensor([-1.0, 0.0, 2.0])
    assert LogitTransform()(logits) is logits
    assert_close(LogitTransform(scale=0.5)(logits), torch.tensor([-0.5, 0.0, 1.0]))
    assert_close(LogitTransform(scale=3.0, cap=2.0)(logits[2:]), torch.tensor([2 * math.tanh(3)]))


def test_log_probabilities_entropies_and_gradients_go_through_the_cap() -> None:
    model = tiny("Gemma2", final_logit_softcapping=3.0, head_dim=16)
    head = model.get_output_embeddings().weight

    def gradient(logprobs: torch.Tensor, entropies: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        (logprobs.sum() + entropies.sum()).backward()
        return head.grad.clone()

    ours = token_logprobs(model, hidden_states(model, input_ids=IDS)[0, :3], IDS[0, 1:], 0.7, entropy_gradient=True)
    all_logprobs = (model(input_ids=IDS).logits[0, :3] / 0.7).log_softmax(-1)
    theirs = all_logprobs[range(3), IDS[0, 1:]], -(all_logprobs.exp() * all_logprobs).sum(-1)
    assert_close(ours, theirs)
    assert_close(gradient(*ours), gradient(*theirs))


@pytest.mark.parametrize("changed", [{"logit_scale": 0.9}, {"final_logit_softcapping": 50.0}])
def test_a_model_that_does_something_else_is_refused(policy: Policy, changed: dict[str, float]) -> None:
    check_decomposition(policy.model)
    for key, value in changed.items():  # which a Qwen3 does not do
        setattr(policy.model.config, key, value)
    with pytest.raises(ModelError, match="changes its logits after the LM head in a way that its configuration does"):
        check_decomposition(policy.model)


def test_a_model_without_hidden_states_or_head_is_refused(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(policy.model), "get_decoder", lambda self: nn.Identity())
    with pytest.raises(ModelError, match="cannot be taken apart into a decoder and an LM head"):
        check_decomposition(policy.model)
    monkeypatch.setattr(type(policy.model), "get_output_embeddings", lambda self: None)
    with pytest.raises(ModelError, match="has no LM head; expected a causal language model"):
        check_decomposition(policy.model)
