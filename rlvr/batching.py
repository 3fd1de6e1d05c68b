"""From rows of tokens to tensors, and from the tensors of a step to the pieces that are computed at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlvr.types import Batch


def pad(rows: Sequence[Sequence[float]], width: int, dtype: torch.dtype) -> Tensor:
    """Rows of unequal length as one tensor `(B, width)`, padded with zeros on the right."""
    out = torch.zeros(len(rows), width, dtype=dtype)
    for index, row in enumerate(rows):
        out[index, : len(row)] = torch.tensor(row, dtype=dtype)
    return out


def token_batch(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    completion_masks: Sequence[Sequence[bool]],
    group_index: Sequence[int],
) -> Batch:
    """Prompts and completions side by side: the fields that every trainer needs."""
    pairs = list(zip(prompts, completions, completion_masks, strict=True))
    width = max(len(prompt) + len(completion) for prompt, completion, _ in pairs)
    return Batch(
        input_ids=pad([[*prompt, *completion] for prompt, completion, _ in pairs], width, torch.long),
        attention_mask=pad(
            [[1] * (len(prompt) + len(completion)) for prompt, completion, _ in pairs], width, torch.long
        ),
        completion_mask=pad([[False] * len(prompt) + list(mask) for prompt, _, mask in pairs], width, torch.bool),
        group_index=torch.tensor(group_index, dtype=torch.long),
    )


def one_longer(batch: Batch) -> Batch:
    """Each row with one more token, so that the state after the last token is also a state before a token."""
    ids, seen, mask = (
        torch.nn.functional.pad(field, (0, 1))
        for field in (batch.input_ids, batch.attention_mask, batch.completion_mask)
    )
    rows = torch.arange(len(batch))
    seen[rows, batch.lengths_B], mask[rows, batch.lengths_B] = 1, True
    return Batch(ids, seen, mask, batch.group_index)


def minibatches(batch: Batch, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """The rows of each of `count` optimizer steps, drawn without replacement; a single step takes them in order."""
    order = torch.arange(len(batch)) if count == 1 else torch.randperm(len(batch), generator=generator)
    yield from (rows for rows in order.chunk(count) if len(rows))


def microbatches(batch: Batch, max_tokens: int, whole_groups: bool = False) -> Iterator[Tensor]:
    """Pieces of rows of similar length, each with at most `max_tokens` including padding (but at least one row).

    Sorting keeps padding small. The loss of a piece is a weighted sum, so the order of rows does not change it. With
    `whole_groups` the rows of a group stay in one piece, for losses that compare them.
    """
    lengths = batch.lengths_B.tolist()
    units: dict[int, list[int]] = {}
    for row, group in enumerate(batch.group_index.tolist() if whole_groups else range(len(lengths))):
        units.setdefault(group, []).append(row)
    longest = {unit: max(lengths[row] for row in rows) for unit, rows in units.items()}
    piece: list[int] = []
    width = 0
    for unit in sorted(units, key=lambda unit: -longest[unit]):  # longest first: memory peaks early
        if piece and (len(piece) + len(units[unit])) * width > max_tokens:
            yield torch.tensor(piece)
            piece = []
        width = width if piece else longest[unit]
        piece += units[unit]
    if piece:
        yield torch.tensor(piece)


@dataclass(frozen=True)
class Piece:
    """Rows that are computed at once. A filler has no weight: it is computed only because other ranks have one more
    piece."""

    rows: Tensor
    is_filler: bool = False


def plan(batch: Batch, max_tokens: int, ranks: int = 1, whole_groups: bool = False) -> list[list[Piece]]:
    """Deal the microbatches of `batch` to `ranks`: the same number to each, since all ranks compute in lockstep.

    Each piece goes to the rank with the fewest tokens among those with the fewest pieces. Ranks that lack a piece in
    the last round get the shortest row as a filler.
    """
    lengths_B = batch.lengths_B
    dealt: list[list[Piece]] = [[] for _ in range(ranks)]
    tokens = [0] * ranks
    for rows in microbatches(batch, max_tokens, whole_groups):
        rank = min(range(ranks), key=lambda rank: (len(dealt[rank]), tokens[rank]))
        dealt[rank].append(Piece(rows))
        tokens[rank] += int(lengths_B[rows].sum())
    most = max(len(pieces) for pieces in dealt)
    if any(len(pieces) < most for pieces in dealt):
        filler = Piece(filler_rows(batch, whole_groups), is_filler=True)
        dealt = [pieces + [filler] * (most - len(pieces)) for pieces in dealt]
    return dealt


def filler_rows(batch: Batch, whole_groups: bool) -> Tensor:
    """The shortest row of a batch, or all rows of its group."""
    shortest = batch.lengths_B.argmin()
    if not whole_groups:
        return shortest.reshape(1)
    return (batch.group_index == batch.group_index[shortest]).nonzero().squeeze(-1)
