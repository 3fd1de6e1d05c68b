"""What a whole run's configuration says of itself, and which keys do not go together."""

import math
from typing import Any

import pytest

from rlvr.config import DPOConfig, GRPOConfig, PPOConfig, RewardModelConfig, SFTConfig
from rlvr.config.file import Origin, check_config
from rlvr.config.runs import PPO_OBJECTIVE
from rlvr.errors import ConfigError

MODEL = {"path": "runs/x/model"}


def config_of(trainer: str, **keys: Any) -> Any:
    """The configuration of a trainer with the keys that it cannot do without, and those that are given."""
    needed: dict[str, Any] = {"trainer": trainer, "model": MODEL, "steps": 10}
    if trainer in ("grpo", "ppo"):
        needed["task"] = "arithmetic"
    if trainer in ("dpo", "reward_model"):
        needed["data"] = {"train": "rows.jsonl"}
    return check_config(needed | keys, Origin("test"))


def refused(trainer: str, **keys: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config_of(trainer, **keys)
    return str(caught.value)


@pytest.mark.parametrize(
    ("trainer", "kind"),
    [
        ("grpo", GRPOConfig),
        ("ppo", PPOConfig),
        ("dpo", DPOConfig),
        ("reward_model", RewardModelConfig),
    ],
)
def test_the_trainer_chooses_the_kind_of_configuration(trainer: str, kind: type) -> None:
    assert type(config_of(trainer)) is kind


def test_fine_tuning_needs_rows_or_a_task_and_what_it_learns_from_is_one_of_them() -> None:
    assert "expected data (conversations to learn from), or task (its worked solutions)" in refused("sft")
    from_rows, from_task = config_of("sft", data={"train": "x"}), config_of("sft", task="arithmetic")
    assert isinstance(from_rows, SFTConfig)
    assert (from_rows.problems, from_rows.rows.train) == (None, "x")
    assert (from_task.problems.name, from_task.rows) == ("arithmetic", None)


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
    ("keys", "tolerance"),
    [
        ({}, 1e-3),
        ({"model": MODEL | {"autocast": "bfloat16"}}, 0.1),
        ({"model": MODEL | {"dtype": "bfloat16"}}, 0.1),
        ({"engine": {"logprob_tolerance": 0.02}, "model": MODEL | {"dtype": "bfloat16"}}, 0.02),
        ({"engine": {"name": "scripted", "script": "a:b"}}, math.inf),
    ],
)
def test_how_far_engine_and_learner_may_differ_follows_from_the_dtype_unless_it_is_given(
    keys: dict[str, Any], tolerance: float
) -> None:
    assert config_of("grpo", **keys).logprob_tolerance == tolerance


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


@pytest.mark.parametrize(
    ("trainer", "keys", "said"),
    [
        ("grpo", {"group_size": 1}, "group_size is 1, and the baseline 'mean' compares a completion with the others"),
        ("grpo", {"prompts_per_step": 2, "group_size": 2, "minibatches": 5}, "minibatches is 5, and a step has 4"),
        ("grpo", {"selection": {"max_staleness": 3}, "epochs": 4}, "Use a multiple of 4, or 0"),
        ("grpo", {"objective": {"preset": "dr_grpo", "overlong": "punish", "overlong_buffer": 600}},
         "objective.overlong_buffer is 600, and sampling.max_tokens only 512"),
        ("grpo", {"model": {"scratch": {}}}, "add a cold_start section, or name a trained model in model.path"),
        ("grpo", {"cold_start": {"task": {"max_stepps": 1}}}, "cold_start.task: the task 'arithmetic' has no knob"),
        ("sft", {"task": "arithmetic", "model": {"scratch": {}, "lora": {}}}, "model.lora would put adapters on"),
        ("reward_model", {"model": {"scratch": {}, "lora": {}}}, "model.lora would put adapters on"),
        ("ppo", {"critic": {"scratch": {}, "lora": {}}}, "critic.lora would put adapters on"),
        ("ppo", {"objective": "grpo"}, "presets are rows for trainer: grpo, expected {choice: value, ...}"),
        ("ppo", {"objective": {"baseline": "mean"}}, "objective.baseline: got 'mean', but PPO supports only 'none'"),
        ("ppo", {"trust_region": {}, "objective": {"clip_low": 0.1}}, "clip_low: got 0.1, but a trust_region step"),
        ("ppo", {"trust_region": {}, "model": MODEL | {"compile": True}}, "trust_region takes gradients of gradients"),
    ],
)  # fmt: skip
def test_keys_that_do_not_go_together_are_refused_with_the_way_out(
    trainer: str, keys: dict[str, Any], said: str
) -> None:
    assert said in refused(trainer, **keys)


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
