"""What a whole run's configuration says of itself, and which keys do not go together."""

import math
from typing import Any

import pytest

from rlvr.config import DPOConfig, GRPOConfig, PPOConfig, RewardModelConfig, SFTConfig
from rlvr.config.file import Origin, check_config
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
