from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from rlvr.batching import token_batch
from rlvr.errors import ModelError
from rlvr.models.chat import Chat
from rlvr.models.packing import check_packing, first_fit, pack, shared_prompts, window_of
from rlvr.models.policy import Policy
from rlvr.types import Batch


@pytest.fixture
def batch() -> Batch:
    """Two groups whose rows share a prompt, one row alone, lengths from 3 to 14, and a tool's output in one row."""
    torch.manual_seed(0)
    prompts = [[5, 6, 7, 8], [5, 6, 7, 8], [9, 10], [9, 10], [9, 10], [11, 12, 13]]
    completions = [torch.randint(20, 200, (n,)).tolist() for n in (3, 10, 1, 6, 2, 5)]
    masks = [[True] * len(ids) for ids in completions]
    masks[1][3:5] = [False, False]
    return token_batch(prompts, completions, masks, [0, 0, 1, 1, 1, 2])


def loss_and_gradient(policy: Policy, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    policy.model.zero_grad()
    torch.manual_seed(1)
    weights = torch.rand(batch.input_ids.shape) * batch.completion_mask
    scores = policy.scores(batch)
    loss = -(weights * scores.logprobs).sum()
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in policy.trainable().values() if p.grad is not None])
    return scores.logprobs.detach(), loss.detach(), gradient


def test_packed_rows_have_the_loss_and_gradient_of_rows_apart(policy: Policy, batch: Batch) -> None:
    apart = loss_and_gradient(policy, batch)
    policy.packing = True
    packed = loss_and_gradient(policy, batch)
    for got, expected in zip(packed, apart, strict=True):
        assert_close(got, expected, atol=1e-6, rtol=1e-6 * 10)
    assert (packed[2] - apart[2]).norm() / apart[2].norm() < 1e-6


def test_a_row_does_not_feel_what_its_neighbours_say(policy: Policy, batch: Batch) -> None:
    policy.packing = True
    before = policy.scores(batch).logprobs.detach()
    ids = batch.input_ids.clone()
    ids[0, 4:7] = torch.tensor([250, 251, 252])  # the sibling of row 1, on whose prompt it stands
    after = policy.scores(replace(batch, input_ids=ids)).logprobs.detach()
    assert (after[0] != before[0]).any()
    assert_close(after[1:], before[1:], atol=0, rtol=0)


def test_a_shared_prompt_is_computed_once_and_nothing_is_padded_that_fits(batch: Batch) -> None:
    layout = pack(batch)
    saved = 4 + 2 + 2
    slots = layout.place[batch.attention_mask.bool()].unique()
    assert len(slots) == int(batch.attention_mask.sum()) - saved
    assert layout.input_ids.numel() < batch.input_ids.numel()
    assert layout.place[0, :4].tolist() == layout.place[1, :4].tolist()
    assert layout.place[0, 4] != layout.place[1, 4]
    for row, length in enumerate(batch.lengths_B.tolist()):
        flat = layout.input_ids.flatten()[layout.place[row, :length]]
        assert flat.tolist() == batch.input_ids[row, :length].tolist()
        positions = layout.position_ids.flatten()[layout.place[row, :length]]
        assert positions.tolist() == list(range(length))


def test_a_token_sees_its_own_row_up_to_itself(batch: Batch) -> None:
    layout = pack(batch)
    width = layout.input_ids.shape[1]
    for row, length in enumerate(batch.lengths_B.tolist()):
        for token in range(length):
            line, slot = divmod(int(layout.place[row, token]), width)
            seen = layout.visible[line, 0, slot].nonzero().squeeze(-1) + line * width
            assert sorted(seen.tolist()) == sorted(layout.place[row, : token + 1].tolist())


def test_families_are_split_before_a_line_grows_too_long(batch: Batch) -> None:
    lengths = batch.lengths_B.tolist()
    assert shared_prompts(batch, lengths, 100) == [(4, [0, 1]), (2, [2, 3, 4]), (3, [5])]
    assert shared_prompts(batch, lengths, 9) == [(4, [0]), (4, [1]), (2, [2, 3]), (2, [4]), (3, [5])]


def test_first_fit_takes_the_longest_first() -> None:
    assert first_fit([3, 7, 4, 5, 1], 8) == [[1, 4], [3, 0], [2]]


def test_a_model_that_cannot_be_packed_is_refused(policy: Policy, chat: Chat) -> None:
    from transformers import BloomConfig, BloomForCausalLM, Qwen2Config, Qwen2ForCausalLM

    check_packing(policy.model)
    size = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    alibi = BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=32, n_layer=1, n_head=2))
    alibi.config._attn_implementation = "eager"
    with pytest.raises(ModelError, match="BloomForCausalLM takes no attention mask for each pair of tokens"):
        check_packing(alibi)
    flash = Qwen2ForCausalLM(Qwen2Config(**size, **heads))
    flash.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ModelError, match="got 'flash_attention_2', expected sdpa or eager"):
        check_packing(flash)


def qwen2(chat: Chat, attention: str, **options: object) -> Policy:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(chat.tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, initializer_range=0.1, attn_implementation=attention, **options,
    )  # fmt: skip
    return Policy(Qwen2ForCausalLM(config).eval())


def test_eager_attention_gets_the_mask_that_it_adds(chat: Chat, batch: Batch) -> None:
    policy = qwen2(chat, "eager")
    check_packing(policy.model)
    apart = loss_and_gradient(policy, batch)
    policy.packing = True
    for got, expected in zip(loss_and_gradient(policy, batch), apart, strict=True):
        assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("window", [4, 14])
def test_rows_longer_than_a_sliding_window_are_computed_apart(chat: Chat, batch: Batch, window: int) -> None:
    policy = qwen2(chat, "sdpa", use_sliding_window=True, sliding_window=window, max_window_layers=0)
    assert window_of(policy.model.config) == window  # the longest row has 14 tokens
    check_packing(policy.model)
    apart = loss_and_gradient(policy, batch)
    policy.packing = True
    widths = []
    policy.model.model.embed_tokens.register_forward_hook(lambda module, inputs, out: widths.append(out.shape[1]))
    for got, expected in zip(loss_and_gradient(policy, batch), apart, strict=True):
        assert_close(got, expected, atol=1e-5, rtol=1e-5)
    assert (widths[0] > 14) is (window == 14)  # a packed line holds several rows


def test_a_model_without_a_window_sees_everything(policy: Policy) -> None:
    assert window_of(policy.model.config) == float("inf")
