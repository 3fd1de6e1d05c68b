"""`rlvr eval`: what it measures is what it prints."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from rlvr.commands.evaluate_model import evaluate_model, evaluate_source
from rlvr.commands.state import state_of
from rlvr.config import RunConfig
from rlvr.config.file import load_config
from rlvr.errors import ConfigError
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy
from rlvr.trainers import grpo
from tests.rlvr.going_on import recipe, save_tiny


@pytest.fixture
def model(chat: Chat, policy: Policy, tmp_path: Path) -> Path:
    policy.save(tmp_path / "model", chat.tokenizer)
    return tmp_path / "model"


def config_of(model: Path, *overrides: str) -> RunConfig:
    return load_config(
        "configs/quickstart.yaml",
        [
            f"model={{path: {model}}}",
            "cold_start=null",
            "engine={name: scripted, script: 'tests.rlvr.scripts:always_five'}",
            "verify.verifier=tests.rlvr.scripts:coin_at_once",
            "eval={problems: 40, samples: 2}",
            *overrides,
        ],
    )


def test_what_is_printed_is_what_was_measured(model: Path, chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = evaluate_model(config_of(model, "verify.verifier=math", "verify.workers=1"))[""]
    solved = sum(group.problem.answer == "5" for group in evaluation.groups[0]) / 40
    assert 0 < solved < 1
    means = {name: estimate.mean for name, estimate in evaluation.estimates.items()}
    assert means == {"greedy": solved, "avg@2": solved, "pass@2": solved, "maj@2": solved}
    printed = " ".join(capsys.readouterr().out.split())
    assert "on 40 problems" in printed
    low, high = evaluation.estimates["greedy"].low, evaluation.estimates["greedy"].high
    assert f"greedy │ {solved:.3f} │ {low:.3f} to {high:.3f}" in printed
    assert f"mean length │ {len(chat.completion_ids('#### 5')):.1f} tokens" in printed
    assert "cut off │ 0.0%" in printed
    assert "grader failed │ 0.0%" in printed


def test_a_recipe_that_never_evaluates_while_it_trains_is_evaluated_all_the_same(model: Path) -> None:
    quiet = "eval={problems: 5, samples: 0, at_start: false, at_end: false}"
    assert evaluate_model(config_of(model, quiet))[""].estimates.keys() == {"greedy"}


def test_a_recipe_without_held_out_problems_is_refused(model: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"eval\.problems is 0; expected the number of held-out problems to evaluate on"
    ):
        evaluate_model(config_of(model, "eval.problems=0"))


def test_a_model_from_nothing_is_not_worth_evaluating() -> None:
    with pytest.raises(ConfigError, match=r"model\.scratch is not trained; name a model"):
        evaluate_model(load_config("configs/quickstart.yaml", []))


def test_named_sets_are_evaluated_beside_the_tasks_own_problems(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "fives.jsonl"
    rows.write_text("".join(f'{{"question": "{n}?", "answer": "{5 if n < 3 else n}"}}\n' for n in range(4)))
    fives = f"{{name: dataset, test: {rows}, samples: 1, problems: 4}}"
    config = config_of(model, "verify.verifier=null", f"eval.sets={{fives: {fives}, sums: arithmetic}}")
    assert evaluate_model(config)[""].groups[0][0].problem.source == "arithmetic"
    printed = " ".join(capsys.readouterr().out.split())
    assert "on 4 problems of fives" in printed
    assert "greedy │ 0.750 │" in printed
    assert "avg@1 │ 0.750" in printed
    assert "on 512 problems of sums" in printed
    evaluate_model(config_of(model, "verify.verifier=null", f"eval.sets={{fives: {fives}}}", "eval.problems=0"))
    printed = " ".join(capsys.readouterr().out.split())
    assert "on 4 problems of fives" in printed
    assert printed.count("problems") == 1


# -- runs and checkpoints ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of adapters, after two steps that change what the model writes."""
    tiny = save_tiny(tmp_path_factory.mktemp("base") / "tiny", chat)
    out = tiny.parent / "run"
    grpo.train(
        recipe(
            tiny,
            out,
            **{"model.lora": "{rank: 4, alpha: 16}", "optimizer": "{lr: 0.3, schedule: constant}"},
            engine="transformers",
            **{"verify.verifier": "tests.rlvr.scripts:by_text", "sampling.max_tokens": 6},
            eval="{problems: 3, samples: 2, at_start: false}",
        )
    )
    return out


def completions(folder: Path) -> list[str]:
    return pyarrow.parquet.read_table(folder / "drawn.parquet")["completion"].to_pylist()


def test_a_run_is_evaluated_as_its_model_or_a_checkpoint_of_it_and_the_result_is_kept(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_source(run, [], None, False, None, "rlvr eval x")
    evaluate_source(run, [], 2, False, None, "rlvr eval x --step 2")
    evaluate_source(run / "checkpoints/step-000001", ["eval.problems=4"], None, False, None, "rlvr eval one")
    model, two, one = (run / f"evaluations/eval-000{number}" for number in (1, 2, 3))
    trained = pyarrow.parquet.read_table(run / "evaluations/step-000002-drawn.parquet")["completion"].to_pylist()
    assert completions(model) == completions(two) == trained
    assert len(completions(one)) == 8
    assert completions(one)[:6] != trained
    result = json.loads((one / "result.json").read_text())
    assert (result["command"], result["step"], result["problems"]) == ("rlvr eval one", 1, 4)
    assert result["model"] == str(run / "checkpoints/step-000001")
    assert result["config"]["eval"]["problems"] == 4
    assert set(result["estimates"]["greedy"]) == {"mean", "low", "high"}
    assert result["estimates"].keys() == {"greedy", "avg@2", "pass@2", "maj@2"}
    printed = capsys.readouterr().out
    assert "after step 1 on 4 problems" in " ".join(printed.split())
    assert f"the result is in {one}" in printed
    assert load_config(run).eval.problems == 3


def test_pairs_are_sampled_from_the_model_of_a_run(run: Path, tmp_path: Path) -> None:
    config, saved = state_of(run, [])
    assert saved is not None
    assert config.model.path == str(run / "model")
    assert config.model.lora is None
    config, saved = state_of(run, [], step=1)
    assert (config.model.lora.rank, saved.checkpoint) == (4, run / "checkpoints/step-000001")
    with pytest.raises(ConfigError, match="--step and --best belong to a run folder"):
        state_of(run, ["model.path=elsewhere"], step=1)


def test_a_result_takes_no_ones_place(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ConfigError, match="exists and is not empty; expected a new folder for the result"):
        evaluate_source(run, [], None, False, tmp_path, "rlvr eval")
