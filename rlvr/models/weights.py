"""The weights of a model under the names that they have on the hub, with adapters merged in; and a model's folder.

The names in a folder are not always those of the modules: transformers loads the experts of a layer into one tensor,
and renames the parts of composite models. What is saved and what is sent to an engine bears the names of the folder.

Embeddings that input and output share are one tensor, and are written once. Where adapters change one of the two, they
are no longer the same: both are written, and the configuration says that they are not tied.
"""

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion

from rlvr.models.quantized import is_quantized, plain_config, plain_weight
from rlvr.models.remote_code import keep_code

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# Size of a file of weights, unless a single tensor is larger.
SHARD_BYTES = 5 * 10**9
# Modules that peft puts between a module and its parent.
WRAPPERS = ("base_layer", "modules_to_save")


@dataclass(frozen=True)
class Weight:
    """A tensor of the model without adapters, and the LoRA layers that add to it."""

    tensor: Tensor
    layers: Sequence[Any] = ()
    # Gives the weight that a quantized `tensor` stands for.
    dequantize: Callable[[], Tensor] | None = None

    @property
    def is_adapted(self) -> bool:
        return bool(self.layers)

    def plain(self) -> Tensor:
        """The tensor without adapters, and not quantized."""
        return self.tensor.detach() if self.dequantize is None else self.dequantize()

    def merged(self) -> Tensor:
        """The tensor with its adapters. The base is never written: merging in place and unmerging would accumulate
        rounding errors."""
        weight = self.plain()
        for layer in self.layers:
            delta: Any = sum(layer.get_delta_weight(name) for name in layer.active_adapters)
            weight = (weight.float() + delta.float()).to(weight.dtype)
        return weight


def plain_weights(model: PreTrainedModel) -> dict[str, Weight]:
    """Every parameter and every persistent buffer by its module's name without adapters, tied ones once.

    A module that is trained whole (`modules_to_save`) counts with the trained copy. Of tensors that are tied, the first
    name stays, unless an adapter changes one of them: then all names do.
    """
    adapted: dict[str, list[Any]] = {}
    for path, module in model.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "get_delta_weight"):
            adapted.setdefault(plain_name(f"{path}.{getattr(module, 'parameter_name', 'weight')}"), []).append(module)
    weights = {
        plain_name(name): Weight(tensor, tuple(adapted.get(plain_name(name), ())), dequantizer(model, name, tensor))
        for name, tensor in own_tensors(model)
        if not is_of_adapter(name)
    }
    return {name: weights[name] for names in written(weights, model.all_tied_weights_keys) for name in names}


def dequantizer(model: PreTrainedModel, name: str, tensor: Tensor) -> Callable[[], Tensor] | None:
    return partial(plain_weight, model, name, model.dtype) if is_quantized(tensor) else None


