from pathlib import Path
from typing import Any

import pytest
import yaml

from rlvr.compare.config import load_plan
from rlvr.config.file import Origin, check_config, dump_config, load_config
from rlvr.config.renamed import KEYS, VALUES, new_key, with_new_names
from rlvr.errors import ConfigError

MODEL = {"path": "somewhere"}
TASK = {"name": "arithmetic"}
RECIPES: dict[str, dict[str, Any]] = {
    "grpo": {"trainer": "grpo", "objective": {"preset": "grpo"}, "model": MODEL, "task": TASK, "steps": 1},
    "ppo": {"trainer": "ppo", "model": MODEL, "task": TASK, "steps": 1},
    "dpo": {"trainer": "dpo", "model": MODEL, "data": {"train": "pairs.jsonl"}, "steps": 1},
    "reward_model": {"trainer": "reward_model", "model": MODEL, "data": {"train": "pairs.jsonl"}, "steps": 1},
}
# Each key of the table with the trainer that has it, and a value that is not the default.
KEY_ROWS: dict[str, tuple[str, Any]] = {
    "objective.band": ("grpo", 0.07),
    "objective.soft_positive": ("grpo", 1.5),
    "objective.soft_negative": ("grpo", 2.5),
    "objective.max_staleness": ("grpo", 3),
    "wanted_weight": ("dpo", 0.5),
    "unwanted_weight": ("dpo", 1.5),
    "centre_coef": ("reward_model", 0.02),
    "trust_region.iterations": ("ppo", 5),
    "trust_region.halvings": ("ppo", 4),
}
VALUE_ROWS = [("grpo", key, old, new) for key, values in VALUES.items() for old, new in values.items()]
# trainer, older key, value, present key, the value that is expected at it
ROWS = [
    *((trainer, old, value, KEYS[old], value) for old, (trainer, value) in KEY_ROWS.items()),
    *((trainer, key, old, key, new) for trainer, key, old, new in VALUE_ROWS),
]
# Sections that are left out by default.
TRUST_REGION: dict[str, Any] = {"trust_region": {"trust_region": {}}}
COMPARED = [row for row in ROWS if row[0] in ("grpo", "ppo")]


def nested(key: str, value: Any) -> dict[str, Any]:
    section, _, name = key.rpartition(".")
    return {section: {name: value}} if section else {name: value}


def at(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = getattr(config, name)
    return config


def written(folder: Path, values: dict[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_every_row_of_the_table_is_tested_with_a_value_of_its_own() -> None:
    assert set(KEY_ROWS) == set(KEYS)
    for trainer, _, _, new, expected in ROWS:
        usual = check_config({**RECIPES[trainer], **TRUST_REGION.get(new.partition(".")[0], {})}, Origin("here"))
        assert at(usual, new) != expected


@pytest.mark.parametrize(("trainer", "old", "value", "new", "expected"), ROWS)
def test_files_and_overrides_may_have_the_older_spelling(
    tmp_path: Path, trainer: str, old: str, value: Any, new: str, expected: Any
) -> None:
    recipe = RECIPES[trainer]
    config = load_config(written(tmp_path, {**recipe, **nested(old, value)}))
    assert at(config, new) == expected
    assert load_config(written(tmp_path, recipe), [f"{old}={value}"]) == config
    assert load_config(written(tmp_path, recipe), [f"{new}={expected}"]) == config
    assert load_config(written(tmp_path, yaml.safe_load(dump_config(config)))) == config


@pytest.mark.parametrize(("trainer", "old", "value", "new", "expected"), COMPARED)
def test_variants_of_a_comparison_may_have_the_older_spelling(
    tmp_path: Path, trainer: str, old: str, value: Any, new: str, expected: Any
) -> None:
    written(tmp_path, RECIPES[trainer])
    path = tmp_path / "comparison.yaml"
    variants = {"usual": {}, "dotted": {old: value}, "whole": nested(old, value)}
    path.write_text(yaml.safe_dump({"base": "recipe.yaml", "variants": variants, "seeds": [0], "out": "runs/x"}))
    runs = load_plan(path).runs
    assert (at(runs["dotted", 0], new), at(runs["whole", 0], new)) == (expected, expected)


def test_a_run_folder_of_an_older_version_is_read() -> None:
    new = yaml.safe_load(dump_config(check_config(RECIPES["grpo"], Origin("here"))))
    old = {**new, "objective": {**new["objective"], "combine": "apart", "band": 0.15, "max_staleness": 2}}
    del old["objective"]["divergence_threshold"], old["selection"]["max_staleness"]
    config = check_config(old, Origin("there"))
    assert (config.objective.combine, config.objective.divergence_threshold) == ("decoupled", 0.15)
    assert config.selection.max_staleness == 2


@pytest.mark.parametrize(("trainer", "old", "value", "new", "expected"), [row for row in ROWS if row[1] in KEYS])
def test_both_spellings_at_once_are_refused_where_they_differ(
    tmp_path: Path, trainer: str, old: str, value: Any, new: str, expected: Any
) -> None:
    path = written(tmp_path, RECIPES[trainer])
    with pytest.raises(ConfigError) as caught:
        load_config(path, [f"{new}={expected + 1}", f"{old}={value}"])
    sentence = f"{old} is the older name of {new}: got {value} and {expected + 1}, expected only one of them"
    assert str(caught.value) == f"{path} with {new}={expected + 1} {old}={value}: {sentence}"
    assert at(load_config(path, [f"{new}={expected}", f"{old}={value}"]), new) == expected


def test_a_mistake_at_an_older_key_is_found_where_it_was_written(tmp_path: Path) -> None:
    path = written(tmp_path, {**RECIPES["dpo"], "wanted_weight": -1})
    line = path.read_text().splitlines().index("wanted_weight: -1") + 1
    with pytest.raises(ConfigError, match=rf"recipe.yaml:{line}: desirable_weight: got -1"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"^override 'wanted_weight=0': desirable_weight: got 0"):
        load_config(path, ["wanted_weight=0"])


@pytest.mark.parametrize(
    "values", [{}, {"objective": "grpo"}, {"objective": None}, {"trust_region": [1], "selection": 3}]
)
def test_what_has_no_older_name_stays_as_it_is(values: dict[str, Any]) -> None:
    assert with_new_names(values) == values
    assert new_key(("objective", "kl_coef")) == ("objective", "kl_coef")
