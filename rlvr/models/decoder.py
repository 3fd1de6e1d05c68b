"""A causal language model split in two: a decoder that returns hidden states, and an LM head that returns logits.

The head is separate so that it runs only on the tokens that need it; with a vocabulary of 150k it takes most of the
time and nearly all of the memory.
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlvr.errors import ModelError


def hidden_states(model: PreTrainedModel, **inputs: object) -> Tensor:
    """The last layer's output `(B, T, H)`, before the LM head."""
    return model.get_decoder()(**inputs).last_hidden_state


def scores(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Logits in float32 `(..., V)` of hidden states `(..., H)`."""
    head: nn.Module = model.get_output_embeddings()
    return head(hidden).float()


@torch.no_grad()
def check_decomposition(model: PreTrainedModel) -> None:
    """Refuse a model whose logits are more than `scores(hidden_states(...))` (soft-capping, scaled logits)."""
    was_training = model.training
    model.eval()
    ids = torch.arange(1, 5, device=model.device).unsqueeze(0)
    ours = scores(model, hidden_states(model, input_ids=ids))
    theirs = model(input_ids=ids).logits.float()
    model.train(was_training)
    if not torch.allclose(ours, theirs, rtol=1e-2, atol=1e-2):
        raise ModelError(
            f"{type(model).__name__} changes its logits after the LM head (largest difference "
            f"{(ours - theirs).abs().max().item():.3g}); expected head(decoder(x)) to be the logits. "
            "Use a model without logit scaling or soft-capping."
        )
