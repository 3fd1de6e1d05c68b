import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from rlvr.algorithms.advantage import BASELINES, SCALES, STD_EPSILON, Outcomes
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
    std_0, std_1 = (1 / 3) ** 0.5 + STD_EPSILON, 0.5 + STD_EPSILON
    expected = tensor([1 / 3 / std_0, -0.5 / std_1, -2 / 3 / std_0, 0.0, 1 / 3 / std_0, 0.5 / std_1])
    assert_close(advantages(REWARDS, GROUPS, "mean", "group_std"), expected)


def test_leave_one_out_baseline_is_the_mean_of_the_other_rows() -> None:
    # row 0 of group 0: others are 0 and 1, mean 1/2; row 2: others are 1 and 1
    expected = tensor([0.5, -0.75, -1.0, 0.0, 0.5, 0.75])
    assert_close(advantages(REWARDS, GROUPS, "leave_one_out", "none"), expected)


def test_batch_mean_and_batch_std_look_at_all_rows() -> None:
    mean = 3.5 / 6
    assert_close(advantages(REWARDS, GROUPS, "batch_mean", "none"), REWARDS - mean)
    assert_close(
        advantages(REWARDS, GROUPS, "batch_mean", "batch_std"), (REWARDS - mean) / (REWARDS.std() + STD_EPSILON)
    )


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
