import re
from pathlib import Path

import pytest
import yaml

from rlvr.config import GRPOConfig
from rlvr.config.file import Origin, check_config, dump_config, load_config, load_trained
from rlvr.errors import ConfigError
from verifiers import get_verifier

QUICKSTART = Path("configs/quickstart.yaml")


@pytest.mark.parametrize(
    "path",
    sorted(p for p in Path("configs").glob("*.yaml") if not p.stem.startswith("compare_")),
    ids=lambda path: path.stem,
)
def test_what_a_recipe_resolves_to_reads_back_as_it_is(path: Path) -> None:
    config = load_config(path)
    assert check_config(yaml.safe_load(dump_config(config)), Origin("again")) == config


def test_overrides_reach_into_sections_and_short_forms_name_them() -> None:
    config = load_config(
        QUICKSTART, ["sampling.temperature=0.7", "objective=grpo", "engine=vllm", "cold_start.optimizer.lr=1e-4"]
    )
    assert isinstance(config, GRPOConfig)
    assert config.sampling.temperature == 0.7
    assert (config.objective.scale, config.objective.kl_coef) == ("group_std", 0.04)
    assert config.engine.name == "vllm"
    assert config.cold_start is not None
    assert config.cold_start.optimizer.lr == 1e-4


@pytest.mark.parametrize(
    "written",
    [
        "math",
        "{name: numeric, relative: 1e-3}",
        "{weighted_sum: {math: 1.0, layout: {weight: 0.2, verifier: {name: format, tags: [think, answer]}}}}",
        "{gate: {first: format, then: {length_penalty: {verifier: {all_of: [math, exact]}, max_chars: 9000}}}}",
    ],
)
def test_a_verifier_reads_back_as_it_is_written(written: str, tmp_path: Path) -> None:
    config = load_config(QUICKSTART, [f"verify.verifier={written}", f"eval.verifier={written}"])
    assert isinstance(config, GRPOConfig)
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    again = load_config(path)
    assert again == config
    assert dump_config(again) == dump_config(config)
    assert get_verifier(config.verify.verifier or "") == get_verifier(yaml.safe_load(written.replace("1e-3", "0.001")))
    assert config.eval.verifier == config.verify.verifier


def test_a_setting_of_a_verifier_is_a_dotted_key() -> None:
    config = load_config(QUICKSTART, ["verify.verifier={name: math}", "verify.verifier.mode=lenient"])
    assert isinstance(config, GRPOConfig)
    assert config.verify.verifier == {"name": "math", "mode": "lenient"}


def test_a_section_given_whole_takes_the_place_of_the_files() -> None:
    config = load_config(QUICKSTART, ["task={name: gsm8k, system: Think.}", "cold_start.task={}"])
    assert config.task.knobs == {"system": "Think."}
    assert load_config(QUICKSTART, ["task=gsm8k", "cold_start.task={}"]).task.knobs == {}


