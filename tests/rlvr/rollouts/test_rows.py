from torch import tensor

from rlvr.algorithms.objective import Objective
from rlvr.rollouts.history import History
from rlvr.rollouts.rows import Rows
from rlvr.types import Finish, Group, Rollout
from tasks import Problem
from tests.rlvr.credit import credit_of

PROBLEM = Problem("p", ({"role": "user", "content": "?"},), "1")


def rollout(prompt: list[int], completion: list[int], reward: float | None, finish: Finish = "stop") -> Rollout:
    logprobs = [-float(token) for token in completion]
    return Rollout(prompt, completion, [True] * len(completion), logprobs, finish, 3, reward=reward)


GROUPS = [
    Group(PROBLEM, (rollout([7, 8], [1, 2], 1.0), rollout([7, 8], [3], None))),
    Group(PROBLEM, (rollout([9, 9, 9, 9], [5], 1.0, "length"), rollout([9], [4, 5, 6], 0.0))),
]


def test_rollouts_without_a_reward_are_no_rows() -> None:
    rows = Rows.of(GROUPS)
    batch = rows.batch()
    assert batch.group_index.tolist() == [0, 1, 1]
    assert batch.policy_version.tolist() == [3, 3, 3]
    assert batch.rollout_logprobs[0].tolist() == [0.0, 0.0, -1.0, -2.0, 0.0]
    outcomes = rows.outcomes(History(), decoupled=False)
    assert outcomes.rewards.tolist() == [1.0, 1.0, 0.0]
    assert outcomes.group_index.tolist() == [0, 1, 1]
    assert outcomes.lengths_B.tolist() == [2.0, 1.0, 3.0]
    assert outcomes.truncated_B.tolist() == [False, True, False]


def test_a_tools_output_is_no_sampled_token() -> None:
    talk = Rollout(
        [7], [1, 2, 9, 9, 3], [True, True, False, False, True], [-1.0, -2.0, 0.0, 0.0, -3.0], "stop", 0, reward=1.0
    )
    rows = Rows.of([Group(PROBLEM, (talk,))])
    assert talk.sampled_tokens == 3
    assert rows.outcomes(History(), decoupled=False).lengths_B.tolist() == [3.0]
    assert rows.batch().completion_mask.tolist() == [[False, True, True, False, False, True]]


def test_rows_that_are_not_trained_on_have_no_advantage_and_still_count_in_the_baseline() -> None:
    objective = Objective(scale="none", overlong="mask")
    rows, _, credit = credit_of(GROUPS, objective)
    assert credit.trained_B.tolist() == [True, False, True]
    assert credit.advantages_B.tolist() == [0.0, 0.5, -0.5]
    assert credit.advantages.tolist() == [[0.0] * 5, [0.0] * 5, [0.0, -0.5, -0.5, -0.5, 0.0]]
    (alone, _), (cut, whole) = ([r.advantage for r in group.rollouts] for group in rows.credited(credit))
    assert (alone, cut, whole) == (0.0, None, -0.5)


def test_a_penalty_on_tokens_lowers_the_advantage_of_those_before_it_too() -> None:
    objective = Objective(baseline="none", scale="none", kl="k1", kl_coef=1.0, kl_in="token_reward")
    groups = [Group(PROBLEM, (rollout([9], [4, 5], 0.5),))]
    _, _, credit = credit_of(groups, objective, penalty=tensor([[0.0, 0.25, 0.125]]))
    assert credit.advantages.tolist() == [[0.0, 0.5 - 0.25 - 0.125, 0.5 - 0.125]]
