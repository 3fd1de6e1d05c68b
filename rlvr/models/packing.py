"""Hidden states of a batch's tokens: computed row by row with padding, or packed.

When packed, several rows share a line. A token attends only to its own row, and its position counts from the start of
the row, so every state is the same as without packing. A prompt that several rows of a group share is computed once:
each completion attends to the prompt and to itself, not to the other completions.

Layers with a sliding window see a packed row whole, so rows that are longer than the window are computed apart.

Left out: the variable-length kernels of flash attention, which do not support shared prompts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rlvr.errors import ModelError
from rlvr.types import Batch

# A line is at most this many times as long as the longest row: the cost of attention is quadratic in its length.
MAX_LINE = 2
PADDING, SHARED = -1, -1
# Keys of a configuration that bound how far layers see: Mistral, Qwen2, Gemma, Phi-3; Llama 4.
WINDOWS = ("sliding_window", "attention_chunk_size")


@dataclass(frozen=True)
class Layout:
    """Lines `(L, W)` with the tokens of a batch, and the flat index `(B, T)` of each token `[b, t]` in them.

    `visible` `(L, 1, W, W)` is the attention mask: the tokens (last axis) that each token attends to.
    """

    input_ids: Tensor
    position_ids: Tensor
    visible: Tensor
    place: Tensor


def token_states(decoder: Any, batch: Batch, where: Tensor, packed: bool) -> Tensor:
    """The decoder's states `(N, H)` at the tokens in `where` `(B, T)`, row by row."""
    if not packed or int(batch.lengths_B.max()) > window_of(decoder.config):
        hidden = decoder(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False
        ).last_hidden_state
        return hidden[where]
    layout = pack(batch)
    hidden = decoder(
        input_ids=layout.input_ids,
        position_ids=layout.position_ids,
        attention_mask=mask_for(decoder.config._attn_implementation, layout.visible),
        use_cache=False,
    ).last_hidden_state
    return hidden.flatten(0, 1)[layout.place[where]]


def mask_for(attention: str, visible: Tensor) -> Tensor:
    """The mask `(L, 1, W, W)` as an attention takes it: sdpa which tokens are seen, eager what is added to scores."""
    if attention == "sdpa":
        return visible
    return torch.zeros(visible.shape, device=visible.device).masked_fill(~visible, torch.finfo(torch.float32).min)


def pack(batch: Batch) -> Layout:
    """Pack the rows of a batch into lines by first-fit, longest first."""
    lengths = batch.lengths_B.tolist()
    families = shared_prompts(batch, lengths, MAX_LINE * max(lengths))
    sizes = [first + sum(lengths[row] - first for row in rows) for first, rows in families]
    lines = first_fit(sizes, max(sizes))
    width = max(sum(sizes[index] for index in line) for line in lines)
    slots: dict[str, Tensor] = {
        "family": torch.full((len(lines), width), PADDING),
        "branch": torch.full((len(lines), width), SHARED),
        "row": torch.zeros(len(lines), width, dtype=torch.long),
        "token": torch.zeros(len(lines), width, dtype=torch.long),
    }
    place = torch.zeros(batch.input_ids.shape, dtype=torch.long)
    for number, line in enumerate(lines):
        at = 0
        for index in line:
            first, rows = families[index]
            for row in rows:
                place[row, :first] = torch.arange(at, at + first) + number * width
            spans = [(rows[0], 0, first, SHARED)] * (first > 0) + [(row, first, lengths[row], row) for row in rows]
            for row, start, stop, branch in spans:
                end = at + stop - start
                slots["family"][number, at:end] = index
                slots["branch"][number, at:end] = branch
                slots["row"][number, at:end] = row
                slots["token"][number, at:end] = torch.arange(start, stop)
                if start or not first:
                    place[row, start:stop] = torch.arange(at, end) + number * width
                at = end
    family, branch = slots["family"], slots["branch"]
    same = family.unsqueeze(-1) == family.unsqueeze(-2)
    own = (branch.unsqueeze(-1) == branch.unsqueeze(-2)) | (branch == SHARED).unsqueeze(-2)
    before = torch.ones(width, width, dtype=torch.bool).tril()
    visible = (same & own & before) | torch.eye(width, dtype=torch.bool)
    device = batch.input_ids.device
    rows_LW, tokens_LW = slots["row"].to(device), slots["token"].to(device)
    return Layout(batch.input_ids[rows_LW, tokens_LW], tokens_LW, visible.unsqueeze(1).to(device), place.to(device))


