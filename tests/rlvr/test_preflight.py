"""What is known to be wrong before a model is loaded."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rlvr import preflight
from rlvr.algorithms.objective import Objective
from rlvr.config import DataConfig, EngineConfig, EvalConfig, LoraConfig, ModelConfig, VerifyConfig
from rlvr.config.file import load_config
from rlvr.errors import ConfigError, DataError, ModelError
from rlvr.preflight import (
    check,
    check_engine,
    check_model,
    check_objective,
    check_rewards,
    check_rows,
    check_scorer,
    check_training,
    first_problems,
    pick_device,
)
from tasks import Problem
from tasks.preferences import read_preferences
from tests.rlvr.players import Numbers

QUICKSTART = "configs/quickstart.yaml"


def test_a_sound_recipe_passes_and_leaves_no_trace(tmp_path: Path) -> None:
    check(load_config(QUICKSTART, [f"out={tmp_path / 'run'}"]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("overrides", "error", "expected"),
    [
        (["device=gpu"], ConfigError, "device: got 'gpu', expected auto, cpu, cuda or cuda:N"),
        (["model={path: ./no/model}"], ModelError, r"model\.path './no/model': there is no such folder"),
        (["engine=scripted"], ConfigError, "engine.script: got None, expected module:function"),
        (["objective.surrogate=clop"], ConfigError, "objective.surrogate: got 'clop', expected one of clip"),
        (["engine=vllm", "sampling.temperature=0.001"], ConfigError,
         r"sampling\.temperature: got 0\.001, and vLLM samples at temperatures from 0\.01 to 2"),
        (["engine=vllm", "eval.sampling.temperature=3"], ConfigError, r"eval\.sampling\.temperature: got 3, and vLLM"),
        (["model.dtype=float16"], ConfigError, "model.dtype: float16 is too coarse to train all weights in"),
        (["verify.verifier=mth"], ConfigError, "verify.verifier.*did you mean 'math'"),
        (["eval.verifier=mth"], ConfigError, "eval.verifier.*did you mean 'math'"),
        (["verify={verifier: reward_model, reward_model: {path: ./no/judge}}"], ModelError,
         r"verify\.reward_model\.path './no/judge': there is no such folder"),
        (["objective=gdpo"], ConfigError, "objective.combine is 'decoupled', .* and the verifier .math. gives none"),
        (["objective=gdpo", "verify.verifier=tests.rlvr.scripts:plus_or_minus_1"], ConfigError, "gives none; name one"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_with_the_key(
    overrides: list[str], error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        check(load_config(QUICKSTART, overrides))


def test_cuda_where_there_is_none_is_refused_and_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="device: got 'cuda:1', but torch finds no CUDA here; use device=cpu or"):
        pick_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda:1")


def test_bitsandbytes_is_asked_for_only_where_it_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    check(load_config(QUICKSTART, []))
    with pytest.raises(
        ConfigError, match=r"optimizer.name: adamw_8bit needs bitsandbytes, which is not installed; ins"
    ):
        check(load_config(QUICKSTART, ["optimizer.name=adamw_8bit"]))
    quantized = ModelConfig(path=str(tmp_path), lora=LoraConfig(), quantize="nf4")
    with pytest.raises(ConfigError, match=r"model.quantize: nf4 needs bitsandbytes"):
        check_model(quantized, "model")
    with pytest.raises(ConfigError, match=r"critic.quantize: nf4 is for policies, and this is a model that scores"):
        check_scorer(quantized, "critic")


def test_float16_trains_adapters_or_products_but_no_trust_region() -> None:
    check(load_config(QUICKSTART, ["model.autocast=float16"]))
    with pytest.raises(ConfigError, match="trust_region takes gradients of gradients, which are too small for float16"):
        check_training(load_config("configs/rlhf_quickstart/ppo.yaml", ["trust_region={}", "model.autocast=float16"]))


def test_a_revision_is_one_of_a_hub_id(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a folder, and its key revision \('main'\) names a version of a hub id"):
        check_model(ModelConfig(path=str(tmp_path), revision="main"), "model")


def test_an_engine_that_is_not_installed_is_refused_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    check_engine(EngineConfig(name="transformers"))
    with pytest.raises(ConfigError, match=r"engine: vllm is not installed; install it with pip install 'rlvr\[vllm\]'"):
        check_engine(EngineConfig(name="vllm"))


@pytest.mark.parametrize("axis", sorted(preflight.AXES))
def test_every_choice_of_an_objective_that_names_a_function_is_looked_up(axis: str) -> None:
    values: dict[str, Any] = {axis: "nothing_like_it"}
    with pytest.raises(ConfigError, match=f"objective.{axis}: got 'nothing_like_it', expected one of"):
        check_objective(Objective(**values))


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (
            {"overlong": "maks"},
            "objective.overlong: got 'maks', expected one of keep, mask, punish; did you mean 'mask'",
        ),
        ({"kl_in": "los"}, "objective.kl_in: got 'los', expected one of loss, reward, token_reward"),
        (
            {"discount": 1.5, "divergence_threshold": -1.0},
            "objective.discount: got 1.5, expected 0 to 1; objective.divergence_threshold: got -1.0",
        ),
        ({"refill_rounds": 2, "keep": "all"}, "refill_rounds replaces groups that were not kept"),
    ],
)
def test_names_ranges_and_contradictions_of_an_objective_are_refused(choices: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        check_objective(Objective(**choices))


def test_a_dataset_that_is_broken_at_its_first_row_says_so_now() -> None:
    class Broken(Numbers):
        def problem(self, index: int) -> Problem:
            raise ValueError("row 0: field 'answer': is missing")

    assert [problem.id for problem in first_problems(Numbers(), EvalConfig(problems=2))] == ["held-out-0", "held-out-1"]
    with pytest.raises(DataError, match="row 0: field 'answer': is missing"):
        first_problems(Broken(), EvalConfig(problems=0))


def test_a_first_row_that_is_broken_says_how_to_leave_it_out(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "q", "chosen": null, "rejected": "b"}\n')
    with pytest.raises(DataError, match=r"'chosen': is missing \(null\); .* leave such rows out: data\.skip_b"):
        check_rows(DataConfig(train=str(path)), read_preferences)
    check_rows(DataConfig(train=str(path), skip_broken=True), read_preferences)


def test_a_composed_verifier_is_made_with_all_its_parts() -> None:
    check_rewards(VerifyConfig(verifier={"weighted_sum": {"math": 1.0, "format": 0.2}}))
    with pytest.raises(ConfigError, match=r"^verify\.verifier.*'fromat'"):
        check_rewards(VerifyConfig(verifier={"weighted_sum": {"math": 1.0, "fromat": 0.2}}))


@pytest.mark.parametrize(
    "verifier", ["{weighted_sum: {math: 1.0, format: -0.2}}", "{length_penalty: {verifier: math}}"]
)
def test_a_composition_has_parts_to_take_apart(verifier: str) -> None:
    check(load_config(QUICKSTART, ["objective=gdpo", f"verify.verifier={verifier}"]))


@pytest.mark.parametrize("key", ["skip_solved=1", "curriculum=pass_rate"])
def test_problems_cannot_be_selected_by_a_score_that_does_not_say_what_is_solved(key: str, tmp_path: Path) -> None:
    learned = f"verify={{verifier: reward_model, reward_model: {{path: {tmp_path}}}}}"
    with pytest.raises(
        ConfigError, match=rf"selection\.{key.split('=')[0]} asks which problems are solved.* verify\.sol"
    ):
        check(load_config(QUICKSTART, [learned, f"selection.{key}"]))
    check(load_config(QUICKSTART, [learned, f"selection.{key}", "verify.solved_at=0.5"]))


def test_rows_without_worked_solutions_are_no_cold_start(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"question": "2 + {n}?", "answer": "{2 + n}"}}\n' for n in range(8)))
    overrides = [f"task={{name: dataset, train: {rows}}}", "cold_start={steps: 1}", "eval={problems: 0}"]
    with pytest.raises(DataError, match="has no worked solution, which fine-tuning learns from"):
        check(load_config(QUICKSTART, overrides))
