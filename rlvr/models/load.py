"""From a configuration to a policy: a folder or hub id in Hugging Face format, or a tiny new model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
from rlvr.models.chat import Chat, make_chat
from rlvr.models.decoder import check_decomposition
from rlvr.models.packing import check_packing
from rlvr.models.policy import Policy
from rlvr.models.quantized import keep_layout, quantization_of
from rlvr.models.remote_code import refuse_code
from rlvr.models.scratch import build_model, build_tokenizer
from rlvr.models.templates import AS_IT_IS, Template, set_template
from rlvr.models.tokenizer import load_tokenizer, optional_file
from rlvr.models.vocabulary import leave_out, unknown_tokens
from rlvr.seeds import derive

# Timeout of the first request to the hub.
HUB_SECONDS = 5.0
AUTOCAST = {"none": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


def check_path(path: str, key: str = "model.path", revision: str | None = None) -> None:
    """Refuse a missing folder, and a hub model that is not cached while the hub does not answer.

    Raises `ModelError`. transformers would take the folder for a hub id and retry many times.
    """
    if Path(path).is_dir():
        if revision is not None:
            raise ModelError(
                f"{key} {path!r} is a folder, and its key revision ({revision!r}) names a version of a hub id; leave "
                "revision out"
            )
        return
    expected = "expected a folder in Hugging Face format, such as runs/quickstart/model, or a hub id with one slash"
    parent = Path(path).parent
    if path.startswith((".", "/", "~")) or path.count("/") > 1 or (parent != Path(".") and parent.is_dir()):
        raise ModelError(f"{key} {path!r}: there is no such folder; {expected}")
    try:
        if isinstance(try_to_load_from_cache(path, "config.json", revision=revision), str):
            return
        get_session().head(hf_hub_url(path, "config.json", revision=revision), timeout=HUB_SECONDS)
    except HFValidationError as error:
        raise ModelError(f"{key} {path!r}: there is no such folder, and it is no hub id; {expected}") from error
    except Exception as error:  # the hub client's HTTP library may raise anything
        raise ModelError(
            f"{key} {path!r}: there is no such folder, the hub's cache does not hold it, and the hub cannot be "
            f"reached ({error}); {expected}"
        ) from error


def commit_of(config: ModelConfig) -> str | None:
    """The commit of a hub id in the hub's cache, from where it was loaded; `None` for a folder or a new model."""
    if config.path is None or Path(config.path).is_dir():
        return None
    cached = try_to_load_from_cache(config.path, "config.json", revision=config.revision)
    return Path(cached).parent.name if isinstance(cached, str) else None


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
    path: str,
    chat_template: str | None = None,
    template: Template = AS_IT_IS,
    needs_template: bool = True,
    trust_remote_code: bool = False,
    revision: str | None = None,
) -> Chat:
    """The tokenizer of a model; its weights are not loaded.

    `chat_template` takes the place of the tokenizer's own: a name, a file, or the text of one. Raises `ModelError`.
    """
    check_path(path, revision=revision)
    try:
        tokenizer = load_tokenizer(path, trust_remote_code, revision)
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code, revision=revision)
    except (OSError, ValueError) as error:
        refuse_code(path, error)
        raise ModelError(
            f"model.path {path!r} has no tokenizer or configuration that transformers can load: {one_line(error)}"
        ) from error
    context = getattr(config.get_text_config(), "max_position_embeddings", None) or tokenizer.model_max_length
    if not tokenizer.chat_template and (file := optional_file(path, "chat_template.json", revision)) is not None:
        tokenizer.chat_template = json.loads(Path(file).read_text(encoding="utf-8"))["chat_template"]  # a processor's
    set_template(tokenizer, chat_template, repr(path))
    return make_chat(tokenizer, model_end_ids(path, config, revision), context, repr(path), template, needs_template)


def model_end_ids(path: str, config: PreTrainedConfig, revision: str | None = None) -> list[int]:
    """The end tokens that a model's own files name: its configuration, on both levels where it is composed of several,
    and its generation_config.json.

    That file is read as it stands: transformers refuses some that hold all that is needed here.
    """
    file = optional_file(path, "generation_config.json", revision)
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
        load_weights_of(str(config.path), config, device)
        if config.scratch is None
        else new_model(config.scratch, chat, seed)
    )
    if config.quantize == "none":
        model.to(device)
    else:  # these were made where they stay
        keep_layout(model)
    leave_out(model, unknown_tokens(chat.tokenizer, model.config.get_text_config().vocab_size))
    check_decomposition(model)
    if config.packing:
        check_packing(model)
    adapters = add_adapters(model, config.lora) if config.lora else None
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if adapters is not None:
            model.enable_input_require_grads()
    return Policy(model, adapters, temperature, AUTOCAST[config.autocast], config.compile, config.packing)


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


def load_weights_of(path: str, config: ModelConfig, device: torch.device) -> PreTrainedModel:
    disable_progress_bar()
    dtype = getattr(torch, config.dtype)
    options: dict[str, Any] = {"attn_implementation": config.attention} if config.attention else {}
    if config.quantize != "none":
        quantization = quantization_of(config.quantize, AUTOCAST[config.autocast] or dtype)
        options |= {"quantization_config": quantization, "device_map": {"": device}}
    try:
        return AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, trust_remote_code=config.trust_remote_code, revision=config.revision, **options
        )
    except (OSError, ValueError, ImportError) as error:
        refuse_code(path, error)
        raise ModelError(
            f"model.path {path!r} cannot be loaded as a causal language model: {one_line(error)}"
        ) from error


def add_adapters(model: PreTrainedModel, config: LoraConfig, task_type: str | None = "CAUSAL_LM") -> object:
    """Put LoRA adapters into `model`, in float32, and freeze the rest."""
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
