"""Single sections: what each refuses, and what it means when it is left out."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from rlvr.config import sections
from rlvr.config.sections import (
    CheckpointConfig,
    DataConfig,
    EvalConfig,
    EvalSamplingConfig,
    LoraConfig,
    ModelConfig,
    OptimizerConfig,
    SamplingConfig,
    ScratchConfig,
    Section,
    SelectionConfig,
    TaskConfig,
    VerifyConfig,
)


def refused(section: type[BaseModel], **values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        section(**values)
    return str(caught.value)


SECTIONS = [value for value in vars(sections).values() if isinstance(value, type) and issubclass(value, Section)]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_an_unknown_key_is_refused_and_a_section_never_changes(section: type[Section]) -> None:
    assert "Extra inputs are not permitted" in refused(section, no_such_key=1)
    assert section.model_config["frozen"]


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (SamplingConfig, {"temperature": 0.0}),
        (SamplingConfig, {"temperature": float("nan")}),
        (SamplingConfig, {"top_p": 0.0}),
        (SamplingConfig, {"max_tokens": 0}),
        (SamplingConfig, {"min_p": 1.1}),
        (SamplingConfig, {"min_tokens": -1}),
        (SamplingConfig, {"repetition_penalty": 0.0}),
        (SamplingConfig, {"stop": [""]}),
        (SamplingConfig, {"stop_token_ids": [-1]}),
        (EvalSamplingConfig, {"temperature": 0.0}),
        (OptimizerConfig, {"name": "adamw8bit"}),
        (OptimizerConfig, {"lr": 0.0}),
        (OptimizerConfig, {"lr": float("inf")}),
        (OptimizerConfig, {"betas": (0.9, 1.0)}),
        (OptimizerConfig, {"final_lr_share": 1.5}),
        (OptimizerConfig, {"schedule": "cosin"}),
        (SelectionConfig, {"max_staleness": -1}),
        (SelectionConfig, {"oversample": 1}),
        (CheckpointConfig, {"keep_last": 0}),
        (DataConfig, {"train": "x", "max_tokens": 1}),
        (ScratchConfig, {"vocab_size": 260}),
    ],
)
def test_a_number_out_of_its_range_is_refused_by_its_key(section: type[Section], values: dict[str, Any]) -> None:
    (key,) = set(values) - {"train"}
    assert refused(section, **values).splitlines()[1].startswith(key)


def test_a_model_is_a_path_or_made_from_nothing() -> None:
    expected = "expected exactly one of model.path (a hub id or folder) and model.scratch (a tiny new model)"
    assert expected in refused(ModelConfig)
    assert expected in refused(ModelConfig, path="x", scratch={})
    assert ModelConfig(path="x").scratch is None


@pytest.mark.parametrize(("hidden_size", "heads", "kv_heads"), [(30, 4, 4), (32, 4, 3)])
def test_a_tiny_model_is_divided_evenly_among_its_heads(hidden_size: int, heads: int, kv_heads: int) -> None:
    said = refused(ScratchConfig, hidden_size=hidden_size, heads=heads, kv_heads=kv_heads)
    assert (
        f"hidden_size ({hidden_size}) must be a multiple of heads ({heads}), and heads of kv_heads ({kv_heads})" in said
    )


def test_a_learned_reward_and_its_model_go_together() -> None:
    expected = "go together; expected both or neither"
    assert expected in refused(VerifyConfig, verifier="reward_model")
    assert expected in refused(VerifyConfig, reward_model={"path": "x"})
    assert VerifyConfig(verifier="reward_model", reward_model={"path": "x"}).reward_model is not None


def test_all_other_keys_of_a_task_are_its_knobs_and_are_tried_at_once() -> None:
    assert TaskConfig(name="arithmetic", max_steps=2).knobs == {"max_steps": 2}
    assert "the task 'arithmetic' has no knob 'max_stepps'" in refused(TaskConfig, name="arithmetic", max_stepps=2)
    assert "arithmetics" in refused(TaskConfig, name="arithmetics")


@pytest.mark.parametrize(
    ("values", "happens"),
    [
        ({}, True),
        ({"problems": 0}, False),
        ({"at_start": False, "at_end": False}, False),
        ({"at_start": False, "at_end": False, "every": 5}, True),
        ({"at_start": True, "at_end": False}, True),
    ],
)
def test_an_evaluation_happens_where_there_are_problems_and_a_time_for_it(
    values: dict[str, Any], happens: bool
) -> None:
    assert EvalConfig(**values).happens is happens


def test_pass_rates_of_problems_are_remembered_where_something_reads_them() -> None:
    assert not SelectionConfig().by_problem
    assert SelectionConfig(skip_solved=1).by_problem
    assert SelectionConfig(curriculum="pass_rate").by_problem


def test_one_stop_string_is_a_list_of_one() -> None:
    assert SamplingConfig(stop="</answer>").stop == SamplingConfig(stop=["</answer>"]).stop == ("</answer>",)
    assert EvalSamplingConfig(stop="\n").stop == ("\n",)


def test_evaluations_sample_as_training_but_for_what_they_name() -> None:
    training = SamplingConfig(max_tokens=64, temperature=1.0, min_p=0.1, stop=["\n"])
    assert EvalSamplingConfig().over(training) == training
    expected = training.model_copy(update={"max_tokens": 256, "temperature": 0.6, "stop": ()})
    assert EvalSamplingConfig(max_tokens=256, temperature=0.6, stop=[]).over(training) == expected


def test_more_tokens_at_least_than_at_most_are_refused() -> None:
    assert "min_tokens is 9, expected at most max_tokens=8" in refused(SamplingConfig, max_tokens=8, min_tokens=9)


def test_quantized_weights_need_adapters_on_a_trained_model() -> None:
    said = "quantize is nf4, but quantized weights cannot be trained; expected lora beside it, and a trained model"
    assert said in refused(ModelConfig, path="x", quantize="nf4")
    assert said in refused(ModelConfig, scratch=ScratchConfig(), lora=LoraConfig(), quantize="nf4")
    assert ModelConfig(path="x", lora=LoraConfig(), quantize="nf4").quantize == "nf4"
    assert "revision names a version of a hub id" in refused(ModelConfig, scratch=ScratchConfig(), revision="main")
