"""The nouns: what they count, and that they come back from a checkpoint as they were."""

import json
from dataclasses import asdict

import pytest
import torch

from rlvr.batching import token_batch
from rlvr.types import Batch, Group, Rollout, Sampling
from tasks import Problem
from verifiers import Verdict
from verifiers.values import Numeral, json_text


def rollout(reward: float | None, version: int = 0) -> Rollout:
    verdict = Verdict(reward, "partial" if reward is not None else "error", "7", "why", 0.25, {"a": 0.1}, {"a": 2.0})
    return Rollout([1, 2], [3, 4, 5], [True, False, True], [-0.1, 0.0, -0.3], "stop", version, "x", verdict, reward)


GROUP = Group(
    Problem("p", ({"role": "user", "content": "?"},), "1", cohort="easy"),
    (rollout(0.1 + 0.2, version=4), rollout(None, version=3)),
    draw=9,
)


def test_only_tokens_that_the_policy_chose_are_counted() -> None:
    assert rollout(1.0).sampled_tokens == 2


def test_a_groups_rewards_are_those_that_exist_and_its_version_is_its_oldest() -> None:
    assert GROUP.rewards == [0.1 + 0.2]
    assert GROUP.policy_version == 3


def test_a_group_comes_back_from_json_as_it_was() -> None:
    assert Group.of(json.loads(json.dumps(asdict(GROUP)))) == GROUP
    unjudged = Group(GROUP.problem, (Rollout([1], [2], [True], [0.0], "length", 0),))
    assert Group.of(json.loads(json.dumps(asdict(unjudged)))) == unjudged


@pytest.mark.parametrize(
    "answer", ["1", "[1]", 7, 12345678901234567890, Numeral("0.10"), True, ["a", Numeral("2.50")], {"v": None}]
)
def test_a_groups_answer_and_columns_come_back_digit_for_digit(answer: object) -> None:
    problem = Problem("p", ({"role": "user", "content": "?"},), answer, columns={"level": 3, "rate": Numeral("1e-7")})
    group = Group(problem, GROUP.rollouts, draw=2)
    again = Group.of(json.loads(json.dumps(group.state())))
    assert again == group
    assert json_text([again.problem.answer, again.problem.columns]) == json_text([answer, problem.columns])
    assert type(again.problem.answer) is type(answer)


@pytest.mark.parametrize(
    ("sampling", "is_truncated"),
    [
        (Sampling(8), False),
        (Sampling(8, temperature=0.5), False),
        (Sampling(8, top_p=0.99), True),
        (Sampling(8, top_k=1), True),
    ],
)
def test_a_distribution_is_truncated_where_some_tokens_can_never_be_drawn(
    sampling: Sampling, is_truncated: bool
) -> None:
    assert sampling.is_truncated is is_truncated


@pytest.fixture
def batch() -> Batch:
    return token_batch([[1, 2], [3], [4]], [[5, 6], [7], [8, 9, 9]], [[True] * 2, [True], [True] * 3], [0, 0, 1])


def test_rows_lose_the_padding_that_none_of_them_needs(batch: Batch) -> None:
    chosen = batch.rows(torch.tensor([1]))
    assert chosen.input_ids.tolist() == [[3, 7]]
    assert chosen.completion_mask.tolist() == [[False, True]]
    assert chosen.group_index.tolist() == [0]
    assert batch.lengths_B.tolist() == [4, 2, 4]


def test_rows_are_chosen_by_number_in_that_order_or_by_a_mask(batch: Batch) -> None:
    assert batch.rows(torch.tensor([2, 0])).input_ids.tolist() == [[4, 8, 9, 9], [1, 2, 5, 6]]
    assert batch.rows(torch.tensor([True, False, True])).input_ids.tolist() == [[1, 2, 5, 6], [4, 8, 9, 9]]
    assert len(batch.rows(torch.tensor([], dtype=torch.long))) == 0


def test_old_log_probabilities_are_filled_row_by_row_and_the_batch_that_was_given_stays(batch: Batch) -> None:
    first = batch.with_old_logprobs(torch.tensor([1]), torch.tensor([[0.0, -1.0]]))  # without its padding
    both = first.with_old_logprobs(torch.tensor([2]), torch.tensor([[0.0, -2.0, -3.0, -4.0]]))
    assert batch.old_logprobs is None
    assert first.old_logprobs is not None
    assert first.old_logprobs.tolist() == [[0, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 0]]
    assert both.old_logprobs is not None
    assert both.old_logprobs.tolist() == [[0, 0, 0, 0], [0, -1, 0, 0], [0, -2, -3, -4]]
