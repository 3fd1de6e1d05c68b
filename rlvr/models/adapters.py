"""Adapters in peft's format: a folder (or hub id) with adapter_config.json and the adapters' weights, but no model.

`model.path` may name one: the policy is the base that it names, with the adapters merged in, of any kind that peft
knows. `model.lora.path` may name one: training goes on with these adapters. And a run that trained adapters leaves one.
"""

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rlvr.config import LoraConfig
from rlvr.errors import ModelError
from rlvr.models.weights import plain_weights

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# A folder with one of these holds a whole model.
MODEL_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# Keys of adapter_config.json with which adapters can be merged but not trained on, and their values without effect.
ONLY_MERGED: dict[str, tuple[Any, ...]] = {
    "use_dora": (False, None),
    "bias": ("none", None),
    "lora_bias": (False, None),
    "modules_to_save": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "layer_replication": (None, []),
    "alora_invocation_tokens": (None, []),
    "use_qalora": (False, None),
}
# Keys of `model.lora` and what adapter_config.json calls them.
NAMES = {"rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout", "targets": "target_modules"}


def adapter_config_at(path: str) -> dict[str, Any] | None:
    """adapter_config.json of an adapter folder or hub id; `None` if `path` names a model.

    Raises `ModelError` for a folder with both, of which transformers would take the adapters without a word.
    """
    file = file_at(path, ADAPTER_CONFIG)
    if file is None:
        return None
    if any((file.parent / name).exists() for name in MODEL_WEIGHTS):
        raise ModelError(
            f"{path!r} holds a model and also {ADAPTER_CONFIG}, so it is not clear which of them is meant; expected "
            "one. Move the adapter files to a folder of their own"
        )
    try:
        config: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}; expected what peft saved") from error
    return config


def file_at(path: str, name: str) -> Path | None:
    """A file of a folder or of a hub id (from the cache, else from the hub); `None` if it is not there."""
    if Path(path).is_dir():
        return Path(path) / name if (Path(path) / name).is_file() else None
    if Path(path).exists() or path.count("/") > 1 or path.startswith((".", "/", "~")):
        return None
    try:
        cached = try_to_load_from_cache(path, name)
        if cached is not None:
            return Path(cached) if isinstance(cached, str) else None  # else it is known not to exist
        return Path(hf_hub_download(path, name))
    except Exception:  # whatever the hub client says: the loading of the model says what is wrong with the path
        return None


def base_of(path: str, config: Mapping[str, Any], key: str = "model.path") -> str:
    """The base model of an adapter folder. Raises `ModelError` if the folder names none."""
    base = config.get("base_model_name_or_path")
    if not base:
        raise ModelError(
            f"{key} {path!r} holds adapters, and its {ADAPTER_CONFIG} names no base model; name it yourself: "
            f"model.path=BASE model.lora.path={path}"
        )
    if Path(str(base)) == Path(path):
        raise ModelError(
            f"{key} {path!r} names itself as its base model in {ADAPTER_CONFIG}; expected the model's path"
        )
    return str(base)


def sources_of(path: str) -> tuple[str, str]:
    """Where the model and the tokenizer of `model.path` lie: for adapters, in their base and, if it is there, beside
    them."""
    adapter = adapter_config_at(path)
    if adapter is None:
        return path, path
    base = base_of(path, adapter)
    return base, path if file_at(path, "tokenizer_config.json") is not None else base


def check_adapters(config: LoraConfig, key: str) -> None:
    """Check the adapters that `config.path` names: that training can go on with them, and that the keys given beside
    the path do not contradict them. Raises `ModelError`.
    """
    path = str(config.path)
    adapter = adapter_config_at(path)
    if adapter is None:
        raise ModelError(
            f"{key}.path {path!r}: there is no {ADAPTER_CONFIG}; expected a folder or hub id with adapters that peft "
            "saved, such as runs/NAME/adapter"
        )
    kind = str(adapter.get("peft_type", "LORA"))
    unusual = [name for name, usual in ONLY_MERGED.items() if adapter.get(name) not in usual]
    if kind != "LORA" or unusual:
        what = f"peft_type {kind}" if kind != "LORA" else f"{unusual[0]}: {adapter[unusual[0]]!r}"
        raise ModelError(
            f"{key}.path {path!r}: training can go on with plain LoRA adapters, and these have {what}. Merge them "
            f"into their base instead: model.path={path}, with new adapters in model.lora or without"
        )
    for name in NAMES.keys() & config.model_fields_set:
        got, theirs = getattr(config, name), adapter.get(NAMES[name])
        if name == "targets":
            if got == "all-linear":
                continue
            got, theirs = (sorted(value) if isinstance(value, list) else value for value in (got, theirs))
        if got != theirs:
            raise ModelError(
                f"{key}.{name}: got {got!r}, but the adapters in {path!r} have {theirs!r}; leave {key}.{name} out, or "
                f"merge the adapters into their base and put new ones on it: model.path={path}"
            )


def merged_into(model: PreTrainedModel, path: str) -> PreTrainedModel:
    """The base `model` with the adapters at `path` merged in. Raises `ModelError` if they do not fit it."""
    from peft import PeftModel

    try:
        merged = PeftModel.from_pretrained(model, path).merge_and_unload()
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ModelError(
            f"model.path {path!r}: its adapters cannot be merged into their base {model.name_or_path!r}: "
            f"{' '.join(str(error).split())}"
        ) from error
    merged.requires_grad_(True)  # peft froze the base
    merged.name_or_path = path
    result: PreTrainedModel = merged
    return result


