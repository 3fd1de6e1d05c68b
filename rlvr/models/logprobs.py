"""Log-probabilities and entropies of given tokens from hidden states, without storing all logits.

Only the states of scored tokens `(N, H)` come here. Large logits `(N, V)` are computed in slices, and computed again in
the backward pass instead of being stored.
"""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from rlvr.models.decoder import scores

# Number of logits held at once (4 bytes each in float32): 256 MiB, plus some temporaries of that size.
MAX_LOGITS = 2**26


def token_logprobs(
    model: PreTrainedModel, hidden: Tensor, targets: Tensor, temperature: float, entropy_gradient: bool = False
) -> tuple[Tensor, Tensor]:
    """Log-probabilities `(N,)` of `targets` `(N,)` at `temperature`, and entropies `(N,)` in nats, both float32.

    `hidden` `(N, H)` are the states that predict the targets. The entropy has a gradient only with `entropy_gradient`.
    """
    rows = max(1, MAX_LOGITS // model.config.get_text_config().vocab_size)
    if len(hidden) <= rows:
        return _score(model, hidden, targets, temperature, entropy_gradient)
    pieces = [
        checkpoint(_score, model, states, ids, temperature, entropy_gradient, use_reentrant=False)
        for states, ids in zip(hidden.split(rows), targets.split(rows), strict=True)
    ]
    logprobs, entropies = zip(*pieces, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)


def _score(
    model: PreTrainedModel, hidden: Tensor, targets: Tensor, temperature: float, entropy_gradient: bool
) -> tuple[Tensor, Tensor]:
    logits = scores(model, hidden) / temperature
    all_logprobs = logits.log_softmax(-1)
    logprobs = all_logprobs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
        entropy = -(all_logprobs.exp() * all_logprobs).sum(-1)
    return logprobs, entropy
