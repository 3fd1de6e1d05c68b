from pathlib import Path

import pytest

from rlvr.algorithms.advantage import BASELINES, COMBINES, GROUP_WEIGHTS, SCALES
from rlvr.algorithms.correction import CORRECTIONS
from rlvr.algorithms.kl import ESTIMATORS
from rlvr.algorithms.objective import Objective, contradictions
from rlvr.algorithms.policy_loss import RATIOS, SURROGATES
from rlvr.algorithms.presets import MAKERS, PRESETS, resolve
from rlvr.algorithms.weights import AGGREGATES
from rlvr.errors import ConfigError
from rlvr.preflight import check_objective


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_is_sound_and_names_its_source(preset: str) -> None:
    check_objective(PRESETS[preset])
    words = MAKERS[preset].__doc__ or ""
    assert "arXiv:" in words or "Williams (1992)" in words or "project's own" in words


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"surrogate": "cilp"}, "objective.surrogate: got 'cilp'.*did you mean 'clip'"),
        ({"combine": "decuopled"}, "objective.combine.*did you mean 'decoupled'"),
        ({"overlong": "drop"}, "objective.overlong: got 'drop', expected one of keep, mask, punish"),
        ({"kl_in": "rewards"}, "objective.kl_in.*did you mean 'reward'"),
        ({"correction_level": "tokens"}, "objective.correction_level.*did you mean 'token'"),
        ({"group_weight": "cohorts"}, "objective.group_weight.*did you mean 'cohort'"),
        ({"clip_low": -0.1}, r"objective.clip_low: got -0.1, expected 0 to inf"),
        ({"clip_low": 1.5}, "clip_low must be at most 1"),
        ({"clip_dual": 1.1}, r"set more than 1 \+ clip_high, or 0"),
        ({"clip_dual": 3.0, "surrogate": "soft_gate"}, "clip_dual belongs to surrogate: clip"),
        ({"discount": 1.5}, "objective.discount: got 1.5, expected 0 to 1"),
        ({"temperature_positive": 0.0}, "objective.temperature_positive"),
        ({"correction_low": 3.0}, "correction_low must be below correction_high"),
        ({"surrogate": "geometric", "ratio": "sequence"}, "geometric works on .* each token: set ratio: token"),
        ({"refill_rounds": 2}, "add keep: mixed"),
        ({"overlong_buffer": 8}, "overlong: punish"),
        ({"kl_target": 0.1}, "set kl_coef to more than 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_way_out(choices: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_objective(Objective(**choices))


def test_a_row_without_contradictions_has_none() -> None:
    assert contradictions(Objective()) == []


def test_a_row_is_a_preset_with_choices_exchanged() -> None:
    assert resolve("dr_grpo") == Objective(scale="none", aggregate="constant")
    assert resolve({"preset": "gspo", "clip_low": 0.1}) == Objective(ratio="sequence", clip_low=0.1, clip_high=4e-4)
    assert resolve({"kl_coef": 0.0}) == Objective()


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="no preset is called 'dr_gpro'; did you mean 'dr_grpo'"):
        resolve("dr_gpro")
    with pytest.raises(ValueError, match="no choice 'clip_hi'; did you mean 'clip_high'"):
        resolve({"clip_hi": 0.3})


def test_the_overlong_buffer_is_a_fifth_of_what_sampling_allows_unless_it_is_given() -> None:
    assert Objective().overlong_tokens(20_480) == 4096
    assert Objective(overlong_buffer=10).overlong_tokens(20_480) == 10
    assert Objective().overlong_tokens(3) == 1


@pytest.mark.parametrize(
    ("choices", "trains", "per_token"),
    [
        ({}, False, False),
        ({"kl_coef": 0.1}, True, False),
        ({"kl_coef": 0.1, "kl_in": "reward"}, False, False),
        ({"kl_coef": 0.1, "kl_in": "token_reward"}, False, True),
        ({"entropy_coef": 0.1}, True, False),
        ({"discount": 0.9}, False, True),
    ],
)
def test_what_a_row_needs_follows_from_its_choices(choices: dict, trains: bool, per_token: bool) -> None:
    objective = Objective(**choices)
    assert objective.trains_without_advantage is trains
    assert objective.advantage_per_token is per_token


def test_the_page_about_objectives_has_every_preset_and_every_choice() -> None:
    page = Path("docs/objectives.md").read_text()
    rows = [line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")]
    assert set(PRESETS) <= set(rows)
    for table in (BASELINES, SCALES, GROUP_WEIGHTS, COMBINES, RATIOS, SURROGATES, CORRECTIONS, AGGREGATES, ESTIMATORS):
        for name in table:
            assert f"`{name}`" in page, name
