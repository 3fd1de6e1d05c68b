"""From a configuration to a policy: a folder or hub id in Hugging Face format, or a tiny new model."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from huggingface_hub import get_session, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)
from transformers.utils.logging import disable_progress_bar

from rlvr.config import LoraConfig, ModelConfig, ScratchConfig
from rlvr.errors import ModelError
from rlvr.models.adapters import adapter_config_at, base_of, merged_into, put_adapters, sources_of, values_of
from rlvr.models.chat import Chat, make_chat
from rlvr.models.decoder import check_decomposition
from rlvr.models.packing import check_packing
from rlvr.models.policy import Policy
from rlvr.models.scratch import build_model, build_tokenizer
from rlvr.models.templates import AS_IT_IS, Template, set_template
from rlvr.models.tokenizer import load_tokenizer, optional_file
from rlvr.seeds import derive

# Timeout of the first request to the hub.
HUB_SECONDS = 5.0


def check_path(path: str, key: str = "model.path") -> None:
    """Refuse a missing folder, and a hub model that is not cached while the hub does not answer.

    Raises `ModelError`. transformers would take the folder for a hub id and retry many times.
    """
    if Path(path).is_dir():
        return
    expected = "expected a folder in Hugging Face format, such as runs/quickstart/model, or a hub id with one slash"
    parent = Path(path).parent
    if path.startswith((".", "/", "~")) or path.count("/") > 1 or (parent != Path(".") and parent.is_dir()):
        raise ModelError(f"{key} {path!r}: there is no such folder; {expected}")
    try:
        if isinstance(try_to_load_from_cache(path, "config.json"), str):
            return
        get_session().head(hf_hub_url(path, "config.json"), timeout=HUB_SECONDS)
    except HFValidationError as error:
        raise ModelError(f"{key} {path!r}: there is no such folder, and it is no hub id; {expected}") from error
    except Exception as error:  # the hub client's HTTP library may raise anything
        raise ModelError(
            f"{key} {path!r}: there is no such folder, the hub's cache does not hold it, and the hub cannot be "
            f"reached ({error}); {expected}"
        ) from error


def check_attention(name: str, key: str = "model.attention") -> None:
    """Check with a tiny model whether transformers can use this attention here. Raises `ModelError`."""
    tiny = Qwen3Config(
        vocab_size=8,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=8,
        intermediate_size=8,
    )
    try:
        AutoModelForCausalLM.from_config(tiny, attn_implementation=name)
    except (ImportError, ValueError) as error:
        raise ModelError(
            f"{key}: got {name!r}, expected sdpa, eager, or another one that transformers can use here: "
            f"{one_line(error)}"
        ) from error


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def load_chat(
    path: str, chat_template: str | None = None, template: Template = AS_IT_IS, needs_template: bool = True
) -> Chat:
    """The tokenizer of a model; its weights are not loaded.

    `chat_template` takes the place of the tokenizer's own: a name, a file, or the text of one. Raises `ModelError`.
    """
    check_path(path)
    model_path, tokenizer_path = sources_of(path)
    try:
        tokenizer = load_tokenizer(tokenizer_path)
        config = AutoConfig.from_pretrained(model_path)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model.path {path!r} has no tokenizer or configuration that transformers can load: {one_line(error)}"
        ) from error
    context = getattr(config.get_text_config(), "max_position_embeddings", None) or tokenizer.model_max_length
    if not tokenizer.chat_template and (file := optional_file(tokenizer_path, "chat_template.json")) is not None:
        tokenizer.chat_template = json.loads(Path(file).read_text(encoding="utf-8"))["chat_template"]  # a processor's
    set_template(tokenizer, chat_template, repr(path))
    return make_chat(tokenizer, model_end_ids(model_path, config), context, repr(path), template, needs_template)


def model_end_ids(path: str, config: PreTrainedConfig) -> list[int]:
    """The end tokens that a model's own files name: its configuration, on both levels where it is composed of several,
    and its generation_config.json.

    That file is read as it stands: transformers refuses some that hold all that is needed here.
    """
    file = optional_file(path, "generation_config.json")
    try:
        generation = json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
    except ValueError as error:
        raise ModelError(f"{file} is not JSON: {one_line(error)}; correct or delete it") from error
    named = [source.to_dict().get("eos_token_id") for source in (config.get_text_config(), config)]
    ends = [*named, generation.get("eos_token_id")]
    return [int(end) for some in ends for end in (some if isinstance(some, list) else [some]) if end is not None]


def scratch_chat(
    config: ScratchConfig, texts: Sequence[str], chat_template: str | None = None, template: Template = AS_IT_IS
) -> Chat:
    """A new tokenizer trained on `texts`."""
    tokenizer = build_tokenizer(texts, config.vocab_size)
    set_template(tokenizer, chat_template, "model.scratch")
    return make_chat(tokenizer, [], config.max_length, "model.scratch", template)


def load_policy(config: ModelConfig, chat: Chat, device: torch.device, temperature: float, seed: int) -> Policy:
    """The policy on its device, ready for training. With `scratch` its weights are random, from `seed`."""
    model = (
        load_weights_of(str(config.path), config) if config.scratch is None else new_model(config.scratch, chat, seed)
    )
    model.to(device)
    check_decomposition(model)
    if config.packing:
        check_packing(model)
    adapters = add_adapters(model, config.lora) if config.lora else None
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if adapters is not None:
            model.enable_input_require_grads()
    autocast = torch.bfloat16 if config.autocast == "bfloat16" else None
    policy = Policy(model, adapters, temperature, autocast, config.compile, config.packing)
    if config.lora and config.lora.path:
        policy.start = values_of(policy.trainable())
    return policy


def new_model(size: ScratchConfig, chat: Chat, seed: int) -> PreTrainedModel:
    """A tiny model with random weights from `seed`."""
    return build_model(
        chat.tokenizer,
        size.hidden_size,
        size.layers,
        size.heads,
        size.kv_heads,
        size.intermediate_size,
        size.max_length,
        size.initializer_range,
        derive(seed, "weights"),
    )


def load_weights_of(path: str, config: ModelConfig) -> PreTrainedModel:
    disable_progress_bar()
    adapter = adapter_config_at(path)
    if adapter is not None:
        return merged_into(load_weights_of(base_of(path, adapter), config), path)
    attention = {"attn_implementation": config.attention} if config.attention else {}
    try:
        return AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, config.dtype), **attention)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(
            f"model.path {path!r} cannot be loaded as a causal language model: {one_line(error)}"
        ) from error


def add_adapters(model: PreTrainedModel, config: LoraConfig, task_type: str | None = "CAUSAL_LM") -> object:
    """Put LoRA adapters into `model`, in float32, and freeze the rest. Raises `ModelError` if they do not fit."""
    if config.path is not None:
        return put_adapters(model, config)
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    peft_config = PeftConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.targets,
        task_type=task_type,
    )
    try:
        return get_peft_model(model, peft_config)
    except ValueError as error:
        raise ModelError(f"model.lora.targets {config.targets!r}: {error}") from error
