"""Tiny random models of the layouts that people bring: a row for each, and how one is written into a folder.

Every model is as small as its architecture allows, has every peculiarity of its family turned on (scaled or capped
logits, windows shorter than the prompts of the tests, tied embeddings, experts, a vision tower), and is saved by
transformers itself, so that names and files are those of the hub. The weights are larger than usual ones, so that a
transformation that is left out shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

# Head size 32: vLLM's attention on a CPU takes no smaller one.
SIZE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 256,
    "initializer_range": 0.1,
}
HEAD: dict[str, Any] = {"head_dim": 32}
# Shorter than most prompts of the tests.
WINDOW = 8
MODEL_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
QWEN_VISION: dict[str, Any] = {
    "depth": 1,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_heads": 2,
    "out_hidden_size": 64,
    "fullatt_block_indexes": [0],
}


@dataclass(frozen=True)
class Layout:
    """A row of the matrix: the class of its configuration and of its model in transformers, and what it configures.

    `text` are the keys of the language model: of a composite configuration those of its text part, and `whole` are the
    others.
    """

    name: str
    config: str
    model: str
    text: Mapping[str, Any] = field(default_factory=dict)
    whole: Mapping[str, Any] = field(default_factory=dict)
    composite: bool = False

    def __str__(self) -> str:
        return self.name


LAYOUTS = (
    Layout("Qwen2.5 base", "Qwen2Config", "Qwen2ForCausalLM", SIZE | {"tie_word_embeddings": True}),
    Layout("Qwen2.5 chat", "Qwen2Config", "Qwen2ForCausalLM", SIZE | {"tie_word_embeddings": False}),
    Layout("Qwen3", "Qwen3Config", "Qwen3ForCausalLM", SIZE | HEAD | {"tie_word_embeddings": True}),
    Layout(
        "Llama 3.1",
        "LlamaConfig",
        "LlamaForCausalLM",
        SIZE
        | {
            "tie_word_embeddings": False,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10_000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        },
    ),
    Layout("SmolLM2", "LlamaConfig", "LlamaForCausalLM", SIZE | {"tie_word_embeddings": True}),
    Layout(
        "Gemma 2",
        "Gemma2Config",
        "Gemma2ForCausalLM",
        SIZE
        | HEAD
        | {
            "sliding_window": WINDOW,
            "query_pre_attn_scalar": 32,
            "final_logit_softcapping": 3.0,
            "attn_logit_softcapping": 1.0,
            "tie_word_embeddings": True,
        },
    ),
    Layout(
        "Gemma 3",
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        SIZE
        | HEAD
        | {
            "sliding_window": WINDOW,
            "query_pre_attn_scalar": 32,
            "layer_types": ["sliding_attention", "full_attention"],
            "tie_word_embeddings": True,
        },
    ),
    Layout(
        "Gemma 3 with vision",
        "Gemma3Config",
        "Gemma3ForConditionalGeneration",
        SIZE
        | HEAD
        | {
            "sliding_window": WINDOW,
            "query_pre_attn_scalar": 32,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        {"vision_config": MODEL_VISION, "mm_tokens_per_image": 4, "tie_word_embeddings": True},
        composite=True,
    ),
    Layout(
        "Qwen2.5-VL",
        "Qwen2_5_VLConfig",
        "Qwen2_5_VLForConditionalGeneration",
        SIZE
        | {
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 6, 6]},
        },
        {"vision_config": QWEN_VISION, "tie_word_embeddings": False},
        composite=True,
    ),
    Layout(
        "Mistral",
        "MistralConfig",
        "MistralForCausalLM",
        SIZE | HEAD | {"sliding_window": WINDOW, "tie_word_embeddings": False},
    ),
    Layout(
        "Phi-3",
        "Phi3Config",
        "Phi3ForCausalLM",
        SIZE
        | {
            "sliding_window": WINDOW,
            "tie_word_embeddings": False,
            "original_max_position_embeddings": 128,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10_000.0,
                "short_factor": [1.0 + 0.1 * i for i in range(16)],
                "long_factor": [2.0 + 0.2 * i for i in range(16)],
                "original_max_position_embeddings": 128,
            },
        },
    ),
    Layout("R1-Distill-Qwen", "Qwen2Config", "Qwen2ForCausalLM", SIZE | {"tie_word_embeddings": False}),
    Layout("R1-Distill-Llama", "LlamaConfig", "LlamaForCausalLM", SIZE | {"tie_word_embeddings": False}),
    Layout(
        "Qwen3-MoE",
        "Qwen3MoeConfig",
        "Qwen3MoeForCausalLM",
        SIZE
        | HEAD
        | {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "norm_topk_prob": True,
            "tie_word_embeddings": False,
        },
    ),
    Layout(
        "Mixtral",
        "MixtralConfig",
        "MixtralForCausalLM",
        SIZE | {"num_local_experts": 4, "num_experts_per_tok": 2, "tie_word_embeddings": False},
    ),
    Layout(
        "OLMoE",
        "OlmoeConfig",
        "OlmoeForCausalLM",
        SIZE | {"num_experts": 4, "num_experts_per_tok": 2, "tie_word_embeddings": False},
    ),
    Layout(
        "Qwen3-Next",
        "Qwen3NextConfig",
        "Qwen3NextForCausalLM",
        SIZE
        | HEAD
        | {
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 32,
            "tie_word_embeddings": False,
        },
    ),
    Layout(
        "Granite",
        "GraniteConfig",
        "GraniteForCausalLM",
        SIZE
        | {
            "logits_scaling": 8.0,
            "embedding_multiplier": 12.0,
            "residual_multiplier": 0.22,
            "attention_multiplier": 0.03,
            "tie_word_embeddings": True,
        },
    ),
    Layout("Cohere", "CohereConfig", "CohereForCausalLM", SIZE | {"logit_scale": 0.0625, "tie_word_embeddings": True}),
)

# The columns of the table, each a test of that property for every row: in test_layouts.py, and the last in
# test_vllm_layouts.py.
COLUMNS = (
    "greedy as `generate`",
    "log-probs",
    "packing",
    "ends",
    "SFT end",
    "save, reload",
    "LoRA kinds",
    "vLLM sync",
)
# Where a cell is not "yes": what is said instead.
REFUSED = "refused"
VISION = "refused without torchvision"
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("Gemma 3 with vision", "vLLM sync"): VISION,
    ("Qwen2.5-VL", "vLLM sync"): VISION,
    ("Qwen3-Next", "packing"): REFUSED,
    ("Qwen3-Next", "vLLM sync"): "refused on a CPU",
}


def page_table() -> str:
    """The table of docs/models.md."""
    lines = [f"| layout | {' | '.join(COLUMNS)} |", f"| --- |{' --- |' * len(COLUMNS)}"]
    for row in LAYOUTS:
        cells = [EXCEPTIONS.get((row.name, column), "yes") for column in COLUMNS]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def layout(name: str) -> Layout:
    """The row of this name."""
    return next(row for row in LAYOUTS if row.name == name)


def build(row: Layout, tokenizer: PreTrainedTokenizerBase, seed: int = 0, **more: Any) -> PreTrainedModel:
    """A random float32 model of a layout for a tokenizer, in evaluation mode. `more` are further keys of its text
    part."""
    ends = {
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
    }
    text = {**row.text, **ends, "vocab_size": len(tokenizer), **more}
    make = getattr(transformers, row.config)
    config = make(text_config=text, **row.whole, **ends) if row.composite else make(**text)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: PreTrainedModel = getattr(transformers, row.model)(config)
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1 and "norm" not in name:  # biases are 0 in new models, and not in trained ones
                torch.nn.init.normal_(parameter, std=0.1)
    model.generation_config = GenerationConfig(**ends)
    return model.eval()


def write(row: Layout, folder: Path, tokenizer: PreTrainedTokenizerBase, **more: Any) -> Path:
    """A folder as it lies on the hub: weights, configuration and tokenizer, written by transformers."""
    build(row, tokenizer, **more).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
