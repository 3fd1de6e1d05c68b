"""A tokenizer and a decoder from nothing."""

import torch

from rlvr.models.chat import Chat
from rlvr.models.scratch import build_model, build_tokenizer

TEXTS = ["Anna has 12 apples and 12 pears."] * 20


def model(chat: Chat, seed: int = 0, initializer_range: float = 0.05):
    return build_model(chat.tokenizer, 32, 2, 4, 2, 48, 64, initializer_range, seed)


def test_a_vocabulary_holds_all_bytes_and_no_more_tokens_than_it_may() -> None:
    smallest, larger = build_tokenizer(TEXTS, 261), build_tokenizer(TEXTS, 270)
    assert (len(smallest), len(larger)) == (261, 270)
    assert smallest.decode(smallest.encode("€ and 漢")) == "€ and 漢"
    assert len(larger.encode("Anna has apples")) < len(smallest.encode("Anna has apples")) == 15


def test_a_number_is_never_one_token_however_often_it_was_seen() -> None:
    tokenizer = build_tokenizer(TEXTS, 300)
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("12")) == ["1", "2"]


def test_the_template_ends_what_the_assistant_said_and_nothing_else() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2 + 3?"},
        {"role": "assistant", "content": "5"},
    ]
    tokenizer = build_tokenizer(TEXTS, 300)
    assert tokenizer.apply_chat_template(messages, tokenize=False) == (
        "<|system|>Be brief.<|user|>2 + 3?<|assistant|>5<|end|>"
    )
    assert tokenizer.apply_chat_template(messages[:2], tokenize=False, add_generation_prompt=True) == (
        "<|system|>Be brief.<|user|>2 + 3?<|assistant|>"
    )


def test_weights_are_a_function_of_the_seed_and_draw_from_no_global_generator(chat: Chat) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = model(chat)
    assert torch.equal(torch.rand(3), expected)
    same, other = model(chat), model(chat, seed=1)
    for name, weight in one.named_parameters():
        assert torch.equal(weight, dict(same.named_parameters())[name]), name
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)


def test_the_model_has_the_size_that_was_asked_for(chat: Chat) -> None:
    made = model(chat)
    shapes = {name: tuple(weight.shape) for name, weight in made.named_parameters()}
    assert shapes["model.embed_tokens.weight"] == (len(chat.tokenizer), 32)
    assert shapes["model.layers.1.self_attn.q_proj.weight"] == (32, 32)
    assert shapes["model.layers.1.self_attn.k_proj.weight"] == (16, 32)  # 2 of 4 heads
    assert shapes["model.layers.1.mlp.up_proj.weight"] == (48, 32)
    assert "model.layers.2.mlp.up_proj.weight" not in shapes
    assert made.lm_head.weight is made.model.embed_tokens.weight
    assert made.config.eos_token_id == chat.tokenizer.eos_token_id
    assert {weight.dtype for weight in made.parameters()} == {torch.float32}


def test_new_weights_spread_as_far_as_they_are_asked_to(chat: Chat) -> None:
    narrow, wide = (float(model(chat, initializer_range=r).lm_head.weight.detach()[1:].std()) for r in (0.02, 0.1))
    assert abs(narrow - 0.02) < 0.001
    assert abs(wide - 0.1) < 0.005
