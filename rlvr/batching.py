"""Rows of tokens to tensors, and a step's tensors to the pieces that are computed at once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rlvr.algorithms.objective import Objective
from rlvr.algorithms.returns import token_advantages
from rlvr.rollouts.groups import rewarded
from rlvr.types import Batch, Group


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
    """The rollouts that have a reward, as rows in the order of their groups."""
    rows = rewarded(groups)
    rollouts = [rollout for _, rollout in rows]
    batch = token_batch(
        [rollout.prompt_ids for rollout in rollouts],
        [rollout.completion_ids for rollout in rollouts],
        [rollout.completion_mask for rollout in rollouts],
        [index for index, _ in rows],
    )
    logprobs = [[0.0] * len(rollout.prompt_ids) + list(rollout.rollout_logprobs) for rollout in rollouts]
    return replace(
        batch,
        policy_version=torch.tensor([rollout.policy_version for rollout in rollouts]),
        rollout_logprobs=pad(logprobs, batch.input_ids.shape[1], torch.float32),
    )


def trained_rows(batch: Batch, groups: Sequence[Group], objective: Objective, penalty: Tensor | None) -> Batch:
    """The rows of `rollout_batch(groups)` that are trained on, with an advantage for each token.

    `penalty` (B, T) is what each token's KL takes off its reward, where the objective says so.
    """
    values = [rollout.advantage for _, rollout in rewarded(groups)]
    trained = torch.tensor([row for row, value in enumerate(values) if value is not None], dtype=torch.long)
    advantages_B = torch.tensor([value for value in values if value is not None])
    rows = batch.rows(trained)
    return replace(
        rows,
        advantages=token_advantages(
            advantages_B.unsqueeze(-1) * rows.completion_mask,
            rows.completion_mask,
            objective,
            None if penalty is None else penalty[trained, : rows.completion_mask.shape[1]],
        ),
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
