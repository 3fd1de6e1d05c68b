"""Log-probabilities and entropies of tokens, with a head whose logits are known."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from rlvr.models import logprobs
from rlvr.models.logprobs import token_logprobs
from rlvr.models.policy import Policy

NEVER = -1e4


@pytest.fixture
def known(policy: Policy) -> Policy:
    """For the state e0 the tokens 0 to 3 have probabilities 0.4, 0.3, 0.2, 0.1; for 0 all are equally likely."""
    with torch.no_grad():
        policy.model.lm_head.weight.zero_()
        policy.model.lm_head.weight[:, 0] = NEVER
        policy.model.lm_head.weight[:4, 0] = torch.tensor([4.0, 3.0, 2.0, 1.0]).log()
    return policy


def state(*values: float) -> Tensor:
    """Hidden states `(N, 32)` that are `values` in their first place and 0 elsewhere."""
    hidden = torch.zeros(len(values), 32)
    hidden[:, 0] = torch.tensor(values)
    return hidden


def entropy(*probabilities: float) -> float:
    return -sum(p * math.log(p) for p in probabilities)


def test_log_probabilities_and_entropies_are_those_worked_by_hand(known: Policy) -> None:
    found, entropies = token_logprobs(known.model, state(1, 1, 0), torch.tensor([0, 3, 17]), temperature=1.0)
    vocabulary = known.model.config.vocab_size
    assert_close(found.detach(), torch.tensor([0.4, 0.1, 1 / vocabulary]).log())
    of_four = entropy(0.4, 0.3, 0.2, 0.1)
    assert_close(entropies, torch.tensor([of_four, of_four, math.log(vocabulary)]))


def test_the_temperature_divides_the_logits(known: Policy) -> None:
    found, entropies = token_logprobs(known.model, state(1), torch.tensor([0]), temperature=0.5)
    # Probabilities go with the square: 16, 9, 4, 1 of 30.
    assert_close(found.detach(), torch.tensor([16 / 30]).log())
    assert_close(entropies, torch.tensor([entropy(16 / 30, 9 / 30, 4 / 30, 1 / 30)]))


def test_the_gradient_raises_the_token_and_lowers_the_others(known: Policy) -> None:
    token_logprobs(known.model, state(1), torch.tensor([1]), temperature=1.0)[0].sum().backward()
    gradient = known.model.lm_head.weight.grad
    assert gradient is not None
    assert_close(gradient[:5, 0], torch.tensor([-0.4, 0.7, -0.2, -0.1, 0.0]))


def test_the_entropy_has_a_gradient_where_it_is_asked_for(known: Policy) -> None:
    _, plain = token_logprobs(known.model, state(1), torch.tensor([1]), 1.0)
    assert not plain.requires_grad
    _, asked = token_logprobs(known.model, state(1), torch.tensor([1]), 1.0, entropy_gradient=True)
    asked.sum().backward()
    gradient = known.model.lm_head.weight.grad
    assert gradient is not None
    # dH / dlogit = -p (log p + H)
    whole = entropy(0.4, 0.3, 0.2, 0.1)
    expected = [-p * (math.log(p) + whole) for p in (0.4, 0.3, 0.2, 0.1)]
    assert_close(gradient[:4, 0], torch.tensor(expected))


@pytest.mark.parametrize("entropy_gradient", [False, True])
def test_slices_change_neither_numbers_nor_gradients(
    known: Policy, monkeypatch: pytest.MonkeyPatch, entropy_gradient: bool
) -> None:
    hidden, targets = state(1, 0.5, 0, 2, 1), torch.tensor([0, 1, 2, 3, 3])

    def computed() -> tuple[Tensor, Tensor, Tensor]:
        known.model.zero_grad()
        found, entropies = token_logprobs(known.model, hidden.clone(), targets, 0.7, entropy_gradient)
        (found.sum() + entropies.sum()).backward()
        return found.detach(), entropies.detach(), known.model.lm_head.weight.grad.clone()

    whole = computed()
    monkeypatch.setattr(logprobs, "MAX_LOGITS", 2 * known.model.config.vocab_size)  # slices of 2, 2 and 1
    for sliced, expected in zip(computed(), whole, strict=True):
        assert_close(sliced, expected)


def test_no_token_has_no_numbers(known: Policy) -> None:
    found, entropies = token_logprobs(known.model, state(), torch.tensor([], dtype=torch.long), 1.0)
    assert found.tolist() == entropies.tolist() == []
