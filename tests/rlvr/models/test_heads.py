"""Heads that turn a state into a number: of a reward model, and of critics."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.testing import assert_close
from transformers import PreTrainedTokenizerFast

from rlvr.batching import token_batch
from rlvr.config import LoraConfig, ModelConfig
from rlvr.errors import ModelError
from rlvr.models.chat import Chat, make_chat
from rlvr.models.heads import RewardModel, ValueHead, load_reward_model, padding_id
from rlvr.models.policy import Policy
from rlvr.types import Batch
from tests.conftest import TINY
from tests.rlvr.models.templates import stand_in

CPU = torch.device("cpu")


@pytest.fixture
def batch() -> Batch:
    return token_batch([[5, 6, 7], [8]], [[9, 10], [11, 12, 13, 14]], [[True] * 2, [True] * 4], [0, 1])


def reward_model(chat: Chat, seed: int = 0, **options: object) -> RewardModel:
    return load_reward_model(ModelConfig(scratch=TINY, **options), chat, CPU, seed)


def test_a_new_value_head_says_0_and_then_what_its_weights_say(policy: Policy, batch: Batch) -> None:
    head = ValueHead(32, CPU)
    policy.critic = head
    values = policy.scores(batch).values
    assert values is not None
    assert torch.equal(values, torch.zeros(2, 5))
    with torch.no_grad():
        head.linear.bias.fill_(0.5)
    moved = policy.scores(batch).values
    assert moved is not None
    assert_close(moved.detach(), 0.5 * batch.completion_mask)


def test_a_value_is_the_product_of_state_and_weights_plus_the_bias() -> None:
    head = ValueHead(2, CPU)
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[2.0, -1.0]]))
        head.linear.bias.fill_(0.25)
    states = torch.tensor([[1.0, 1.0], [0.5, 3.0]], dtype=torch.bfloat16)
    values = head.values(None, None, states)
    assert values.tolist() == [1.25, -1.75]
    assert values.dtype == torch.float32


def test_a_heads_weights_are_trained_beside_the_policys_and_its_gradient_shapes_the_backbone(
    policy: Policy, batch: Batch
) -> None:
    policy.critic = ValueHead(32, CPU)
    assert {"critic.weight", "critic.bias"} < policy.trainable().keys()
    with torch.no_grad():
        policy.critic.linear.weight.fill_(0.1)
    values = policy.scores(batch).values
    assert values is not None
    values.sum().backward()
    assert policy.model.model.layers[0].mlp.up_proj.weight.grad.abs().max() > 0


def test_a_row_is_scored_at_its_last_token_by_the_head(chat: Chat, batch: Batch) -> None:
    model = reward_model(chat)
    scores_B = model.scores(batch)
    for row in range(2):
        ids = batch.input_ids[row, : batch.lengths_B[row]].unsqueeze(0)
        state = model.model.base_model(input_ids=ids).last_hidden_state[0, -1]
        assert_close(scores_B[row], state @ model.head.weight[0])
    assert (scores_B[0] - scores_B[1]).abs() > 1e-3


def test_as_a_critic_it_scores_what_stands_up_to_each_token(chat: Chat, batch: Batch) -> None:
    model = reward_model(chat)
    where = torch.zeros_like(batch.completion_mask)
    where[0, 2] = where[0, 4] = where[1, 1] = True
    values = model.values(batch, where, torch.zeros(3, 32))
    prefixes = token_batch([[5, 6, 7], [5, 6, 7], [8]], [[], [9, 10], [11]], [[], [True] * 2, [True]], [0, 0, 1])
    assert_close(values, model.scores(prefixes))


def test_a_new_head_is_drawn_from_the_seed_as_wide_as_the_paper_says(chat: Chat) -> None:
    heads = [reward_model(chat, seed).head.weight.detach() for seed in range(40)]
    assert torch.equal(heads[0], reward_model(chat, 0).head.weight)
    drawn = torch.cat(heads)
    assert float(drawn.std()) == pytest.approx(1 / 33**0.5, rel=0.06)  # H = 32; 4 / sqrt(2 x 1280) = 0.08
    assert abs(float(drawn.mean())) < 0.02


def test_with_adapters_they_and_the_head_are_trained(chat: Chat) -> None:
    model = reward_model(chat, lora=LoraConfig(rank=2))
    names = model.trainable().keys()
    assert "score.weight" in names
    assert all(".lora_" in name for name in names - {"score.weight"})
    adapter = model.adapter()
    assert adapter is not None
    assert adapter.keys() == names - {"score.weight"}


def test_a_language_model_has_no_head_that_could_judge(chat: Chat, policy: Policy, tmp_path: Path) -> None:
    policy.save(tmp_path, chat.tokenizer)
    with pytest.raises(
        ModelError, match="holds a language model without a head that scores; expected what trainer: re"
    ):
        load_reward_model(ModelConfig(path=str(tmp_path)), chat, CPU, seed=0, may_draw=False)
    drawn = load_reward_model(ModelConfig(path=str(tmp_path)), chat, CPU, seed=0)
    backbone = dict(policy.model.model.named_parameters())
    for name, weight in drawn.model.base_model.named_parameters():
        assert torch.equal(weight, backbone[name]), name


def test_what_was_saved_keeps_its_head(chat: Chat, batch: Batch, tmp_path: Path) -> None:
    model = reward_model(chat)
    with torch.no_grad():
        model.head.weight.fill_(0.125)
    model.save(tmp_path, chat.tokenizer)
    again = load_reward_model(ModelConfig(path=str(tmp_path)), chat, CPU, seed=1, may_draw=False)
    assert torch.equal(again.head.weight, model.head.weight)
    assert_close(again.scores(batch), model.scores(batch), atol=1e-6, rtol=1e-5)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["Qwen3ForSequenceClassification"]


def test_a_folder_without_a_model_is_no_reward_model(chat: Chat, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded as a reward model"):
        load_reward_model(ModelConfig(path=str(tmp_path)), chat, CPU, seed=0)


def test_rows_are_padded_with_a_token_that_ends_none(chat: Chat) -> None:
    assert padding_id(chat) == chat.tokenizer.pad_token_id == 0
    backend = chat.tokenizer.backend_tokenizer
    words = Tokenizer(WordLevel({"<|end|>": 0, "a": 1}))
    lone = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|end|>", pad_token="<|end|>")
    with pytest.raises(ModelError, match="the only token to pad with is the end token"):
        padding_id(Chat(lone, (0,), 256))
    with_bos = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|end|>", pad_token="<|end|>", bos_token="<|user|>"
    )
    assert padding_id(Chat(with_bos, (1,), 256)) == backend.token_to_id("<|user|>")


def test_a_model_whose_padding_may_end_a_completion_pads_with_what_ends_no_row() -> None:
    """Qwen2.5 pads with <|endoftext|>, which its generation_config names as an end beside <|im_end|>."""
    tokenizer = stand_in("qwen2_5")
    assert tokenizer.convert_ids_to_tokens(padding_id(make_chat(tokenizer, [], 256, "base"))) == "<|im_start|>"
    tokenizer.eos_token = "<|im_end|>"
    chat = make_chat(tokenizer, [tokenizer.pad_token_id], 256, "chat")
    assert chat.tokenizer.convert_ids_to_tokens(padding_id(chat)) == "<|endoftext|>"


def test_a_model_whose_head_is_called_otherwise_is_named(chat: Chat, tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=400, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, num_labels=1
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="BertForSequenceClassification has no linear head called 'score'"):
        load_reward_model(ModelConfig(path=str(tmp_path)), chat, CPU, seed=0)
