"""Tokens that a model has logits for and its tokenizer does not know.

Many models have more embeddings than their tokenizer has tokens, so that the size is a round number. The rows in excess
were hardly trained. No text holds such a token, and a sampled one would be decoded as nothing, so their probability is
set to zero, in the learner, in the embedded engine and in vLLM alike.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

# A logit whose probability is zero in float32. Finite, since 0 x infinity would be nan in an entropy.
UNLIKELY = -1e4


def unknown_tokens(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> list[int]:
    """The ids below `vocabulary` that are no tokens of the tokenizer."""
    known = set(tokenizer.get_vocab().values())
    return [token for token in range(vocabulary) if token not in known]


def leave_out(model: PreTrainedModel, token_ids: Sequence[int]) -> None:
    """Set the logits of some tokens to `UNLIKELY` at the model's LM head."""
    if not token_ids:
        return

    index = torch.tensor(token_ids, device=model.device)

    def fill(head: nn.Module, inputs: object, logits: Tensor) -> Tensor:
        return logits.index_fill_(-1, index, UNLIKELY)

    model.get_output_embeddings().register_forward_hook(fill)
