"""The policy: a language model that scores tokens. The only file in which tokens are shifted."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rlvr.models.adapters import with_values
from rlvr.models.logprobs import token_logprobs
from rlvr.models.packing import token_states
from rlvr.models.weights import adapter_weights, merged_weights, save_model
from rlvr.types import Batch


@dataclass(frozen=True)
class TokenScores:
    """The policy's scores of the tokens of a batch: `(B, T)` each, zero outside of the completion mask.

    `values` are a critic's values of the state before each token, if there is a critic.
    """

    logprobs: Tensor
    entropy: Tensor
    values: Tensor | None = None


class Critic(Protocol):
    """Estimates the value of the state before each token: `heads.ValueHead`, or a separate model."""

    def values(self, batch: Batch, where: Tensor, states: Tensor) -> Tensor:
        """Values `(N,)`, float32, at the tokens in `where` `(B, T)`; the policy's states there are `(N, H)`."""
        ...

    def train(self, mode: bool = True) -> None: ...

    def trainable(self) -> dict[str, torch.nn.Parameter]: ...


class Policy:
    """A causal language model, optionally with LoRA adapters, that scores completions.

    `model` is the transformers model itself (with injected adapters if `adapters` is a peft model around it).
    `temperature` divides the logits: the sampling temperature in RL, else 1. `autocast` is the dtype of matrix
    products, or `None` for that of the weights; `compile` runs torch.compile on scoring; `packing` computes rows
    without padding, and a prompt that several rows of a group share only once. `files` are the contents, by name, of
    other files that belong to the model and are saved with it, such as an image processor's.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        adapters: Any = None,
        temperature: float = 1.0,
        autocast: torch.dtype | None = None,
        compile: bool = False,
        packing: bool = False,
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        self.model = model
        self.files = files
        # Compiled only for the learner: in the embedded engine, shapes change with every token.
        self.decoder = torch.compile(model.get_decoder(), dynamic=True) if compile else model.get_decoder()
        self.adapters = adapters
        self.temperature = temperature
        self.autocast = autocast
        self.packing = packing
        self.critic: Critic | None = None
        # The values of the trained adapters before training, if it began with those of a file.
        self.start: Mapping[str, Tensor] | None = None

    @property
    def device(self) -> torch.device:
        return self.model.device

    def train(self, mode: bool = True) -> None:
        """Turn training mode on or off (dropout, recomputation in the backward pass), also of the critic."""
        self.model.train(mode)
        if self.critic is not None:
            self.critic.train(mode)

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """The trained parameters by name: all of them or the adapters, and those of a critic."""
        own = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        return own | ({f"critic.{name}": p for name, p in self.critic.trainable().items()} if self.critic else {})

    def scores(self, batch: Batch, entropy_gradient: bool = False) -> TokenScores:
        """Score each token in the completion mask given all tokens before it.

        Entry `[b, t]` belongs to `input_ids[b, t]`, at the policy's temperature. The LM head runs only on scored
        tokens.
        """
        with torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            scored = batch.completion_mask[:, 1:]  # token t is predicted by the state at t - 1
            predicting = torch.cat([scored, torch.zeros_like(scored[:, :1])], dim=1)
            states = token_states(self.decoder, batch, predicting, self.packing)
            targets = batch.input_ids[:, 1:][scored]
            logprobs, entropy = token_logprobs(self.model, states, targets, self.temperature, entropy_gradient)
            values = None if self.critic is None else _scatter(self.critic.values(batch, predicting, states), scored)
        return TokenScores(_scatter(logprobs, scored), _scatter(entropy, scored), values)

    def without_adapters(self) -> AbstractContextManager[object]:
        """Turn the adapters off inside the context, which gives the reference policy at no cost."""
        return self.adapters.disable_adapter() if self.adapters is not None else nullcontext()

    def as_at_start(self) -> AbstractContextManager[object]:
        """The policy before training, inside the context: with the adapters it began with, or without any."""
        return self.without_adapters() if self.start is None else with_values(self.trainable(), self.start)

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every weight of the plain model by its name on the hub, adapters merged in, tensor by tensor."""
        return merged_weights(self.model)

    def adapter(self) -> Mapping[str, Tensor] | None:
        """Only the adapters, or `None`."""
        return adapter_weights(self.model, self.adapters)

    def save(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Write the model in Hugging Face format with adapters merged; `from_pretrained(folder)` loads it."""
        save_model(self.model, folder)
        tokenizer.save_pretrained(folder)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def _scatter(values: Tensor, scored: Tensor) -> Tensor:
    """Put values `(N,)` at their tokens, one column to the right of the states that predicted them."""
    rows, columns = scored.shape
    out = values.new_zeros(rows, columns + 1)
    out[:, 1:] = out[:, 1:].masked_scatter(scored, values)
    return out
