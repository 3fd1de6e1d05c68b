"""Heads that turn a state into one number: of reward models, at a row's last token, and of critics, before each token.

A reward model is transformers' own sequence-classification model with one label, so a saved one loads with
`AutoModelForSequenceClassification.from_pretrained` and gives the same scores.
"""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity, set_verbosity_error

from rlvr.config import ModelConfig
from rlvr.errors import ModelError
from rlvr.models.adapters import add_adapters
from rlvr.models.chat import Chat
from rlvr.models.load import AUTOCAST, attention_of, new_model
from rlvr.models.packing import check_packing, token_states
from rlvr.models.remote_code import refuse_code
from rlvr.models.weights import adapter_weights, merged_weights, save_model
from rlvr.seeds import derive
from rlvr.types import Batch

HEAD = "score"


class RewardModel:
    """Scores rows of tokens, higher for better. `adapters` is a peft model around the backbone, or `None`."""

    def __init__(
        self,
        model: PreTrainedModel,
        adapters: Any = None,
        autocast: torch.dtype | None = None,
        packing: bool = False,
    ) -> None:
        self.model = model
        self.adapters = adapters
        self.autocast = autocast
        self.packing = packing

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def head(self) -> nn.Linear:
        head: nn.Linear = getattr(self.model, HEAD)
        return head

    def train(self, mode: bool = True) -> None:
        """Turn training mode on or off (dropout, recomputation in the backward pass)."""
        self.model.train(mode)

    def trainable(self) -> dict[str, nn.Parameter]:
        """The trained parameters by name: all of them, or the adapters and the head."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def scores(self, batch: Batch, entropy_gradient: bool = False) -> Tensor:
        """The score of each row `(B,)`, float32, from the state at its last token."""
        last = torch.zeros_like(batch.attention_mask, dtype=torch.bool)
        last[torch.arange(len(batch), device=last.device), batch.lengths_B - 1] = True
        with torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            states = token_states(self.model.base_model, batch, last, self.packing)
        return self._judged(states)

    def values(self, batch: Batch, where: Tensor, states: Tensor) -> Tensor:
        """As a critic: the score `(N,)` of the state at each token in `where`, from its own backbone."""
        return self._judged(token_states(self.model.base_model, batch, where, self.packing))

    def _judged(self, states: Tensor) -> Tensor:
        bias = self.head.bias
        return nn.functional.linear(
            states.float(), self.head.weight.float(), None if bias is None else bias.float()
        ).squeeze(-1)

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every weight by its Hugging Face name, adapters merged in."""
        return merged_weights(self.model)

    def adapter(self) -> Mapping[str, Tensor] | None:
        """Only the adapters, without the head, or `None`."""
        return adapter_weights(self.model, self.adapters)

    def save(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Write the model and its tokenizer in Hugging Face format for sequence classification, with adapters
        merged."""
        save_model(self.model, folder)
        padded = copy.deepcopy(tokenizer)
        padded.pad_token_id = self.model.config.get_text_config().pad_token_id
        padded.save_pretrained(folder)


class ValueHead:
    """A critic on the policy's own states. It starts at 0 everywhere, and its gradient trains the policy's backbone."""

    def __init__(self, hidden_size: int, device: torch.device) -> None:
        self.linear = nn.Linear(hidden_size, 1, device=device)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def train(self, mode: bool = True) -> None:
        self.linear.train(mode)

    def trainable(self) -> dict[str, nn.Parameter]:
        return dict(self.linear.named_parameters())

    def values(self, batch: Batch, where: Tensor, states: Tensor) -> Tensor:
        return nn.functional.linear(states.float(), self.linear.weight, self.linear.bias).squeeze(-1)


def load_reward_model(
    config: ModelConfig, chat: Chat, device: torch.device, seed: int, may_draw: bool = True
) -> RewardModel:
    """A reward model, with the head in the model's folder, or with a random head from `seed` on a language model.
    Raises `ModelError` if there is no head and `may_draw` is false: a random head cannot judge.

    A new head is N(0, 1 / (H + 1)) (Stiennon et al., 2020, arXiv:2009.01325, appendix B.1).
    """
    model = _classifier(config, chat, seed, may_draw)
    model.to(device)
    if not isinstance(getattr(model, HEAD, None), nn.Linear):
        raise ModelError(
            f"{type(model).__name__} has no linear head called {HEAD!r}; use a decoder such as Qwen or Llama"
        )
    model.config.get_text_config().pad_token_id = padding_id(chat)
    if config.packing:
        check_packing(model)
    adapters = None
    if config.lora:
        adapters = add_adapters(model.base_model, config.lora, task_type=None)
        getattr(model, HEAD).requires_grad_(True)
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if adapters is not None:
            model.enable_input_require_grads()
    return RewardModel(model, adapters, AUTOCAST[config.autocast], config.packing)


def _classifier(config: ModelConfig, chat: Chat, seed: int, may_draw: bool) -> PreTrainedModel:
    if config.scratch is not None:
        language_model = new_model(config.scratch, chat, seed)
        model = AutoModelForSequenceClassification.from_config(_one_label(language_model.config))
        model.base_model.load_state_dict(language_model.base_model.state_dict())
        _draw_head(model, seed)
        return model
    disable_progress_bar()
    verbosity = get_verbosity()
    set_verbosity_error()  # a missing head is reported below, if it matters
    try:
        attention = attention_of(
            AutoConfig.from_pretrained(
                config.path, trust_remote_code=config.trust_remote_code, revision=config.revision
            ),
            config.attention,
        )
        model, loading_info = AutoModelForSequenceClassification.from_pretrained(
            config.path,
            num_labels=1,
            dtype=getattr(torch, config.dtype),
            output_loading_info=True,
            trust_remote_code=config.trust_remote_code,
            revision=config.revision,
            **attention,
        )
    except (OSError, ValueError, RuntimeError) as error:
        refuse_code(str(config.path), error)
        raise ModelError(f"{config.path!r} cannot be loaded as a reward model: {error}") from error
    finally:
        set_verbosity(verbosity)
    missing = set(loading_info["missing_keys"])
    if missing - {f"{HEAD}.weight"}:
        raise ModelError(f"{config.path!r} lacks weights that a reward model needs: {sorted(missing)[:3]}")
    if missing and not may_draw:
        raise ModelError(
            f"{config.path!r} holds a language model without a head that scores; expected what trainer: reward_model "
            "saved"
        )
    if missing:
        _draw_head(model, seed)
    return model


def _one_label(config: Any) -> Any:
    config.num_labels = 1
    config.architectures = [config.architectures[0].replace("ForCausalLM", "ForSequenceClassification")]
    return config


@torch.no_grad()
def _draw_head(model: PreTrainedModel, seed: int) -> None:
    weight = getattr(model, HEAD).weight
    generator = torch.Generator().manual_seed(derive(seed, "reward head"))
    drawn = torch.randn(weight.shape, generator=generator) / (weight.shape[-1] + 1) ** 0.5
    weight.copy_(drawn.to(weight.dtype))


def padding_id(chat: Chat) -> int:
    """A token that never ends a row: transformers takes the last token that is not padding as the end of a row."""
    tokenizer = chat.tokenizer
    ends = (chat.end_ids[0], tokenizer.eos_token_id)
    spare = sorted(token for token, added in tokenizer.added_tokens_decoder.items() if added.special)
    for token in (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id, *spare):
        if token is not None and token not in ends:
            return int(token)
    raise ModelError(
        "the only token to pad with is the end token, so a saved reward model could not find where a row ends; "
        "expected a separate pad_token. Set one and save the tokenizer"
    )