def add_adapters(model: PreTrainedModel, config: LoraConfig, task_type: str | None = "CAUSAL_LM") -> Any:
    """Put LoRA adapters into the language model in `model`, in float32, and freeze the rest.

    Says so where `all-linear` leaves out experts that are not linear layers. Raises `ModelError`.
    """
    if config.path is not None:
        return put_adapters(model, config)
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    peft_config = PeftConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.targets,
        exclude_modules=outside_decoder(model),
        modules_to_save=config.modules_to_save or None,
        task_type=task_type,
    )
    with warnings.catch_warnings():
        # peft warns of tied embeddings, which `weights.save_model` writes apart where adapters made them differ.
        warnings.filterwarnings("ignore", message="Model with `tie_word_embeddings=True`")
        warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")
        # The ranks that it sets for experts, where there are adapters on other layers alone.
        warnings.filterwarnings("ignore", message="The following (rank|alpha)_pattern keys did not match")
        try:
            adapters = get_peft_model(model, peft_config)
        except (ValueError, TypeError) as error:
            raise ModelError(f"model.lora.targets {config.targets!r}: {' '.join(str(error).split())}") from error
    modules = {name for name, _ in model.named_modules()}
    unknown = [name for name in config.modules_to_save if not any(is_trained_whole(name, path) for path in modules)]
    if unknown:
        raise ModelError(
            f"model.lora.modules_to_save: the model has no module {unknown[0]!r}; expected names such as lm_head or "
            "embed_tokens"
        )
    if config.targets == "all-linear":
        experts = [
            name
            for name, weight in plain_weights(model).items()
            if weight.tensor.dim() == 3 and "conv" not in name and not weight.is_adapted
        ]
        if experts:
            print(
                f"warning: model.lora.targets=all-linear leaves {len(experts)} tensors of experts as they are, such as "
                f"{experts[0]}",
                flush=True,
            )
    return adapters


def is_trained_whole(name: str, path: str) -> bool:
    """Whether a module's path is that of the trained copy of a module called `name`."""
    return f".{path}".endswith(f".{name}.modules_to_save")


def outside_decoder(model: PreTrainedModel) -> str | None:
    """A pattern of the modules that text does not pass through, such as a vision tower; `None` if there are none."""
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    used = [name for name, module in model.named_modules() if module is decoder or module is head]
    if "" in used or all(name.startswith(tuple(f"{part}." for part in used)) for name, _ in model.named_parameters()):
        return None
    return rf"(?!(?:{'|'.join(map(re.escape, used))})(?:\.|$)).*"


def put_adapters(model: PreTrainedModel, config: LoraConfig) -> Any:
    """A peft model around `model` with the adapters at `config.path`, in float32, ready to go on training.

    Raises `ModelError` if they do not fit the model. Prints a line if they name another base.
    """
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model, set_peft_model_state_dict
    from peft.utils import load_peft_weights

    path = str(config.path)
    expected = "expected the adapters of this very model"
    try:
        peft_config = PeftConfig.from_pretrained(path)
        base = peft_config.base_model_name_or_path
        # The weights come from the file: nothing is drawn, and nothing is moved from the base into the adapters.
        peft_config.inference_mode, peft_config.init_lora_weights = False, True
        peft_config.base_model_name_or_path = None  # peft would warn of what is said below
        adapters = get_peft_model(model, peft_config)
        weights = load_peft_weights(path, device="cpu")
        result = set_peft_model_state_dict(adapters, weights)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ModelError(f"model.lora.path {path!r}: {' '.join(str(error).split())}; {expected}") from error
    missing = [name for name in result.missing_keys if ".lora_" in name]
    strange = [*missing, *result.unexpected_keys]
    if strange:
        raise ModelError(
            f"model.lora.path {path!r} does not fit {model.name_or_path!r}: {strange[0]!r} is not in both "
            f"({len(strange)} such); {expected}"
        )
    if base and base != model.name_or_path:
        print(f"model.lora.path: {path} names {base!r} as its base; it goes on from {model.name_or_path!r}", flush=True)
    return adapters


def stands_alone(model: PreTrainedModel) -> bool:
    """Whether the base under the adapters of `model` is what `name_or_path` names: merged adapters are in no file."""
    return bool(model.name_or_path) and adapter_config_at(model.name_or_path) is None


def save_adapters(adapters: Any, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the adapters in peft's format: `PeftModel.from_pretrained(base, folder)` is the policy."""
    from peft import get_peft_model_state_dict

    (peft_config,) = adapters.peft_config.values()
    training = peft_config.inference_mode
    peft_config.base_model_name_or_path = adapters.get_base_model().name_or_path
    peft_config.inference_mode = True
    try:
        peft_config.save_pretrained(folder)
    finally:
        peft_config.inference_mode = training
    weights = get_peft_model_state_dict(adapters, save_embedding_layers=False)
    contiguous = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    save_file(contiguous, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)


@contextmanager
def with_values(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the named parameters have other values; nothing is copied."""
    kept = {name: parameters[name].data for name in values}
    try:
        for name, value in values.items():
            parameters[name].data = value
        yield
    finally:
        for name, value in kept.items():
            parameters[name].data = value


def values_of(parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Copies of the parameters as they are now."""
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}
