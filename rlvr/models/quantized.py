"""Quantized base weights under LoRA adapters (QLoRA: Dettmers et al., 2023), through bitsandbytes.

nf4 keeps each weight in 4 bits (with the constants quantized once more), and computes with the weights that these stand
for. int8 (Dettmers et al., 2022) also rounds the activations, so a model that is saved with plain weights computes
slightly differently from the one that was trained.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

# bitsandbytes' kinds of parameters; it is not imported where nothing is quantized.
FOUR_BITS, EIGHT_BITS = "Params4bit", "Int8Params"


def quantization_of(kind: str, compute_dtype: torch.dtype) -> Any:
    """What `from_pretrained` needs as `quantization_config` for nf4 or int8."""
    from transformers import BitsAndBytesConfig

    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )


def keep_layout(model: nn.Module) -> None:
    """Keep bitsandbytes from packing weights anew for some processors when a layer first computes without a gradient.

    It never unpacks them: a later training step would go through an operator that has no gradient (bitsandbytes 0.50).
    """
    layer: Any
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def is_quantized(parameter: Tensor) -> bool:
    return type(parameter).__name__ in (FOUR_BITS, EIGHT_BITS)


def plain_weight(model: nn.Module, name: str, dtype: torch.dtype) -> Tensor:
    """The weight in `dtype` that the quantized parameter `name` of a model stands for."""
    parameter: Any = model.get_parameter(name)
    if type(parameter).__name__ == FOUR_BITS:
        from bitsandbytes.functional import dequantize_4bit

        weight: Tensor = dequantize_4bit(parameter.data, parameter.quant_state)
        return weight.to(dtype)
    # A layer takes the scales of its rows over from the parameter when it first computes.
    layer: Any = model.get_submodule(name.rpartition(".")[0])
    scales: Tensor = parameter.SCB if layer.state.SCB is None else layer.state.SCB
    return (parameter.data.float() * scales.float().unsqueeze(-1) / 127).to(dtype)


def plain_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """The configuration of a model without its quantization, to save with plain weights."""
    if "quantization_config" not in vars(config):
        return config
    plain = copy.deepcopy(config)
    del plain.quantization_config
    return plain
