"""From a configuration to a policy: a folder or hub id in Hugging Face format, or a tiny new model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import get_session, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)
from transformers.utils.logging import disable_progress_bar

from rlvr.config import ModelConfig, ScratchConfig
from rlvr.errors import ModelError
from rlvr.models.adapters import adapter_config_at, add_adapters, base_of, merged_into, sources_of, values_of
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
from rlvr.models.weights import name_ends
from rlvr.seeds import derive

# Timeout of the first request to the hub.
HUB_SECONDS = 5.0
# The key of a cap on attention scores (Gemma 2).
ATTENTION_CAP = "attn_logit_softcapping"
# What the processors of a composite model are saved in, beside the tokenizer.
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
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
    model_path, tokenizer_path = sources_of(path)
    try:
        tokenizer = load_tokenizer(tokenizer_path, trust_remote_code, revision)
        config = AutoConfig.from_pretrained(model_path, trust_remote_code=trust_remote_code, revision=revision)
    except (OSError, ValueError) as error:
        refuse_code(path, error)
        raise ModelError(
            f"model.path {path!r} has no tokenizer or configuration that transformers can load: {one_line(error)}"
        ) from error
    context = context_of(config.get_text_config()) or tokenizer.model_max_length
    if (
        not tokenizer.chat_template
        and (file := optional_file(tokenizer_path, "chat_template.json", revision)) is not None
    ):
        tokenizer.chat_template = json.loads(Path(file).read_text(encoding="utf-8"))["chat_template"]  # a processor's
    set_template(tokenizer, chat_template, repr(path))
    return make_chat(
        tokenizer, model_end_ids(model_path, config, revision), context, repr(path), template, needs_template
    )


def context_of(config: Any) -> int | None:
    """The tokens that a model of this configuration reads, or `None` if it does not say.

    With longrope (Phi-3) they are those before its frequencies change: transformers changes them for a whole batch, and
    under keys that are cached already, so that a row's log-probabilities would depend on its neighbours.
    """
    keys = vars(config)
    rope = keys.get("rope_parameters") or {}
    if rope.get("rope_type") == "longrope":
        return rope.get("original_max_position_embeddings") or keys.get("original_max_position_embeddings")
    return keys.get("max_position_embeddings")


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
    check_decomposition(model)
    check_vocabulary(model, chat)
    name_ends(model, chat.end_ids)
    leave_out(model, unknown_tokens(chat.tokenizer, model.config.get_text_config().vocab_size))
    if config.packing:
        check_packing(model)
    freeze_other_parts(model)
    adapters = add_adapters(model, config.lora) if config.lora else None
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if adapters is not None:
            model.enable_input_require_grads()
    is_composite = model.config.get_text_config() is not model.config
    files = processor_files(str(config.path), config.revision) if is_composite else {}
    policy = Policy(model, adapters, temperature, AUTOCAST[config.autocast], config.compile, config.packing, files)
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


def load_weights_of(path: str, config: ModelConfig, device: torch.device) -> PreTrainedModel:
    """The language model in a folder or on the hub; quantized weights are made on `device`.

    A composite model (text and images) is loaded whole, so that what is saved is whole; only its text part is used.
    Raises `ModelError`.
    """
    disable_progress_bar()
    adapter = adapter_config_at(path)
    if adapter is not None:
        return merged_into(load_weights_of(base_of(path, adapter), config, device), path)
    dtype = getattr(torch, config.dtype)
    options: dict[str, Any] = {}
    if config.quantize != "none":
        quantization = quantization_of(config.quantize, AUTOCAST[config.autocast] or dtype)
        options = {"quantization_config": quantization, "device_map": {"": device}}
    try:
        model_config = AutoConfig.from_pretrained(
            path, trust_remote_code=config.trust_remote_code, revision=config.revision
        )
        options |= attention_of(model_config, config.attention)
        model, loading_info = auto_class(model_config).from_pretrained(
            path,
            dtype=dtype,
            output_loading_info=True,
            trust_remote_code=config.trust_remote_code,
            revision=config.revision,
            **options,
        )
    except (OSError, ValueError, ImportError) as error:
        refuse_code(path, error)
        raise ModelError(
            f"model.path {path!r} cannot be loaded as a causal language model: {one_line(error)}{other_formats(path)}"
        ) from error
    check_loaded(path, loading_info)
    return model


def check_loaded(path: str, loading_info: Mapping[str, Any]) -> None:
    """Refuse a folder that lacks weights of the model, which transformers would draw at random, and name what the model
    has no place for. Raises `ModelError`."""
    missing, unknown = sorted(loading_info["missing_keys"]), sorted(loading_info["unexpected_keys"])
    if missing:
        raise ModelError(
            f"model.path {path!r} lacks {len(missing)} weights of a causal language model, such as {missing[0]}, and "
            "they would be random; expected all of them. A reward model or an encoder has no LM head"
        )
    if unknown:
        print(
            f"warning: model.path {path!r} holds {len(unknown)} tensors that transformers has no place for, such as "
            f"{unknown[0]}; they are not trained, and what is saved will lack them",
            flush=True,
        )


def auto_class(config: Any) -> Any:
    """transformers' class that loads a configuration's model: that of composite models where the folder names such a
    one, or where there is no other."""
    composite = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING.get(type(config), None)
    named = composite is not None and composite.__name__ in (config.architectures or [])
    if composite is None or (not named and type(config) in MODEL_FOR_CAUSAL_LM_MAPPING):
        return AutoModelForCausalLM
    return AutoModelForImageTextToText


def attention_of(config: Any, chosen: str | None) -> dict[str, str]:
    """The `attn_implementation` to load a model with. Raises `ModelError` where the chosen one computes another model.

    transformers' sdpa leaves out the cap on attention scores that Gemma 2 has.
    """
    caps_attention = vars(config.get_text_config()).get(ATTENTION_CAP) is not None
    if caps_attention and chosen == "sdpa":
        raise ModelError(
            f"model.attention: sdpa leaves out the {ATTENTION_CAP} of this model; expected eager, flash_attention_2 or "
            "flex_attention. Leave model.attention empty for eager"
        )
    name = chosen or ("eager" if caps_attention else None)
    return {"attn_implementation": name} if name else {}


def other_formats(path: str) -> str:
    """A hint for a folder that holds weights only in a format that transformers does not look for."""
    gguf = sorted(file.name for file in Path(path).glob("*.gguf"))
    if not gguf:
        return ""
    return (
        f". The folder holds {gguf[0]}, which is for other programs: write it as safetensors first, with "
        f"AutoModelForCausalLM.from_pretrained(folder, gguf_file={gguf[0]!r}).save_pretrained(other_folder)"
    )


def processor_files(path: str, revision: str | None = None) -> dict[str, bytes]:
    """The files of a composite model's processors, which are saved with it again; none where there are none."""
    found = {name: optional_file(path, name, revision) for name in PROCESSOR_FILES}
    return {name: Path(file).read_bytes() for name, file in found.items() if file is not None}


