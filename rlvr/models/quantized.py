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


def plain_weight(model: nn.Module, name: str, dtype: torch.dtype) -> Tensor:
    """The parameter `name` of a model; a quantized one as the weight that it stands for, in `dtype`."""
    parameter = model.get_parameter(name)
    if not is_quantized(parameter):
        return parameter.detach()
    from peft.utils.integrations import dequantize_module_weight

    return dequantize_module_weight(model.get_submodule(name.rpartition(".")[0])).detach().to(dtype)


def is_quantized(parameter: Tensor) -> bool:
    from peft.utils.integrations import get_bnb_param_type

    return bool(get_bnb_param_type(parameter))


def plain_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """The configuration of a model without its quantization, to save with plain weights."""
    if "quantization_config" not in vars(config):
        return config
    plain = copy.deepcopy(config)
    del plain.quantization_config
    return plain
