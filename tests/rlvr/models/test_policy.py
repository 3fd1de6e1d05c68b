from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from rlvr.batching import token_batch
from rlvr.config import LoraConfig
from rlvr.models import logprobs
from rlvr.models.adapters import add_adapters
from rlvr.models.policy import Policy
from rlvr.types import Batch


@pytest.fixture
def batch() -> Batch:
    prompts, completions = [[5, 6, 7], [8], [9, 10]], [[11, 12], [13, 14, 15, 16], [17]]
    return token_batch(prompts, completions, [[True] * len(c) for c in completions], [0, 0, 1])


def straight(policy: Policy, ids: list[int]) -> torch.Tensor:
    """Log-probability of each token given those before it, by the model's own forward pass."""
    row = torch.tensor([ids])
    with torch.no_grad():
        logits = policy.model(input_ids=row).logits[0] / policy.temperature
    return torch.tensor([logits[t - 1].log_softmax(-1)[ids[t]] if t else 0.0 for t in range(len(ids))])


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_each_entry_speaks_of_its_own_token_and_only_of_completions(
    policy: Policy, batch: Batch, temperature: float
) -> None:
    policy.temperature = temperature
    scores = policy.scores(batch)
    for row in range(len(batch)):
        length = int(batch.lengths_B[row])
        expected = straight(policy, batch.input_ids[row, :length].tolist()) * batch.completion_mask[row, :length]
        assert_close(scores.logprobs[row, :length].detach(), expected, atol=1e-6, rtol=1e-5)
        assert (scores.logprobs[row, length:] == 0).all()


def test_the_entropy_is_that_of_the_distribution_each_token_was_drawn_from(policy: Policy, batch: Batch) -> None:
    entropy = policy.scores(batch).entropy
    logits = policy.model(input_ids=torch.tensor([[5, 6, 7]])).logits[0, -1]
    assert_close(entropy[0, 3].detach(), torch.distributions.Categorical(logits=logits.detach()).entropy())
    assert not entropy.requires_grad
    assert policy.scores(batch, entropy_gradient=True).entropy.requires_grad


def test_padding_neighbours_and_row_order_do_not_change_a_rows_scores(policy: Policy, batch: Batch) -> None:
    whole = policy.scores(batch).logprobs.detach()
    order = torch.tensor([2, 0, 1])
    assert_close(policy.scores(batch.rows(order)).logprobs.detach(), whole[order], atol=1e-6, rtol=1e-5)
    alone = policy.scores(batch.rows(torch.tensor([2]))).logprobs.detach()
    assert_close(alone[0], whole[2, : alone.shape[1]], atol=1e-6, rtol=1e-5)


def test_slicing_the_logits_changes_neither_scores_nor_gradients(
    policy: Policy, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gradients() -> tuple[torch.Tensor, list[torch.Tensor]]:
        policy.model.zero_grad()
        logprobs_BT = policy.scores(batch).logprobs
        logprobs_BT.sum().backward()
        return logprobs_BT.detach(), [p.grad.clone() for p in policy.trainable().values()]

    whole, whole_gradients = gradients()
    monkeypatch.setattr(logprobs, "MAX_LOGITS", 2 * policy.model.config.vocab_size)  # two tokens a slice
    sliced, sliced_gradients = gradients()
    assert_close(sliced, whole)
    for got, expected in zip(sliced_gradients, whole_gradients, strict=True):
        assert_close(got, expected, atol=1e-6, rtol=1e-5)


def test_adapters_can_be_put_off_and_are_merged_into_the_weights_that_leave(policy: Policy, batch: Batch) -> None:
    plain = policy.scores(batch).logprobs.detach()
    before = {name: weight.clone() for name, weight in policy.named_weights()}
    adapted = Policy(policy.model, add_adapters(policy.model, LoraConfig(rank=4)))
    assert all(".lora_" in name for name in adapted.trainable())
    with torch.no_grad():
        for parameter in adapted.trainable().values():
            parameter.normal_(std=0.1)
    moved = adapted.scores(batch).logprobs.detach()
    assert (moved - plain).abs().max() > 0.01
    with adapted.without_adapters():
        assert_close(adapted.scores(batch).logprobs.detach(), plain)
    merged = dict(adapted.named_weights())
    assert merged.keys() == before.keys()
    with adapted.without_adapters():
        base = {
            name.replace(".base_layer", ""): p for name, p in policy.model.named_parameters() if ".lora_" not in name
        }
        with torch.no_grad():
            for name, weight in merged.items():
                base[name].copy_(weight)
        assert_close(adapted.scores(batch).logprobs.detach(), moved, atol=1e-5, rtol=1e-4)


def test_rows_and_fields_of_a_batch_move_together(batch: Batch) -> None:
    filled = replace(batch, advantages=torch.arange(3.0).unsqueeze(-1) * batch.completion_mask)
    chosen = filled.rows(torch.tensor([2]))
    assert chosen.input_ids.tolist() == [[9, 10, 17]]
    assert chosen.advantages.tolist() == [[0.0, 0.0, 2.0]]
