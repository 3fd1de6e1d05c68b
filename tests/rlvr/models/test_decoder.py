"""A model taken apart: what is below the head, and the head."""

import torch
from torch.testing import assert_close

from rlvr.models.decoder import check_decomposition, hidden_states, scores
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
