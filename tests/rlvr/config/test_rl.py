"""Configurations of runs that sample: what follows from several keys at once."""

import pytest

from rlvr.config.rl import PPO_OBJECTIVE
from tests.rlvr.config.test_runs import config_of


def test_the_schedule_of_rl_counts_all_optimizer_steps() -> None:
    assert config_of("grpo", epochs=2, minibatches=3).optimizer_steps == 60
    assert config_of("dpo").optimizer_steps == 10


def test_rl_scores_at_the_temperature_that_it_draws_at_and_data_are_learned_at_1() -> None:
    assert config_of("grpo", sampling={"temperature": 0.5}).scoring_temperature == 0.5
    assert config_of("dpo", sampling={"temperature": 0.5}).scoring_temperature == 1.0


def test_a_reference_is_needed_where_the_kl_counts() -> None:
    assert config_of("grpo", objective="grpo").needs_reference  # kl_coef 0.04
    assert not config_of("grpo", objective={"preset": "grpo", "kl_coef": 0}).needs_reference
    assert not config_of("sft", task="arithmetic").needs_reference


@pytest.mark.parametrize(
    ("staleness", "epochs", "minibatches", "ahead"),
    [(0, 1, 1, 0), (1, 1, 1, 1), (3, 1, 1, 3), (4, 2, 2, 1), (9, 2, 2, 2)],
)
def test_sampling_runs_as_many_steps_ahead_as_the_age_of_a_group_allows(
    staleness: int, epochs: int, minibatches: int, ahead: int
) -> None:
    config = config_of("grpo", selection={"max_staleness": staleness}, epochs=epochs, minibatches=minibatches)
    assert config.steps_ahead == ahead


def test_a_batch_that_is_refilled_is_not_sampled_ahead() -> None:
    refilling = {"preset": "dapo", "refill_rounds": 1}
    assert config_of("grpo", objective=refilling, selection={"max_staleness": 2}).steps_ahead == 0


def test_ppo_changes_single_choices_of_its_own_row() -> None:
    objective = config_of("ppo", objective={"kl_coef": 0.5}).objective
    assert objective.kl_coef == 0.5
    assert (objective.kl_in, objective.whiten) == (PPO_OBJECTIVE.kl_in, True) == ("token_reward", True)


def test_a_cold_start_is_fine_tuning_on_the_task_with_all_weights_and_no_evaluation_at_its_end() -> None:
    config = config_of(
        "grpo",
        model={"scratch": {}, "lora": {"rank": 4}},
        seed=7,
        task={"name": "arithmetic", "min_steps": 2, "max_steps": 3},
        cold_start={"steps": 5, "rows_per_step": 6, "task": {"min_steps": 1}},
    )
    cold = config.cold_start_config("runs/y")
    assert (cold.trainer, cold.out, cold.steps, cold.rows_per_step, cold.seed) == ("sft", "runs/y", 5, 6, 7)
    assert cold.task.knobs == {"min_steps": 1, "max_steps": 3}
    assert (cold.model.lora, config.model.lora.rank) == (None, 4)
    assert (cold.eval.at_start, cold.eval.at_end, cold.eval.every) == (True, False, 0)
    assert config_of("grpo").cold_start_config("runs/y") is None
