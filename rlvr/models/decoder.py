"""A causal language model split in two: a decoder that returns hidden states, and an LM head that returns logits.

The head is separate so that it runs only on the tokens that need it; with a vocabulary of 150k it takes most of the
time and nearly all of the memory. What some families do to their logits behind the head (Granite scales them, Gemma 2
caps them) is read from the configuration; `check_decomposition` compares with the model itself, so that a model that
does something else is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlvr.errors import ModelError

# Keys of a configuration that scale the logits: the factor, given the key's value and the width of the states. MiniCPM
# and Inkling divide the state before the head, which is the same for a head without a bias.
SCALES: Mapping[str, Callable[[float, int], float]] = {
    "logit_scale": lambda value, width: value,  # Cohere
    "lm_head_multiplier": lambda value, width: value,  # Falcon-H1
    "output_multiplier": lambda value, width: value,  # Muse Glimmer
    "logits_scaling": lambda value, width: 1 / value,  # Granite
    "logits_mup_width_multiplier": lambda value, width: 1 / value,  # Inkling
    "dim_model_base": lambda value, width: value / width,  # MiniCPM
}
# Families that give one of these keys another meaning.
SCALES_OF: Mapping[str, Mapping[str, Callable[[float, int], float]]] = {
    "hyperclovax": {"logits_scaling": lambda value, width: value},
}
# Keys that bound the logits: cap * tanh(logits / cap).
CAPS = ("final_logit_softcapping", "logits_soft_cap")
# The check raises the logits to this size: far above the usual caps (30 in Gemma 2), so that no cap is overlooked.
CHECKED_LOGIT = 100.0


@dataclass(frozen=True)
class LogitTransform:
    """What a model does to the output of its LM head: `cap * tanh(scale * x / cap)`, or `scale * x` without a cap."""

    scale: float = 1.0
    cap: float | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        if self.scale != 1:
            logits = logits * self.scale
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


def logit_transform(config: Any) -> LogitTransform:
    """What the model of a configuration does to its logits behind the head, by the keys in `SCALES` and `CAPS`."""
    text = config.get_text_config()
    keys = {key: value for key, value in vars(text).items() if value is not None}
    scale = 1.0
    for key, factor in {**SCALES, **SCALES_OF.get(text.model_type, {})}.items():
        if key in keys:
            scale *= factor(keys[key], text.hidden_size)
    return LogitTransform(scale, next((float(keys[key]) for key in CAPS if key in keys), None))


def hidden_states(model: PreTrainedModel, **inputs: object) -> Tensor:
    """The last layer's output `(B, T, H)`, before the LM head."""
    return model.get_decoder()(**inputs).last_hidden_state


def scores(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Logits in float32 `(..., V)` of hidden states `(..., H)`, scaled and capped as the model's own are."""
    head: nn.Module = model.get_output_embeddings()
    return logit_transform(model.config)(head(hidden).float())


@torch.no_grad()
def check_decomposition(model: PreTrainedModel) -> None:
    """Refuse a model whose logits are not `scores(hidden_states(...))`. Raises `ModelError`.

    Both are compared with the output of the head raised to `CHECKED_LOGIT`, where scaling and capping show.
    """
    head = model.get_output_embeddings()
    if head is None:
        raise ModelError(f"{type(model).__name__} has no LM head; expected a causal language model")
    was_training = model.training
    model.eval()
    ids = torch.arange(1, 5, device=model.device).unsqueeze(0)
    try:
        hidden = hidden_states(model, input_ids=ids)
        largest = CHECKED_LOGIT / max(float(head(hidden).abs().max()), 1e-6)
        with head.register_forward_hook(lambda module, inputs, output: output * largest):
            ours, theirs = scores(model, hidden), model(input_ids=ids).logits.float()
    except (AttributeError, TypeError) as error:
        raise ModelError(
            f"{type(model).__name__} cannot be taken apart into a decoder and an LM head ({error}); expected "
            "get_decoder() to return hidden states as last_hidden_state"
        ) from error
    finally:
        model.train(was_training)
    size = max(1e-6, float(theirs.abs().max()))
    if ours.shape != theirs.shape or not torch.allclose(ours, theirs, rtol=1e-2, atol=1e-2 * size):
        difference = f"{(ours - theirs).abs().max().item():.3g}" if ours.shape == theirs.shape else "another shape"
        raise ModelError(
            f"{type(model).__name__} changes its logits after the LM head in a way that its configuration does not "
            f"say (largest difference {difference}, of logits up to {size:.3g}); expected head(decoder(x)), scaled by "
            f"{', '.join(SCALES)} and capped by {', '.join(CAPS)}. Use another model"
        )
