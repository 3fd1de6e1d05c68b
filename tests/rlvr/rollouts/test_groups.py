import json
import math
from dataclasses import asdict, replace

import pytest
import torch

from rlvr.algorithms.credit import overlong_punishment
from rlvr.algorithms.objective import Objective
from rlvr.errors import DataError
from rlvr.rollouts.groups import describe, has_signal, has_spread, why_no_signal
from rlvr.rollouts.history import Average, History
from rlvr.rollouts.rows import part_weights_of, parts_of
from rlvr.types import Finish, Group, Rollout
from tasks import Problem
from tests.rlvr.credit import credited
from verifiers import Status, Verdict


def group(
    *rewards: float | None, cohort: str = "", status: Status = "wrong", finish: Finish = "stop", id: str = "p"
) -> Group:
    rollouts = tuple(
        Rollout([1], [2, 3], [True, True], [0.0, 0.0], finish, 0, verdict=Verdict(reward, status), reward=reward)
        for reward in rewards
    )
    return Group(Problem(id, ({"role": "user", "content": "?"},), "1", cohort=cohort), rollouts)


def advantages(groups: list[Group]) -> list[list[float | None]]:
    return [[rollout.advantage for rollout in group.rollouts] for group in groups]


def test_a_failed_grader_gives_no_advantage_and_is_no_part_of_the_mean() -> None:
    (filled,) = credited([group(1.0, None, 0.0)], Objective(scale="none"))
    assert advantages([filled]) == [[0.5, None, -0.5]]
    assert [rollout.reward for rollout in filled.rollouts] == [1.0, None, 0.0]  # a reward stays a reward


def test_a_group_whose_graders_all_failed_has_no_advantages_at_all() -> None:
    filled = credited([group(None, None), group(1.0, 0.0)], Objective(scale="none"))
    assert advantages(filled) == [[None, None], [0.5, -0.5]]


def test_spread_is_of_rewards_whether_binary_or_not_and_a_failed_grader_adds_none() -> None:
    assert [has_spread(g) for g in (group(1.0, 1.0), group(0.0, 1.0), group(0.5, 0.5), group(0.5, 0.7))] == [
        False, True, False, True,
    ]  # fmt: skip
    assert not has_spread(group(1.0, None, 1.0))


def test_a_group_of_equal_rewards_has_advantages_of_zero_and_no_signal() -> None:
    groups = credited([group(1.0, 1.0), group(0.0, 1.0)], Objective(scale="none"))
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


def with_rollouts(base: Group, **each: list[object]) -> Group:
    rollouts = [
        replace(rollout, **{name: values[index] for name, values in each.items()})
        for index, rollout in enumerate(base.rollouts)
    ]
    return replace(base, rollouts=tuple(rollouts))


def test_a_masked_completion_counts_in_the_baseline_and_is_not_trained_on() -> None:
    cut = with_rollouts(group(1.0, 0.0, 0.0), finish=["stop", "length", "stop"])
    (filled,) = credited([cut], Objective(scale="none", overlong="mask"))
    assert advantages([filled]) == [[pytest.approx(2 / 3), None, pytest.approx(-1 / 3)]]
    (kept,) = credited([cut], Objective(scale="none"))
    assert advantages([kept]) == [[pytest.approx(2 / 3), pytest.approx(-1 / 3), pytest.approx(-1 / 3)]]


def test_the_punishment_for_length_is_daposs_line() -> None:
    lengths = torch.tensor([1.0, 16, 17, 18, 20])
    assert overlong_punishment(lengths, buffer=4, max_tokens=20).tolist() == [0, 0, -0.25, -0.5, -1]


def test_shaping_moves_the_advantage_and_never_the_reward() -> None:
    lengths = (4, 9, 10)
    long = with_rollouts(
        group(1.0, 1.0, 0.0), completion_ids=[[2] * n for n in lengths], completion_mask=[[True] * n for n in lengths],
        rollout_logprobs=[[0.0] * n for n in lengths],
    )  # fmt: skip
    punished = Objective(scale="none", overlong="punish", overlong_buffer=2)
    (filled,) = credited([long], punished)
    assert [rollout.shaping for rollout in filled.rollouts] == [0.0, -0.5, -1.0]
    assert filled.rewards == [1.0, 1.0, 0.0]
    assert advantages([filled]) == [[pytest.approx(5 / 6), pytest.approx(2 / 6), pytest.approx(-7 / 6)]]
    fifth = Objective(overlong="punish")  # of ten tokens: two
    assert [r.shaping for r in credited([long], fifth)[0].rollouts] == [0.0, -0.5, -1.0]
    assert [r.shaping for r in credited([long], Objective())[0].rollouts] == [0.0, 0.0, 0.0]