def own_tensors(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Parameters and persistent buffers by the names of their modules; tied ones under each of their names."""
    persistent = model.state_dict().keys()
    yield from model.named_parameters(remove_duplicate=False)
    yield from ((name, buffer) for name, buffer in model.named_buffers(remove_duplicate=False) if name in persistent)


def is_of_adapter(name: str) -> bool:
    """Whether a tensor belongs to an adapter, or to a module that a trained copy has taken the place of."""
    parts = name.split(".")
    return any(part.startswith("lora_") for part in parts) or "original_module" in parts


def plain_name(name: str) -> str:
    """The name of a tensor without the modules that peft puts around its own."""
    parts = name.split(".")
    kept = [
        part
        for place, part in enumerate(parts)
        if part not in WRAPPERS and not (place and parts[place - 1] == "modules_to_save")
    ]
    return ".".join(kept)


def written(weights: Mapping[str, Weight], tied: Mapping[str, str]) -> Iterator[list[str]]:
    """The names to write of each tensor: one that is not in `tied`, whose keys are the names that transformers fills in
    on loading; or all of them where an adapter changes one."""
    names_of: dict[int, list[str]] = {}
    for name, weight in weights.items():
        names_of.setdefault(id(weight.tensor), []).append(name)
    for names in names_of.values():
        first = next((name for name in names if name not in tied), names[0])
        yield names if any(weights[name].is_adapted for name in names) else [first]


@torch.no_grad()
def merged_weights(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """The weights of `model` by their names on the hub, with its adapters merged in.

    Each merged tensor is made on demand, so only one is in memory at a time, unless the folder's layout needs several
    at once.
    """
    for together in _pieces(model, plain_weights(model)):
        yield from revert_weight_conversion(model, {name: w.merged() for name, w in together.items()}).items()


def merged_shapes(model: PreTrainedModel) -> dict[str, Tensor]:
    """The names in `merged_weights`, in their order, each with a tensor of its shape and dtype that takes no memory."""
    pieces = _pieces(model, plain_weights(model))
    return {name: shape for together in pieces for name, shape in _shapes(model, together).items()}


def adapter_weights(model: PreTrainedModel, adapters: Any) -> Mapping[str, Tensor] | None:
    """The tensors of the adapters by name, and the trained copies of modules that are trained whole; or `None`."""
    if adapters is None:
        return None
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if ".lora_" in name or ".modules_to_save." in name
    }


def _shapes(model: PreTrainedModel, weights: Mapping[str, Weight]) -> dict[str, Tensor]:
    return dict(revert_weight_conversion(model, {name: w.plain().to("meta") for name, w in weights.items()}))


def _pieces(model: PreTrainedModel, weights: Mapping[str, Weight]) -> list[Mapping[str, Weight]]:
    """The weights in pieces that can be converted on their own: each alone, or all together."""
    pieces: list[Mapping[str, Weight]] = [{name: weight} for name, weight in weights.items()]
    alone = {name: shape.shape for piece in pieces for name, shape in _shapes(model, piece).items()}
    whole = {name: shape.shape for name, shape in _shapes(model, weights).items()}
    return pieces if alone == whole else [weights]


# -- folders -------------------------------------------------------------------------------------------------------


def save_model(model: PreTrainedModel, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
    """Write weights, configurations and a model's own code as `save_pretrained` does, with adapters merged in, and
    without its refusal of generation settings that contradict each other: what came with the model leaves with it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = saved_config(model)
    keep_code(model, config, folder)
    config.save_pretrained(folder)
    if model.can_generate() and model.generation_config is not None:
        model.generation_config.to_json_file(folder / "generation_config.json", keys_to_pop=["compile_config"])
    save_weights(merged_weights(model), merged_shapes(model), folder, shard_bytes)


def name_ends(model: PreTrainedModel, end_ids: Sequence[int]) -> None:
    """Add the tokens that end a completion to the model's generation settings, so that the saved model stops where it
    was taught to stop: the files of base models name another token than the chat template writes."""
    settings = model.generation_config
    if settings is None:
        return
    named = settings.eos_token_id if isinstance(settings.eos_token_id, list) else [settings.eos_token_id]
    ends = list(dict.fromkeys(end for end in [*named, *end_ids] if end is not None))
    if set(ends) != set(named):
        settings.eos_token_id = ends if len(ends) > 1 else ends[0]


def saved_config(model: PreTrainedModel) -> Any:
    """The configuration of the model as it is saved: its class and dtype, and embeddings that are tied only if they
    still are."""
    config = copy.deepcopy(plain_config(model.config))
    config.architectures = [type(model).__name__]  # a language model's folder names another class than its critic's
    config.dtype = str(model.dtype).removeprefix("torch.")
    if is_untied(model):
        config.tie_word_embeddings = config.get_text_config().tie_word_embeddings = False
    return config


def is_untied(model: PreTrainedModel) -> bool:
    """Whether adapters have made two tensors of embeddings that the configuration ties."""
    return bool(model.all_tied_weights_keys.keys() & plain_weights(model).keys())


def save_weights(
    weights: Iterable[tuple[str, Tensor]], shapes: Mapping[str, Tensor], folder: Path, shard_bytes: int
) -> None:
    """Write tensors into one file, or into several with an index; only those of one file are in memory at a time."""
    shards = shards_of({name: shape.nbytes for name, shape in shapes.items()}, shard_bytes)
    names = (
        [SINGLE]
        if len(shards) == 1
        else [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    )
    file_of = {name: file for file, shard in zip(names, shards, strict=True) for name in shard}
    waiting: dict[str, dict[str, Tensor]] = {file: {} for file in names}
    for name, weight in weights:
        file = file_of[name]
        waiting[file][name] = weight.cpu().contiguous()
        if len(waiting[file]) == len(shards[names.index(file)]):
            save_file(waiting.pop(file), folder / file, metadata={"format": "pt"})
    if len(shards) > 1:
        total = sum(shape.nbytes for shape in shapes.values())
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(file_of.items()))}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")


def shards_of(bytes_of: Mapping[str, int], shard_bytes: int) -> list[list[str]]:
    """The names of each file, in order, with at most `shard_bytes` a file or a single tensor."""
    shards: list[list[str]] = [[]]
    size = 0
    for name, nbytes in bytes_of.items():
        if shards[-1] and size + nbytes > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += nbytes
    return shards


def saved_names(folder: Path) -> frozenset[str]:
    """The names of the weights in a folder, in one file or several."""
    if (folder / INDEX).exists():
        return frozenset(json.loads((folder / INDEX).read_text())["weight_map"])
    with safe_open(folder / SINGLE, "pt") as weights:
        return frozenset(weights.keys())
