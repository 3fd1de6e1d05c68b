"""The policy: a language model seen as log-probabilities of tokens. The only place where tokens are shifted."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rlvr.models.logprobs import token_logprobs
from rlvr.models.packing import token_states
from rlvr.types import Batch


@dataclass(frozen=True)
class TokenScores:
    """What the policy thinks of the tokens of a batch: `(B, T)` each, zero outside of the completion mask.

    `values` are a critic's, of what stands before each token, where there is one.
    """

    logprobs: Tensor
    entropy: Tensor
    values: Tensor | None = None


class Critic(Protocol):
    """Estimates the value of the state before each token: `heads.ValueHead`, or a model of its own."""

    def values(self, batch: Batch, where: Tensor, states: Tensor) -> Tensor:
        """Values `(N,)`, float32, at the tokens in `where` `(B, T)`; the policy's states there are `(N, H)`."""
        ...

    def train(self, mode: bool = True) -> None: ...

    def trainable(self) -> dict[str, torch.nn.Parameter]: ...


class Policy:
    """A causal language model, perhaps with LoRA adapters, that scores completions.

    `model` is the transformers model itself (with adapters injected where `adapters` is a peft model around it).
    `temperature` divides the logits: what is scored was drawn at it, or it is 1.
    `autocast` is the dtype of matrix products, or `None` for the weights' own; `compile` runs torch.compile on scoring;
    `packing` computes rows without padding between them, and a prompt that several rows of a group share once.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        adapters: Any = None,
        temperature: float = 1.0,
        autocast: torch.dtype | None = None,
        compile: bool = False,
        packing: bool = False,
    ) -> None:
        self.model = model
        # Only what the learner computes: the embedded engine's shapes change with every token.
        self.decoder = torch.compile(model.get_decoder(), dynamic=True) if compile else model.get_decoder()
        self.adapters = adapters
        self.temperature = temperature
        self.autocast = autocast
        self.packing = packing
        self.critic: Critic | None = None

    @property
    def device(self) -> torch.device:
        return self.model.device

    def train(self, mode: bool = True) -> None:
        """Turn on what only training does (dropout, recomputing in the backward pass), or off; the critic's too."""
        self.model.train(mode)
        if self.critic is not None:
            self.critic.train(mode)

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """The parameters that training changes, by name: all of them, or the adapters; and those of a critic."""
        own = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        return own | ({f"critic.{name}": p for name, p in self.critic.trainable().items()} if self.critic else {})

    def scores(self, batch: Batch, entropy_gradient: bool = False) -> TokenScores:
        """Score each token in the completion mask given all tokens before it.

        Entry `[b, t]` speaks of `input_ids[b, t]`, at the policy's temperature. The LM head runs on those tokens only.
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
        """Inside, the policy is the model that the adapters were put on: the reference policy, for free."""
        return self.adapters.disable_adapter() if self.adapters is not None else nullcontext()

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every weight of the plain model by its Hugging Face name, adapters merged in, tensor by tensor."""
        return merged_weights(self.model, self.adapters)

    def adapter(self) -> Mapping[str, Tensor] | None:
        """The adapters alone, where there are some."""
        return adapter_weights(self.model, self.adapters)

    def save(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Write the model in Hugging Face format, adapters merged, so that `from_pretrained(folder)` loads it."""
        weights = {name: weight.cpu().contiguous() for name, weight in self.named_weights()}
        self.model.config.save_pretrained(folder)
        if self.model.generation_config is not None:
            self.model.generation_config.save_pretrained(folder)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        tokenizer.save_pretrained(folder)


@torch.no_grad()
def merged_weights(model: PreTrainedModel, adapters: Any) -> Iterator[tuple[str, Tensor]]:
    """The weights of `model` as they would be without adapters of their own, tensor by tensor.

    An adapter's product is made when its tensor is asked for, so that one of them is in memory at a time. The base
    weights are read, never written: merging in place and back would let rounding errors pile up.
    """
    adapted: dict[str, Any] = {}
    if adapters is not None:
        from peft.tuners.lora import LoraLayer

        adapted = {
            f"{name}.base_layer.weight": layer for name, layer in model.named_modules() if isinstance(layer, LoraLayer)
        }
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            continue
        weight = parameter.detach()
        if name in adapted:
            layer = adapted[name]
            delta: Any = sum(layer.get_delta_weight(a) for a in layer.active_adapters)
            weight = (weight.float() + delta.float()).to(weight.dtype)
        yield name.replace(".base_layer", ""), weight


def merged_names(model: PreTrainedModel) -> Iterator[str]:
    """The names that `merged_weights` gives, without making a tensor."""
    yield from (name.replace(".base_layer", "") for name, _ in model.named_parameters() if ".lora_" not in name)


def adapter_weights(model: PreTrainedModel, adapters: Any) -> Mapping[str, Tensor] | None:
    """The adapters' own tensors by name; `None` where there are none."""
    if adapters is None:
        return None
    return {name: parameter.detach() for name, parameter in model.named_parameters() if ".lora_" in name}


def _scatter(values: Tensor, scored: Tensor) -> Tensor:
    """Put values `(N,)` back to their tokens, one column to the right of the states that predicted them."""
    rows, columns = scored.shape
    out = values.new_zeros(rows, columns + 1)
    out[:, 1:] = out[:, 1:].masked_scatter(scored, values)
    return out