def shared_prompts(batch: Batch, lengths: Sequence[int], most: int) -> list[tuple[int, list[int]]]:
    """`(prompt tokens, rows)`: the rows of a group with the same prompt together, in at most `most` tokens."""
    families: list[tuple[int, list[int]]] = []
    latest: dict[tuple[int, ...], int] = {}
    firsts = torch.where(batch.completion_mask.any(-1), batch.completion_mask.int().argmax(-1), 0).tolist()
    ids = batch.input_ids.tolist()
    for row, first in enumerate(firsts):
        key = (int(batch.group_index[row]), *ids[row][:first])
        size = lengths[row] - first
        if key in latest:
            _, rows = families[latest[key]]
            if first + sum(lengths[other] - first for other in rows) + size <= most:
                rows.append(row)
                continue
        latest[key] = len(families)
        families.append((first, [row]))
    return families


def first_fit(sizes: Sequence[int], width: int) -> list[list[int]]:
    """The indices of `sizes` in lines of at most `width`: longest first, each in the first line with room."""
    lines: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        line = next((line for line, left in enumerate(room) if left >= sizes[index]), len(lines))
        if line == len(lines):
            lines.append([])
            room.append(width)
        lines[line].append(index)
        room[line] -= sizes[index]
    return lines


def window_of(config: Any) -> float:
    """The number of tokens that every layer sees at least; infinite without a sliding window or chunks."""
    keys = vars(config.get_text_config())
    if not keys.get("use_sliding_window", True):
        return math.inf
    return min((keys[key] for key in WINDOWS if keys.get(key)), default=math.inf)


@torch.no_grad()
def check_packing(model: PreTrainedModel) -> None:
    """Refuse a model in which rows that share a line affect each other. Raises `ModelError`."""
    attention = model.config._attn_implementation
    if attention not in ("sdpa", "eager"):
        raise ModelError(
            f"model.packing needs attention with a mask for each pair of tokens: got {attention!r}, expected sdpa or "
            "eager. Set model.attention=sdpa, or model.packing=false"
        )
    device = model.device
    ids = torch.arange(1, 13, device=device).reshape(3, 4)
    ids[1, :2] = ids[0, :2]
    batch = Batch(
        ids,
        torch.ones_like(ids),
        torch.tensor([[False, False, True, True]] * 3, device=device),
        torch.tensor([0, 0, 1], device=device),
    )
    everywhere = torch.ones_like(batch.completion_mask)
    was_training = model.training
    model.eval()
    try:
        separate, packed = (token_states(model.get_decoder(), batch, everywhere, packed) for packed in (False, True))
    except (IndexError, RuntimeError, TypeError, ValueError) as error:  # of a model that builds its masks otherwise
        raise ModelError(
            f"model.packing: {type(model).__name__} takes no attention mask for each pair of tokens ({error}). Set "
            "model.packing=false"
        ) from error
    finally:
        model.train(was_training)
    if not torch.allclose(separate, packed, rtol=1e-2, atol=1e-2 * float(separate.abs().max())):
        raise ModelError(
            f"model.packing: rows that share a line affect each other in {type(model).__name__} (largest difference "
            f"{float((separate - packed).abs().max()):.3g}); expected none. Set model.packing=false"
        )