def test_a_kl_penalty_in_the_reward_is_shaping_of_the_completion_and_one_on_tokens_is_not() -> None:
    penalty = torch.tensor([[0.0, 0.25, 0.125], [0.0, 0.0, 0.5]])
    made = group(1.0, None, 0.0)
    whole = Objective(kl_coef=1.0, kl_in="reward", scale="none")
    (filled,) = credited([made], whole, penalty=penalty)
    assert [rollout.shaping for rollout in filled.rollouts] == [-0.375, 0.0, -0.5]
    assert advantages([filled]) == [[0.5625, None, -0.5625]]
    by_token = Objective(kl_coef=1.0, kl_in="token_reward", scale="none")
    assert [r.shaping for r in credited([made], by_token, penalty=penalty)[0].rollouts] == [0.0, 0.0, 0.0]


def test_a_moving_average_of_earlier_steps_is_a_baseline() -> None:
    earlier = History(reward=Average(0.25, 4))
    (filled,) = credited([group(1.0, 0.0)], Objective(baseline="moving_average", scale="none"), earlier)
    assert advantages([filled]) == [[0.75, -0.25]]


def test_groups_of_a_cohort_that_lags_behind_count_more() -> None:
    earlier = History(reward=Average(0.5, 4), cohorts={"easy": Average(0.75, 4), "hard": Average(0.25, 4)})
    groups = [group(1.0, 0.0, cohort="easy"), group(1.0, 0.0, cohort="hard")]
    fair = Objective(scale="none", group_weight="cohort", cohort_strength=2.0)
    (easy, _), (hard, _) = advantages(credited(groups, fair, earlier))
    assert hard / easy == pytest.approx(math.exp(2 * 0.25) / math.exp(2 * -0.25))
    (easy, _), (hard, _) = advantages(credited(groups, fair))
    assert easy == hard == 0.5


KL_IN_REWARD = Objective(combine="decoupled", scale="none", kl_in="reward", kl_coef=1.0)
PENALTY = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.5, 0.5]])  # shaping of 0 and -1


def test_parts_are_normalized_apart_and_shaping_is_one_of_them() -> None:
    def verdicts(*parts: dict[str, float]) -> list[object]:
        return [Verdict(sum(p.values()) / 2, "partial", parts=p) for p in parts]

    pair = with_rollouts(group(0.5, 0.5), verdict=verdicts({"right": 1.0, "form": 0.0}, {"form": 1.0, "right": 0.0}))
    assert parts_of(pair.rollouts) == [[0.0, 1.0], [1.0, 0.0]]
    decoupled = Objective(combine="decoupled", scale="none")
    assert advantages(credited([pair], decoupled)) == [[0.0, 0.0]]
    # Added up: (0 - 1/2) + (1 - 1/2) = 0, and of the shaping 0 - -1/2.
    assert advantages(credited([pair], KL_IN_REWARD, penalty=PENALTY)) == [[0.5, -0.5]]


def test_a_part_with_a_weight_that_does_not_apply_is_not_a_number() -> None:
    weights = {"right": 1.0, "code": 0.5}
    parts = [{"right": 1.0}, {"right": 0.0, "code": 1.0}]
    pair = with_rollouts(group(1.0, 0.5), verdict=[Verdict(1.0, "partial", parts=p, weights=weights) for p in parts])
    (first, second) = parts_of(pair.rollouts)
    assert (math.isnan(first[0]), first[1], second) == (True, 1.0, [1.0, 0.0])
    assert advantages(credited([pair], Objective(combine="decoupled", scale="none"))) == [[0.5, -0.5]]


def test_accuracy_is_of_what_is_solved_and_unknown_where_that_is() -> None:
    signs = group(1.0, -1.0, -1.0, 1.0)
    assert describe([signs])["reward/accuracy"] == 0.5
    judged = with_rollouts(
        signs, verdict=[Verdict(7.0, "scored"), *(rollout.verdict for rollout in signs.rollouts[1:])]
    )
    assert math.isnan(describe([judged])["reward/accuracy"])
    said = with_rollouts(signs, verdict=[Verdict(-1.0, "wrong", solved=True)] * 4)
    assert describe([said])["reward/accuracy"] == 1.0


def test_the_mean_of_each_part_is_logged_over_the_verdicts_that_have_it() -> None:
    parts = [{"right": 1.0}, {"right": 0.0, "code": -0.5}]
    pair = with_rollouts(group(1.0, 0.5), verdict=[Verdict(1.0, "partial", parts=p) for p in parts])
    figures = describe([pair])
    assert (figures["reward/part/right"], figures["reward/part/code"]) == (0.5, -0.5)


