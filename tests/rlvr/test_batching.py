import pytest
import torch
from torch import tensor

from rlvr.batching import microbatches, minibatches, plan, token_batch
from rlvr.types import Batch


def test_a_batch_puts_prompts_and_completions_side_by_side_and_pads_on_the_right() -> None:
    batch = token_batch([[7, 8], [9]], [[1, 2, 3], [4]], [[True, False, True], [True]], [0, 1])
    assert batch.input_ids.tolist() == [[7, 8, 1, 2, 3], [9, 4, 0, 0, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert batch.completion_mask.tolist() == [[False, False, True, False, True], [False, True, False, False, False]]
    assert batch.lengths_B.tolist() == [5, 2]


def test_chosen_rows_lose_the_padding_that_none_of_them_needs() -> None:
    batch = token_batch([[7, 8], [9], [9]], [[1, 2, 3], [4], [5, 6]], [[True] * 3, [True], [True] * 2], [0, 1, 1])
    chosen = batch.rows(tensor([2, 1]))
    assert chosen.input_ids.tolist() == [[9, 5, 6], [9, 4, 0]]
    assert chosen.group_index.tolist() == [1, 1]
    assert batch.rows(tensor([False, True, False])).input_ids.tolist() == [[9, 4]]


def test_microbatches_hold_each_row_once_within_the_token_budget() -> None:
    torch.manual_seed(0)
    lengths = torch.randint(1, 50, (40,)).tolist()
    batch = token_batch([[1]] * 40, [[2] * n for n in lengths], [[True] * n for n in lengths], range(40))
    pieces = list(microbatches(batch, max_tokens=200))
    assert sorted(torch.cat(pieces).tolist()) == list(range(40))
    for rows in pieces:
        assert batch.rows(rows).input_ids.numel() <= 200
    padded = sum(batch.rows(rows).input_ids.numel() for rows in pieces)
    # Like lengths lie together: hardly any padding, where rows as they come would be padded to the longest of all.
    assert padded <= 1.2 * int(batch.attention_mask.sum())
    assert batch.input_ids.numel() >= 1.8 * int(batch.attention_mask.sum())


def test_a_row_longer_than_the_budget_is_a_piece_of_its_own() -> None:
    batch = token_batch([[1], [1]], [[2] * 9, [2]], [[True] * 9, [True]], [0, 1])
    assert [rows.tolist() for rows in microbatches(batch, max_tokens=4)] == [[0], [1]]


def test_minibatches_are_a_shuffled_partition_and_one_minibatch_is_the_batch_itself() -> None:
    batch = token_batch([[1]] * 7, [[2]] * 7, [[True]] * 7, range(7))
    pieces = [rows.tolist() for rows in minibatches(batch, 3, torch.Generator().manual_seed(0))]
    assert sorted(row for piece in pieces for row in piece) == list(range(7))
    assert [len(piece) for piece in pieces] == [3, 3, 1]
    assert pieces != [[0, 1, 2], [3, 4, 5], [6]]
    assert [rows.tolist() for rows in minibatches(batch, 1, torch.Generator())] == [list(range(7))]


def example() -> Batch:
    lengths = [9, 3, 14, 6, 1, 11, 2]
    return token_batch([[1]] * 7, [[2] * n for n in lengths], [[True] * n for n in lengths], [0, 0, 0, 1, 1, 2, 2])


def test_a_plan_for_one_rank_is_the_microbatches_in_their_order() -> None:
    (pieces,) = plan(example(), max_tokens=20)
    assert [piece.rows.tolist() for piece in pieces] == [rows.tolist() for rows in microbatches(example(), 20)]
    assert not any(piece.is_filler for piece in pieces)


@pytest.mark.parametrize("whole_groups", [False, True])
@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_every_rank_gets_as_many_pieces_and_every_row_is_computed_once(ranks: int, whole_groups: bool) -> None:
    dealt = plan(example(), 16, ranks, whole_groups)
    assert len({len(pieces) for pieces in dealt}) == 1
    counted = [row for pieces in dealt for piece in pieces if not piece.is_filler for row in piece.rows.tolist()]
    assert sorted(counted) == list(range(7))
    fillers = [piece for pieces in dealt for piece in pieces if piece.is_filler]
    assert len(fillers) < ranks
    expected = [3, 4] if whole_groups else [4]  # the shortest row, and with it its group
    assert all(piece.rows.tolist() == expected for piece in fillers)


def test_tokens_are_spread_evenly_over_ranks() -> None:
    lengths = [8, 8, 8, 8, 4, 4, 4, 4]
    batch = token_batch([[1]] * 8, [[2] * (n - 1) for n in lengths], [[True] * (n - 1) for n in lengths], range(8))
    tokens = [sum(int(batch.lengths_B[p.rows].sum()) for p in pieces) for pieces in plan(batch, 8, ranks=2)]
    assert tokens == [24, 24]