def test_a_preset_takes_overrides_of_single_choices() -> None:
    config = load_config(QUICKSTART, ["objective={preset: grpo, kl_coef: 0, clip_high: 0.28}"])
    assert isinstance(config, GRPOConfig)
    assert (config.objective.scale, config.objective.kl_coef, config.objective.clip_high) == ("group_std", 0, 0.28)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("grup_size=4", "unknown key 'grup_size'; did you mean 'group_size'?"),
        ("model.scratch.hiden_size=4", "unknown key 'model.scratch.hiden_size'; did you mean"),
        ("optimizer.learning_rate=1", "unknown key 'optimizer.learning_rate'; known here: lr, schedule"),
        ("objective=dr_grp", "no preset is called 'dr_grp'; did you mean 'dr_grpo'?"),
        ("objective.clip_hih=1", "the objective has no choice 'clip_hih'; did you mean 'clip_high'?"),
        ("task=arithmetik", "no task is called 'arithmetik': did you mean 'arithmetic'?"),
        ("task.max_stepz=4", "the task 'arithmetic' has no knob 'max_stepz': did you mean 'max_steps'?"),
        ("trainer=gppo", "trainer: got 'gppo', expected one of grpo, sft"),
        ("group_size=1", "every advantage would be 0. Use group_size >= 2, or baseline: none"),
        ("sampling.temperature=warm", "sampling.temperature: got 'warm'"),
        ("optimizer.lr=0", "optimizer.lr: got 0"),
        ("verify.verifier=3", "verify.verifier: got 3, expected text or keys and values"),
        ("verify.verifier=[math]", "verify.verifier: got ['math'], expected text or keys and values"),
        ("cold_start=null", "add a cold_start section, or name a trained model in model.path"),
        ("model.path=somewhere", "expected exactly one of model.path"),
        ("model.scratch.heads=5", "hidden_size (160) must be a multiple of heads (5)"),
        ("steps", "expected key=value"),
        ("task.max_steps=two", "the task 'arithmetic': max_steps: got 'two', expected a whole number"),
        ("task={name: dataset}", "the task 'dataset': train: is missing"),
        ("cold_start.task.min_stepz=1", "cold_start.task: the task 'arithmetic' has no knob 'min_stepz'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_way_out(override: str, said: str) -> None:
    overrides = ["model.scratch={hidden_size: 160, heads: 4, kv_heads: 4}", override]
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_config(QUICKSTART, overrides)


def test_a_mistake_in_the_file_is_found_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(QUICKSTART.read_text().replace("group_size:", "grup_size:"))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if text.startswith("grup_size"))
    with pytest.raises(ConfigError, match=rf"mine.yaml:{line}: unknown key 'grup_size'"):
        load_config(path)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("group_size=0", ": group_size: got 0, expected at least 1"),
        ("optimizer={lr: fast}", ": optimizer.lr: got 'fast', expected a number"),
        ("sampling=0.8", ": sampling: got 0.8, expected keys: max_tokens, temperature, top_p, top_k"),
        ("optimizer.betas=[0.9]", ": optimizer.betas: got [0.9], expected more entries"),
        ("optimizer.betas=[0.9,1]", ": optimizer.betas: got 1, expected less than 1"),
        ("optimizer.lr=.inf", ": optimizer.lr: got inf, expected a finite number"),
        ("ledger=perhaps", ": ledger: got 'perhaps', expected true or false"),
        ("model.dtype=int8", ": model.dtype: got 'int8', expected one of float32, bfloat16 or float16"),
        ("model.lora={targets: 3}", ": model.lora.targets: got 3, expected text or a list"),
        ("objective.clip_low=wide", ": objective.clip_low: got 'wide', expected a number"),
        ("objective={preset: [1]}", ": objective: no preset is called [1]; known: "),
        ("steps={", ": its value is not YAML: did not find expected node content"),
        ("seed=${nope}", " does not fit the file: Interpolation key 'nope' not found"),
        ("=5", ": expected key=value, such as sampling.temperature=0.8"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_override_is_the_overrides(override: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(QUICKSTART, ["seed=1", override])
    assert str(caught.value).startswith(f"override {override!r}{said}")
    assert len(str(caught.value).splitlines()) == 1


def test_values_that_do_not_go_together_are_the_files_with_the_override() -> None:
    with pytest.raises(
        ConfigError, match=r"^configs/quickstart.yaml:8 with model.path=x: model: expected exactly one of"
    ):
        load_config(QUICKSTART, ["seed=1", "model.path=x"])


def test_every_mistake_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(QUICKSTART, ["grup_size=4", "optimizer.lr=-1"])
    assert len(str(caught.value).splitlines()) == 2


def test_files_that_are_no_configuration_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no configuration file .*did you mean 'configs/quickstart.yaml'"):
        load_config("configs/quikstart.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("trainer: [grpo")
    with pytest.raises(
        ConfigError, match=r"broken.yaml:2: not a configuration in YAML: did not find expected ',' or '\]'$"
    ):
        load_config(broken)
    broken.write_text("- a\n- b\n")
    with pytest.raises(ConfigError, match="expected keys and values, got a list"):
        load_config(broken)
    broken.write_text("steps: 3\n")
    with pytest.raises(ConfigError, match="the key 'trainer' is missing; expected one of grpo, sft"):
        load_config(broken)


@pytest.mark.parametrize("recipe", ["quickstart.yaml", "rlhf_quickstart/sft.yaml"])
def test_a_trained_model_takes_the_place_of_a_new_one_and_of_its_cold_start(recipe: str) -> None:
    config = load_trained(f"configs/{recipe}", ["model.path=runs/x"])
    assert (config.model.path, config.model.scratch) == ("runs/x", None)
    assert getattr(config, "cold_start", None) is None
    assert load_trained(f"configs/{recipe}").model.scratch is not None
