import math

import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from rlvr.algorithms.advantage import BASELINES, GROUP_WEIGHTS, SCALES, Outcomes, whitened
from rlvr.algorithms.advantage import advantages as advantages_of
from rlvr.algorithms.objective import Objective

# Two groups of three, their rows interleaved.
REWARDS = tensor([1.0, 0.0, 0.0, 0.5, 1.0, 1.0])
GROUPS = tensor([0, 1, 0, 1, 0, 1])
# group 0: 1, 0, 1 (mean 2/3); group 1: 0, 0.5, 1 (mean 1/2)


def advantages(rewards: Tensor, groups: Tensor, baseline: str, scale: str) -> Tensor:
    """With completions of one length, after steps of mean reward 0."""
    outcomes = Outcomes(rewards, groups, torch.full(rewards.shape, 4.0))
    return advantages_of(outcomes, Objective(baseline=baseline, scale=scale))


def test_mean_baseline_subtracts_the_mean_of_the_rows_own_group() -> None:
    expected = tensor([1 / 3, -1 / 2, -2 / 3, 0.0, 1 / 3, 1 / 2])
    assert_close(advantages(REWARDS, GROUPS, "mean", "none"), expected)


def test_group_std_divides_by_the_unbiased_standard_deviation() -> None:
    # group 0: sqrt((1/9 + 4/9 + 1/9) / 2) = sqrt(1/3); group 1: sqrt((1/4 + 0 + 1/4) / 2) = 1/2
    std_0, std_1 = (1 / 3) ** 0.5, 0.5
    expected = tensor([1 / 3 / std_0, -0.5 / std_1, -2 / 3 / std_0, 0.0, 1 / 3 / std_0, 0.5 / std_1])
    assert_close(advantages(REWARDS, GROUPS, "mean", "group_std"), expected)


def test_leave_one_out_baseline_is_the_mean_of_the_other_rows() -> None:
    # row 0 of group 0: others are 0 and 1, mean 1/2; row 2: others are 1 and 1
    expected = tensor([0.5, -0.75, -1.0, 0.0, 0.5, 0.75])
    assert_close(advantages(REWARDS, GROUPS, "leave_one_out", "none"), expected)


def test_batch_mean_and_batch_std_look_at_all_rows() -> None:
    mean = 3.5 / 6
    assert_close(advantages(REWARDS, GROUPS, "batch_mean", "none"), REWARDS - mean)
    assert_close(advantages(REWARDS, GROUPS, "batch_mean", "batch_std"), (REWARDS - mean) / REWARDS.std())


def test_without_baseline_and_scale_an_advantage_is_the_reward() -> None:
    assert_close(advantages(REWARDS, GROUPS, "none", "none"), REWARDS)


@pytest.mark.parametrize("baseline", ["mean", "leave_one_out"])
@pytest.mark.parametrize("scale", sorted(SCALES))
@pytest.mark.parametrize("reward", [0.0, 1.0, 0.1, 1 / 3])
def test_equal_rewards_give_exact_zeros(baseline: str, scale: str, reward: float) -> None:
    rewards = torch.full((7,), reward)
    assert (advantages(rewards, torch.zeros(7, dtype=torch.long), baseline, scale) == 0).all()


@pytest.mark.parametrize("baseline", sorted(BASELINES))
@pytest.mark.parametrize("scale", sorted(SCALES))
def test_the_order_of_rows_does_not_matter(baseline: str, scale: str) -> None:
    order = tensor([3, 0, 5, 1, 4, 2])
    whole = advantages(REWARDS, GROUPS, baseline, scale)
    assert_close(advantages(REWARDS[order], GROUPS[order], baseline, scale), whole[order])


def test_a_row_alone_in_its_group_carries_no_signal() -> None:
    alone = advantages(tensor([1.0]), tensor([0]), "leave_one_out", "group_std")
    assert alone.tolist() == [0.0]


def test_shapes_that_do_not_fit_are_refused_with_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"got \(6,\), expected \(5,\)"):
        advantages(REWARDS, GROUPS[:5], "mean", "none")


def test_an_unknown_choice_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'leave_one_out'"):
        advantages(REWARDS, GROUPS, "leave_one_ot", "none")


