"""Hidden states of a batch's tokens: computed row by row with padding, or packed.

Packed, several rows share a line. A token sees its own row and nothing else, and its position counts from its row's
start, so that every state is what it would be alone. Rows of one group that begin with the same prompt have it computed
once: each completion sees the prompt and itself, not its siblings.

Left out: flash attention's variable-length kernels, which know no shared prompts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rlvr.errors import ModelError
from rlvr.types import Batch

# A line is at most so many times as long as the longest row: attention costs the square of its length.
MAX_LINE = 2
PADDING, SHARED = -1, -1


@dataclass(frozen=True)
class Layout:
    """Lines `(L, W)` that hold the tokens of a batch, and where `[b, t]` of the batch lies in them, flat `(B, T)`.

    `visible` `(L, 1, W, W)` says which tokens (last axis) each token sees.
    """

    input_ids: Tensor
    position_ids: Tensor
    visible: Tensor
    place: Tensor


def token_states(decoder: Callable[..., Any], batch: Batch, where: Tensor, packed: bool) -> Tensor:
    """The decoder's states `(N, H)` at the tokens in `where` `(B, T)`, row by row."""
    if not packed:
        hidden = decoder(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False
        ).last_hidden_state
        return hidden[where]
    layout = pack(batch)
    hidden = decoder(
        input_ids=layout.input_ids,
        position_ids=layout.position_ids,
        attention_mask=layout.visible,
        use_cache=False,
    ).last_hidden_state
    return hidden.flatten(0, 1)[layout.place[where]]


def pack(batch: Batch) -> Layout:
    """Lay the rows of a batch into as few lines as first-fit finds, longest first."""
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
    """`(prompt tokens, rows)`: rows of one group with the same prompt together, at most `most` tokens each."""
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
    """The indices of `sizes` in lines of at most `width`, longest first, each into the first line with room."""
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


@torch.no_grad()
def check_packing(model: PreTrainedModel) -> None:
    """Refuse a model that would mix the rows of a line. Raises `ModelError`."""
    attention = model.config._attn_implementation
    if attention != "sdpa":
        raise ModelError(
            f"model.packing needs attention with a mask for each pair of tokens: got {attention!r}, expected sdpa. "
            "Set model.attention=sdpa, or model.packing=false"
        )
    if "sliding_attention" in (getattr(model.config.get_text_config(), "layer_types", None) or ()):
        raise ModelError("model.packing: this model has layers with a sliding window; set model.packing=false")
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
    apart, packed = (token_states(model.base_model, batch, everywhere, packed) for packed in (False, True))
    model.train(was_training)
    if not torch.allclose(apart, packed, rtol=1e-2, atol=1e-2 * float(apart.abs().max())):
        raise ModelError(
            f"model.packing: rows that share a line change each other in {type(model).__name__} (largest difference "
            f"{float((apart - packed).abs().max()):.3g}); expected none. Set model.packing=false"
        )
