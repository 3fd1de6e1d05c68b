import torch
from torch import tensor

from rlvr.algorithms.objective import Objective
from rlvr.batching import microbatches, minibatches, rollout_batch, token_batch, trained_rows
from rlvr.types import Group, Rollout
from tasks import Problem

PROBLEM = Problem("p", ({"role": "user", "content": "?"},), "1")


def rollout(prompt: list[int], completion: list[int], reward: float | None, advantage: float | None) -> Rollout:
    logprobs = [-float(token) for token in completion]
    mask = [True] * len(completion)
    return Rollout(prompt, completion, mask, logprobs, "stop", 3, reward=reward, advantage=advantage)


def test_a_batch_puts_prompts_and_completions_side_by_side_and_pads_on_the_right() -> None:
    batch = token_batch([[7, 8], [9]], [[1, 2, 3], [4]], [[True, False, True], [True]], [0, 1])
    assert batch.input_ids.tolist() == [[7, 8, 1, 2, 3], [9, 4, 0, 0, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert batch.completion_mask.tolist() == [[False, False, True, False, True], [False, True, False, False, False]]
    assert batch.lengths_B.tolist() == [5, 2]


def test_rollouts_without_a_reward_are_no_rows_and_those_without_an_advantage_are_not_trained_on() -> None:
    groups = [
        Group(PROBLEM, (rollout([7, 8], [1, 2], 1.0, 0.5), rollout([7, 8], [3], None, None))),
        Group(PROBLEM, (rollout([9, 9, 9, 9], [5], 0.0, None), rollout([9], [4, 5, 6], 0.0, -0.25))),
    ]
    batch = rollout_batch(groups)
    assert batch.group_index.tolist() == [0, 1, 1]
    assert batch.policy_version.tolist() == [3, 3, 3]
    assert batch.rollout_logprobs[0].tolist() == [0.0, 0.0, -1.0, -2.0, 0.0]
    trained = trained_rows(batch, groups, Objective(), None)
    assert trained.group_index.tolist() == [0, 1]
    assert trained.advantages.tolist() == [[0.0, 0.0, 0.5, 0.5], [0.0, -0.25, -0.25, -0.25]]
    assert trained.rollout_logprobs.tolist() == [[0.0, 0.0, -1.0, -2.0], [0.0, -4.0, -5.0, -6.0]]


def test_a_penalty_on_tokens_lowers_the_advantage_of_those_before_it_too() -> None:
    groups = [Group(PROBLEM, (rollout([7], [1], 1.0, None), rollout([9], [4, 5], 1.0, 0.5)))]
    objective = Objective(kl="k1", kl_coef=1.0, kl_in="token_reward")
    penalty = tensor([[0.0, 9.0, 9.0], [0.0, 0.25, 0.125]])
    trained = trained_rows(rollout_batch(groups), groups, objective, penalty)
    assert trained.advantages.tolist() == [[0.0, 0.5 - 0.25 - 0.125, 0.5 - 0.125]]


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