def test_a_baseline_of_ones_own_is_taken_by_its_path() -> None:
    assert_close(advantages(REWARDS, GROUPS, "rlvr.algorithms.advantage:no_baseline", "none"), REWARDS)


def test_length_weighted_baseline_by_hand() -> None:
    # group 0: (1 x 1 + 3 x 0 + 2 x 1) / 6 = 1/2; group 1: (2 x 0 + 1 x 0.5 + 1 x 1) / 4 = 3/8
    lengths = tensor([1.0, 2.0, 3.0, 1.0, 2.0, 1.0])
    values = advantages_of(Outcomes(REWARDS, GROUPS, lengths), Objective(baseline="length_weighted", scale="none"))
    assert_close(values, tensor([0.5, -0.375, -0.5, 0.125, 0.5, 0.625]))


def test_moving_average_baseline_is_what_earlier_steps_came_to() -> None:
    outcomes = Outcomes(REWARDS, GROUPS, torch.ones(6), moving_average=0.25)
    assert_close(advantages_of(outcomes, Objective(baseline="moving_average", scale="none")), REWARDS - 0.25)


def test_dividing_by_the_groups_mean_by_hand() -> None:
    # group 0: mean 2/3; group 1: mean 1/2
    assert_close(advantages(REWARDS, GROUPS, "mean", "group_mean"), tensor([0.5, -1.0, -1.0, 0.0, 0.5, 1.0]))


def test_a_group_without_any_right_answer_has_no_gradient_of_log_p() -> None:
    assert advantages(torch.zeros(3), torch.zeros(3, dtype=torch.long), "mean", "group_mean").tolist() == [0, 0, 0]


# Two rewards of each row: group 0 is rows 0 to 2.
PARTS = tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 6.0], [1.0, 5.0], [0.0, 5.0], [0.5, 5.0]])
PART_GROUPS = tensor([0, 0, 0, 1, 1, 1])


def test_rewards_apart_are_normalized_one_by_one_and_then_added() -> None:
    # Part 0 of group 0: mean 1/3, std sqrt(1/3): 2/sqrt 3, -1/sqrt 3, -1/sqrt 3; part 1 has the same shape.
    # Group 1: part 0 is 1, -1, 0; part 1 has no spread.
    unit = 3**-0.5
    expected = tensor([unit, -2 * unit, unit, 1.0, -1.0, 0.0])
    outcomes = Outcomes(PARTS.sum(-1), PART_GROUPS, torch.ones(6), parts=PARTS)
    assert_close(advantages_of(outcomes, Objective(combine="decoupled")), expected)


def test_rewards_apart_count_by_their_weights() -> None:
    unit = 3**-0.5
    expected = tensor([2 * unit - unit / 2, -unit - unit / 2, -unit + 2 * unit / 2, 1.0, -1.0, 0.0])
    outcomes = Outcomes(PARTS.sum(-1), PART_GROUPS, torch.ones(6), parts=PARTS, part_weights=tensor([1.0, 0.5]))
    assert_close(advantages_of(outcomes, Objective(combine="decoupled")), expected)


def test_a_part_that_does_not_apply_adds_nothing_and_is_no_part_of_its_mean() -> None:
    parts = tensor([[1.0, math.nan], [0.0, 3.0], [0.0, 1.0], [1.0, math.nan]])
    outcomes = Outcomes(parts.nan_to_num().sum(-1), torch.tensor([0, 0, 0, 1]), torch.ones(4), parts=parts)
    # Of the second part only rows 1 and 2 are known: 3 - 2 and 1 - 2. Row 3 is alone in its group.
    expected = tensor([2 / 3, -1 / 3 + 1, -1 / 3 - 1, 0.0])
    assert_close(advantages_of(outcomes, Objective(combine="decoupled", scale="none")), expected)


