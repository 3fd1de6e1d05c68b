import math

from rlvr.algorithms.objective import Objective
from rlvr.groups import describe, has_signal, has_spread, why_no_signal, with_advantages
from rlvr.history import History
from rlvr.types import Finish, Group, Rollout
from tasks import Problem
from verifiers import Status, Verdict


def group(*rewards: float | None, cohort: str = "", status: Status = "wrong", finish: Finish = "stop") -> Group:
    rollouts = tuple(
        Rollout([1], [2, 3], [True, True], [0.0, 0.0], finish, 0, verdict=Verdict(reward, status), reward=reward)
        for reward in rewards
    )
    return Group(Problem("p", ({"role": "user", "content": "?"},), "1", cohort=cohort), rollouts)


def advantages(groups: list[Group]) -> list[list[float | None]]:
    return [[rollout.advantage for rollout in group.rollouts] for group in groups]


def test_a_failed_grader_gives_no_advantage_and_is_no_part_of_the_mean() -> None:
    (filled,) = with_advantages([group(1.0, None, 0.0)], Objective(scale="none"), History())
    assert advantages([filled]) == [[0.5, None, -0.5]]
    assert [rollout.reward for rollout in filled.rollouts] == [1.0, None, 0.0]  # a reward stays a reward


def test_a_group_whose_graders_all_failed_has_no_advantages_at_all() -> None:
    filled = with_advantages([group(None, None), group(1.0, 0.0)], Objective(scale="none"), History())
    assert advantages(filled) == [[None, None], [0.5, -0.5]]
    assert with_advantages([group(None)], Objective(), History())[0].rollouts[0].advantage is None


def test_spread_is_of_rewards_whether_binary_or_not_and_a_failed_grader_adds_none() -> None:
    assert [has_spread(g) for g in (group(1.0, 1.0), group(0.0, 1.0), group(0.5, 0.5), group(0.5, 0.7))] == [
        False, True, False, True,
    ]  # fmt: skip
    assert not has_spread(group(1.0, None, 1.0))


def test_a_group_of_equal_rewards_has_advantages_of_zero_and_no_signal() -> None:
    groups = with_advantages([group(1.0, 1.0), group(0.0, 1.0)], Objective(scale="none"), History())
    assert advantages(groups) == [[0.0, 0.0], [-0.5, 0.5]]
    assert [has_signal(group) for group in groups] == [False, True]


def test_a_step_is_described_by_rewards_lengths_verdicts_and_cohorts() -> None:
    figures = describe([group(1.0, 0.0, cohort="easy"), group(None, 0.0, cohort="hard")])
    assert figures["reward/mean"] == 1 / 3
    assert figures["reward/failed_graders"] == 0.25
    assert figures["groups/mixed"] == 0.5
    assert figures["completion/length"] == 2
    assert figures["cohort/easy"] == 0.5
    assert figures["cohort/hard"] == 0.0
    assert figures["verdict/wrong"] == 1.0
    assert math.isnan(describe([group(None)])["reward/mean"])


def test_why_there_is_no_signal_is_said_in_percent() -> None:
    said = why_no_signal(
        [group(0.0, 0.0, status="no_answer", finish="length"), group(0.0, 0.0), group(1.0, 1.0), group(0.3, 0.3)]
    )
    assert "50% of groups are all wrong" in said
    assert "25% of groups are all right" in said
    assert "25% of groups have equal rewards between 0 and 1" in said
    assert "25% of completions were cut off" in said
    assert "in 25% no answer was found" in said
