import json
from pathlib import Path

import pytest

from rlvr.algorithms.presets import PRESETS
from rlvr.compare.compare import check_variants
from rlvr.compare.config import load_plan
from rlvr.config import GRPOConfig
from rlvr.errors import ConfigError, RlvrError

COMPARISON = """
base: recipe.yaml
overrides: {eval.every: 20}
variants:
  grpo: {objective: grpo}
  long: {objective: {preset: grpo, aggregate: token}, task.max_steps: 2}
seeds: [0, 5]
out: runs/here
"""


def written(folder: Path, text: str = COMPARISON) -> Path:
    (folder / "recipe.yaml").write_text(Path("configs/quickstart.yaml").read_text())
    path = folder / "comparison.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(Path("configs").glob("compare_*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_comparison_resolves_and_can_be_run(path: Path) -> None:
    plan = load_plan(path)
    check_variants(plan)
    assert len(plan.runs) == len(plan.config.variants) * len(plan.config.seeds)
    assert plan.config.out == f"runs/{path.stem.replace('_', '-')}"


def test_a_variant_is_the_base_with_its_keys_exchanged(tmp_path: Path) -> None:
    plan = load_plan(written(tmp_path))
    assert list(plan.runs) == [("grpo", 0), ("long", 0), ("grpo", 5), ("long", 5)]
    grpo, long = plan.runs["grpo", 5], plan.runs["long", 5]
    assert isinstance(grpo, GRPOConfig)
    assert isinstance(long, GRPOConfig)
    assert grpo.objective == PRESETS["grpo"]
    assert (long.objective.kl_coef, long.objective.aggregate) == (0.04, "token")
    assert (grpo.task.knobs["max_steps"], long.task.knobs["max_steps"]) == (3, 2)
    assert (grpo.eval.every, grpo.eval.problems) == (20, 512)
    assert (grpo.seed, grpo.out) == (5, "runs/here/grpo/seed-5")


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    plan = load_plan(written(tmp_path), ["seeds=[3]", "variants.long.steps=7"], jobs=4)
    assert plan.config.jobs == 4
    assert [(key, run.steps) for key, run in plan.runs.items()] == [(("grpo", 3), 140), (("long", 3), 7)]


def test_a_dotted_key_changes_what_it_names_and_leaves_the_rest_of_its_section(tmp_path: Path) -> None:
    plan = load_plan(
        written(tmp_path), ["variants.long.optimizer.lr=2e-3", "overrides.task.max_number=14", "seeds=[0]"]
    )
    grpo, long = plan.runs.values()
    assert (grpo.optimizer.lr, long.optimizer.lr) == (1.5e-4, 2e-3)
    assert long.optimizer.warmup_steps == grpo.optimizer.warmup_steps == 10
    assert grpo.task.knobs["max_number"] == 14
    assert grpo.task.knobs["max_value"] == 40
    new = load_plan(written(tmp_path), ["variants.new={objective: dr_grpo}", "seeds=[0]"])
    assert [variant for variant, _ in new.runs] == ["grpo", "long", "new"]


def test_sections_given_on_the_command_line_are_written_into_the_results(tmp_path: Path) -> None:
    plan = load_plan(written(tmp_path), ["overrides.eval={problems: 40, samples: 2}", "variants.new={steps: 3}"])
    assert plan.runs["grpo", 0].eval.problems == 40
    shown = json.loads(json.dumps(plan.config.model_dump(mode="json")))
    assert shown["overrides"]["eval"] == {"problems": 40, "samples": 2}
    assert shown["variants"]["new"] == {"steps": 3}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sedes=[1]"], "unknown key 'sedes'; did you mean 'seeds'?"),
        (["variants.long.optimiser.lr=1"], "variant 'long': unknown key 'optimiser'; did you mean 'optimizer'?"),
        (["variants.long.objective=grop"], "variant 'long': objective: .*'grop'.*'grpo'"),
        (["variants.long.optimizer.lr=-1"], "variant 'long': optimizer.lr: got -1"),
        (["variants.long.eval.at_end=false"], "variant 'long': a comparison needs .* got .*at_end=False"),
        (["variants.long.seed=3"], "'seed' is set by the comparison"),
        (["overrides.out=x"], "'out' is set by the comparison"),
        (["variants={grpo: {}}"], r"variants: got \['grpo'\], expected two or more"),
        (["variants.cold_start={}"], "'cold_start' cannot be a folder's name"),
        (["seeds=[1, 1]"], "expected one or more different numbers"),
        (["measures=[acuracy]"], "no measure is called 'acuracy'; did you mean 'accuracy'?"),
        (["baseline=gropo"], "no variant is called 'gropo'; did you mean 'grpo'?"),
        (["base=recipes.yaml"], "there is no configuration file .*did you mean .*recipe.yaml"),
    ],
)
def test_a_mistake_is_refused_in_one_sentence_that_names_the_variant(
    tmp_path: Path, overrides: list[str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        load_plan(written(tmp_path), overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["variants.long.objective={surrogate: clp}"],
            "variant 'long': .*surrogate: got 'clp', expected one of .*clip",
        ),
        (["variants.long.verify.verifier=matth"], "variant 'long': verify.verifier: .*matth"),
        (["variants.long.eval.problems=9"], "variant 'long' is evaluated on other problems than the first"),
        (["variants.long.task.max_number=14"], "variant 'long' is evaluated on other problems than the first"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(
    tmp_path: Path, overrides: list[str], said: str
) -> None:
    with pytest.raises(RlvrError, match=said):
        check_variants(load_plan(written(tmp_path, COMPARISON.replace(", task.max_steps: 2", "")), overrides))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["comparison.yaml", "recipe.yaml"]


def test_a_base_can_be_written_where_it_is_used(tmp_path: Path) -> None:
    inline = "base:\n" + "".join(f"  {line}\n" for line in Path("configs/quickstart.yaml").read_text().splitlines())
    plan = load_plan(written(tmp_path, COMPARISON.replace("base: recipe.yaml\n", inline)))
    assert plan.runs == load_plan(written(tmp_path)).runs


def test_ppo_and_grpo_compare_at_the_same_number_of_completions_a_step() -> None:
    plan = load_plan("configs/compare_ppo.yaml")
    assert {run.prompts_per_step * run.group_size for run in plan.runs.values()} == {384}
    assert {run.trainer for run in plan.runs.values()} == {"grpo", "ppo"}