def test_advantages_see_numbers_of_any_sign_and_size() -> None:
    group = torch.tensor([0, 0, 0, 0])
    for rewards in ([-1.0, 1.0, -1.0, 1.0], [-1000.0, -3000.0, 0.0, -4000.0], [0.0, 10.0, 7.5, 2.5]):
        outcomes = Outcomes(tensor(rewards), group, torch.ones(4))
        centred = [reward - sum(rewards) / 4 for reward in rewards]
        spread = (sum(one**2 for one in centred) / 3) ** 0.5
        assert_close(advantages_of(outcomes, Objective(scale="none")), tensor(centred))
        assert_close(advantages_of(outcomes, Objective()), tensor([one / spread for one in centred]))
    equal = Outcomes(tensor([-0.1] * 4), group, torch.ones(4))
    assert advantages_of(equal, Objective()).tolist() == [0.0] * 4


def test_rewards_apart_without_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="parts is missing"):
        advantages_of(Outcomes(REWARDS, GROUPS, torch.ones(6)), Objective(combine="decoupled"))


def test_whitening_gives_the_batch_mean_0_and_standard_deviation_1() -> None:
    # r = 1, 0, 0, 0.5, 1, 1: mean 7/12, squared deviations 25+49+49+1+25+25 = 174 of 144ths over 5
    outcomes = Outcomes(REWARDS, GROUPS, torch.ones(6))
    values = advantages_of(outcomes, Objective(baseline="none", scale="none", whiten=True))
    assert_close(values, (REWARDS - 7 / 12) / (174 / 144 / 5) ** 0.5)


def test_whitening_equal_or_single_values_gives_zeros() -> None:
    assert whitened(torch.full((5,), 0.1)).tolist() == [0.0] * 5
    assert whitened(tensor([3.0])).tolist() == [0.0]


def test_informative_groups_count_by_their_variance() -> None:
    # Variances: group 0 (1, 0, 1) 1/3; group 1 (0, 0.5, 1) 1/4; group 2 (1, 1) 0 and out of the mean, 7/24.
    rewards, groups = torch.cat([REWARDS, tensor([1.0, 1.0])]), torch.cat([GROUPS, tensor([2, 2])])
    weights = GROUP_WEIGHTS["informative"](Outcomes(rewards, groups, torch.ones(8)), Objective())
    assert_close(weights, tensor([8 / 7, 6 / 7, 8 / 7, 6 / 7, 8 / 7, 6 / 7, 0.0, 0.0]))


def test_a_large_group_is_one_group_in_the_mean_of_variances() -> None:
    # (0, 1): 1/2; (0, 0, 1, 1): 1/3; mean over the two groups 5/12
    outcomes = Outcomes(tensor([0.0, 1, 0, 0, 1, 1]), tensor([0, 0, 1, 1, 1, 1]), torch.ones(6))
    weights = GROUP_WEIGHTS["informative"](outcomes, Objective())
    assert_close(weights, tensor([6 / 5] * 2 + [4 / 5] * 4))


def test_without_any_spread_no_group_is_informative() -> None:
    outcomes = Outcomes(torch.full((4,), 0.1), tensor([0, 0, 1, 1]), torch.ones(4))
    assert GROUP_WEIGHTS["informative"](outcomes, Objective()).tolist() == [0.0] * 4


def test_cohorts_that_lag_count_more_and_the_mean_weight_stays_1() -> None:
    lag = tensor([0.5, 0.5, 0.0, 0.0, -0.5, -0.5])
    outcomes = Outcomes(REWARDS, GROUPS, torch.ones(6), cohort_lag_B=lag)
    raw = tensor([math.e, math.e, 1.0, 1.0, 1 / math.e, 1 / math.e])
    weights = GROUP_WEIGHTS["cohort"](outcomes, Objective(cohort_strength=2.0))
    assert_close(weights, raw / raw.mean())
    assert_close(weights.mean(), tensor(1.0))


def test_where_no_cohort_is_known_to_lag_all_count_the_same() -> None:
    assert GROUP_WEIGHTS["cohort"](Outcomes(REWARDS, GROUPS, torch.ones(6)), Objective()).tolist() == [1.0] * 6


def test_group_weights_multiply_the_advantages() -> None:
    outcomes = Outcomes(REWARDS, GROUPS, torch.ones(6))
    plain = advantages_of(outcomes, Objective())
    weights = GROUP_WEIGHTS["informative"](outcomes, Objective())
    assert_close(advantages_of(outcomes, Objective(group_weight="informative")), plain * weights)
