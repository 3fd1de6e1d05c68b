"""Rows of tokens to tensors, and a step's tensors to the pieces that are computed at once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rlvr.types import Batch, Group, Rollout


def pad(rows: Sequence[Sequence[float]], width: int, dtype: torch.dtype) -> Tensor:
    """Rows of unequal length as one tensor `(B, width)`, filled with zeros on the right."""
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


def rollout_batch(groups: Sequence[Group]) -> Batch:
    """The rollouts that have an advantage, as rows in the order of their groups."""
    rows: list[tuple[int, Rollout, float]] = [
        (index, rollout, rollout.advantage)
        for index, group in enumerate(groups)
        for rollout in group.rollouts
        if rollout.advantage is not None
    ]
    rollouts = [rollout for _, rollout, _ in rows]
    batch = token_batch(
        [rollout.prompt_ids for rollout in rollouts],
        [rollout.completion_ids for rollout in rollouts],
        [rollout.completion_mask for rollout in rollouts],
        [index for index, _, _ in rows],
    )
    logprobs = [[0.0] * len(rollout.prompt_ids) + list(rollout.rollout_logprobs) for rollout in rollouts]
    advantages_B = torch.tensor([advantage for _, _, advantage in rows])
    return replace(
        batch,
        advantages=advantages_B.unsqueeze(-1) * batch.completion_mask,
        rollout_logprobs=pad(logprobs, batch.input_ids.shape[1], torch.float32),
    )


def minibatches(batch: Batch, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """The rows of each of `count` optimizer steps, drawn without replacement; one step takes them as they are."""
    order = torch.arange(len(batch)) if count == 1 else torch.randperm(len(batch), generator=generator)
    yield from (rows for rows in order.chunk(count) if len(rows))


def microbatches(batch: Batch, max_tokens: int, whole_groups: bool = False) -> Iterator[Tensor]:
    """Rows of like length together, each piece at most `max_tokens` with its padding (but at least one row).

    Sorting keeps padding small; since the loss of a piece is a weighted sum, the order of rows does not change it. With
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