def test_groups_of_equal_penalties_are_wrong_and_equal_scores_are_said_to_be_equal() -> None:
    said = why_no_signal([group(-1.0, -1.0), group(-1.0, -1.0), with_rollouts(group(7.0, 7.0))])
    assert said.startswith("67% of groups are all wrong; 33% of groups have equal rewards; ")
    assert said.endswith("verdicts: 6 wrong")


def test_parts_count_by_the_weights_of_their_verdicts_and_shaping_counts_once() -> None:
    def weighted(**weights: float) -> Group:
        parts = {"right": 1.0, "form": 0.0}, {"form": 1.0, "right": 0.0}
        return with_rollouts(
            group(0.5, 0.5), verdict=[Verdict(0.5, "partial", parts=p, weights=weights) for p in parts]
        )

    decoupled = Objective(combine="decoupled", scale="none")
    pair = weighted(right=2.0, form=0.5)
    # By name: form 0.5, right 2. Row 0: 2 (1 - 1/2) + 0.5 (0 - 1/2) = 0.75.
    assert part_weights_of(pair.rollouts).tolist() == [0.5, 2.0]
    assert advantages(credited([pair], decoupled)) == [[0.75, -0.75]]
    # Shaping counts 1: 0.75 + 1 (0 - -1/2).
    assert advantages(credited([pair], KL_IN_REWARD, penalty=PENALTY)) == [[1.25, -1.25]]
    # The verdict's score, which `combine: sum` reads, is what it was.
    assert advantages(credited([pair], Objective(scale="none"))) == [[0.0, 0.0]]
    assert part_weights_of(weighted().rollouts) is None
    assert part_weights_of(weighted(right=3.0).rollouts).tolist() == [1.0, 3.0]  # what has no weight counts 1
    as_kept = Group.of(json.loads(json.dumps(asdict(pair))))
    assert as_kept == pair
    assert advantages(credited([as_kept], decoupled)) == [[0.75, -0.75]]


def test_weights_of_one_are_no_weights_to_the_last_bit() -> None:
    scores = [0.1, 0.7, 1 / 3, 0.9]
    parts = [{"a": score, "b": 1 - score * score} for score in scores]
    plain = with_rollouts(group(*scores), verdict=[Verdict(0.5, "partial", parts=p) for p in parts])
    ones = [Verdict(0.5, "partial", parts=p, weights={"a": 1.0, "b": 1.0}) for p in parts]
    decoupled = Objective(combine="decoupled", whiten=True)
    filled = [credited([made], decoupled) for made in (plain, with_rollouts(plain, verdict=ones))]
    assert advantages(filled[0]) == advantages(filled[1])


def test_a_group_of_a_checkpoint_from_before_weights_is_read() -> None:
    values = asdict(with_rollouts(group(1.0), verdict=[Verdict(1.0, "correct", parts={"a": 1.0})]))
    del values["rollouts"][0]["verdict"]["weights"]
    assert Group.of(values).rollouts[0].verdict == Verdict(1.0, "correct", parts={"a": 1.0})


def test_verdicts_with_different_weights_cannot_be_added() -> None:
    one, two = (Verdict(1.0, "correct", parts={"a": 1.0, "b": 1.0}, weights={"a": weight}) for weight in (1.0, 2.0))
    pair = with_rollouts(group(1.0, 1.0), verdict=[one, two])
    with pytest.raises(
        DataError, match=r"same weights in every verdict: got \[2.0, 1.0\] beside \[1.0, 1.0\] for .* a, b"
    ):
        credited([pair], Objective(combine="decoupled"))


def test_verdicts_without_the_same_parts_cannot_be_taken_apart() -> None:
    with pytest.raises(DataError, match=r"needs the same parts in every verdict: got \[\] beside \[\]"):
        credited([group(1.0, 0.0)], Objective(combine="decoupled"))


def test_lengths_are_told_apart_by_outcome() -> None:
    mixed = with_rollouts(group(1.0, 0.5, 0.0, None), completion_mask=[[True] * n for n in (3, 5, 7, 50)])
    figures = describe([mixed])
    assert (figures["completion/length_correct"], figures["completion/length_incorrect"]) == (3, 6)


def test_a_group_comes_back_from_json_as_it_was() -> None:
    made = with_rollouts(
        group(1.0, 0.0),
        rollout_logprobs=[[-1 / 3, -1e-9], [-0.1, -7.0]],
        verdict=[Verdict(1.0, "correct", parts={"a": 0.1}), None],
    )
    assert Group.of(json.loads(json.dumps(asdict(made)))) == made