def check_vocabulary(model: PreTrainedModel, chat: Chat) -> None:
    """Refuse a tokenizer that ends turns or writes its template with tokens that the model has no embedding of, and
    warn of others. An embedding that is larger than the tokenizer is usual. Raises `ModelError`."""
    rows = len(model.get_input_embeddings().weight)
    if max([len(chat.tokenizer) - 1, *chat.tokenizer.added_tokens_decoder]) < rows:
        return
    beyond = {text: token for text, token in chat.tokenizer.get_vocab().items() if token >= rows}
    names = ", ".join(repr(text) for text in sorted(beyond, key=lambda text: beyond[text])[:3])
    sizes = f"the tokenizer has {len(chat.tokenizer)} tokens and the model's embedding {rows} rows"
    template = str(chat.tokenizer.chat_template)
    if any(token in chat.end_ids or text in template for text, token in beyond.items()):
        raise ModelError(
            f"{sizes}: {names} would have no embedding, and the chat template or the end of a turn needs it; expected "
            "a row for each token. Call model.resize_token_embeddings(len(tokenizer)) and save the model"
        )
    print(f"warning: {sizes}: a row with {names} cannot be computed", flush=True)


def freeze_other_parts(model: PreTrainedModel) -> None:
    """Freeze what text does not pass through, such as a vision tower: it is saved as it was."""
    used = {id(p) for part in (model.get_decoder(), model.get_output_embeddings()) for p in part.parameters()}
    for parameter in model.parameters():
        if id(parameter) not in used:
            parameter.requires_grad_(False)
