"""A run that goes on with other settings, and the best and the last of its states."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlvr.commands.export import export
from rlvr.errors import CheckpointError, ConfigError
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy
from rlvr.runfolder.best import record_of, records
from rlvr.runfolder.checkpoint import checkpoints
from rlvr.runfolder.metrics import MACHINE_DEPENDENT
from rlvr.trainers import grpo, run_trainer
from tests.rlvr.going_on import recipe, save_tiny


@pytest.fixture(scope="module")
def tiny(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("base") / "tiny", chat)


def metrics_of(out: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith(MACHINE_DEPENDENT)} for row in rows]


def assert_same_model(folder: Path, other: Path) -> None:
    weights, others = (load_file(path / "model.safetensors") for path in (folder, other))
    assert weights.keys() == others.keys()
    for name, weight in weights.items():
        assert torch.equal(weight, others[name]), name


def test_more_steps_after_the_end_are_the_steps_of_a_longer_run(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grpo.train(recipe(tiny, tmp_path / "whole", steps=4))
    out = tmp_path / "run"
    grpo.train(recipe(tiny, out, steps=2))
    shutil.copytree(out / "model", tmp_path / "shorter")
    capsys.readouterr()
    assert grpo.train(recipe(tiny, out, steps=2)).done == 2
    assert "this run is finished" in (said := capsys.readouterr().out)
    assert "add steps to go on, steps=4" in said
    grpo.train(recipe(tiny, out, steps=4))
    said = capsys.readouterr().out
    assert "changed after step 2: steps from 2 to 4" in said
    assert f"{out / 'model'} is of step 2: it is now {out / 'model-step-000002'}" in said
    assert metrics_of(out) == metrics_of(tmp_path / "whole")
    assert_same_model(out / "model", tmp_path / "whole/model")
    assert_same_model(out / "model-step-000002", tmp_path / "shorter")


def test_a_new_learning_rate_and_new_betas_hold_from_the_next_step_on(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    grpo.train(recipe(tiny, out, steps=2))
    run = grpo.train(
        recipe(tiny, out, steps=4, optimizer="{lr: 1e-3, schedule: constant, betas: [0.5, 0.6], weight_decay: 0.1}")
    )
    assert [row["lr"] for row in metrics_of(out)[1:]] == [1e-2, 1e-2, 1e-3, 1e-3]
    (group,) = run.learner.optimizer.param_groups
    assert (group["betas"], group["weight_decay"]) == ((0.5, 0.6), 0.1)
    noted = [json.loads(line)["key"] for line in (out / "changes.jsonl").read_text().splitlines()]
    assert noted == ["steps", "optimizer.lr", "optimizer.betas", "optimizer.weight_decay"]


def test_a_run_may_end_at_the_step_it_has_reached(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    grpo.train(recipe(tiny, tmp_path / "whole", steps=2))
    with pytest.raises(ZeroDivisionError):
        interrupted_after(2, recipe(tiny, out, steps=5))
    run = grpo.train(recipe(tiny, out, steps=2))
    assert run.done == 2
    assert_same_model(out / "model", tmp_path / "whole/model")


def interrupted_after(step: int, config) -> None:
    """Train until a step is saved, then fail."""
    from rlvr.run import Run

    finish = Run.finish_step

    def fail(self, done, *arguments, **named):
        finish(self, done, *arguments, **named)
        if done == step:
            raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "finish_step", fail)
        grpo.train(config)


def test_a_run_folder_is_a_recipe_that_resumes_it(tiny: Path, tmp_path: Path) -> None:
    from rlvr.config.file import load_config

    with pytest.raises(ZeroDivisionError):
        interrupted_after(1, recipe(tiny, tmp_path / "run", steps=3))
    (tmp_path / "run").rename(tmp_path / "moved")
    config = load_config(tmp_path / "moved", ["steps=4"])
    assert config.out == str(tmp_path / "moved")
    assert run_trainer(config).done == 4
    assert [row["step"] for row in metrics_of(tmp_path / "moved")] == [0, 1, 2, 3, 4]


def test_a_model_that_cannot_be_written_loses_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    whole = Policy.save

    def refuse(self: Policy, folder: Path, tokenizer: object) -> None:
        (folder / "config.json").write_text("{}")
        raise ValueError("GenerationConfig is invalid")

    monkeypatch.setattr(Policy, "save", refuse)
    with pytest.raises(CheckpointError) as caught:
        grpo.train(recipe(tiny, out))
    assert str(caught.value) == (
        f"training is finished, but its model cannot be written to {out / 'model'}: GenerationConfig is invalid. The "
        f"weights are safe in {out / 'checkpoints/step-000002'}: start the same command again to write the model, or "
        f"rlvr export {out} OUT to write it elsewhere"
    )
    assert not list(out.glob("model*"))
    monkeypatch.setattr(Policy, "save", whole)
    export(out, tmp_path / "exported")
    assert grpo.train(recipe(tiny, out)).done == 2
    assert_same_model(out / "model", tmp_path / "exported")


# -- the best step -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "choose"), [("max", max), ("min", min)])
def test_the_best_step_by_a_metric_is_kept_whatever_is_removed(tiny: Path, tmp_path: Path, mode: str, choose) -> None:
    out = tmp_path / "run"
    keep = f"{{every: 1, keep_last: 1, best: grad_norm, best_mode: {mode}}}"
    grpo.train(recipe(tiny, out, steps=4, checkpoint=keep))
    values = {int(row["step"]): row["grad_norm"] for row in metrics_of(out)[1:]}
    step = choose(values, key=values.__getitem__)
    (record,) = records(out / "best")
    assert (record.step, record.metric, record.mode, record.value) == (step, "grad_norm", mode, values[step])
    assert [path.name for path in checkpoints(out / "checkpoints")] == ["step-000004"]
    whole = grpo.train(recipe(tiny, tmp_path / "other", steps=step))
    export(out, tmp_path / "exported", best=True)
    assert_same_model(tmp_path / "exported", whole.model_folder)


def test_a_record_of_steps_that_are_taken_again_is_forgotten(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    keep = "{every: 2, keep_last: 1, best: grad_norm}"
    grpo.train(recipe(tiny, tmp_path / "whole", steps=4, checkpoint=keep))
    with pytest.raises(ZeroDivisionError):
        interrupted_after(2, recipe(tiny, out, steps=4, checkpoint=keep))
    (earlier,) = records(out / "best")
    later = out / "best/step-000003"
    shutil.copytree(earlier.path, later)
    state = json.loads((later / "state.json").read_text())
    (later / "state.json").write_text(json.dumps(state | {"step": 3, "value": 1e9}))
    assert record_of(out / "best", "grad_norm", "max", {}).value == 1e9
    grpo.train(recipe(tiny, out, steps=4, checkpoint=keep))
    assert [(r.step, r.value) for r in records(out / "best")] == [
        (r.step, r.value) for r in records(tmp_path / "whole/best")
    ]


def test_a_metric_that_evaluations_do_not_have_is_refused_before_training(tiny: Path, tmp_path: Path) -> None:
    evaluated = {"eval": "{problems: 2, samples: 0, at_start: true}"}
    with pytest.raises(ConfigError, match=r"checkpoint.best: no evaluation has a metric 'eval/gredy'; did you mean"):
        grpo.train(recipe(tiny, tmp_path / "run", **evaluated, checkpoint="{best: eval/gredy}"))
    with pytest.raises(ConfigError, match=r"checkpoint.best is 'eval/greedy', but this run evaluates no problems"):
        grpo.train(recipe(tiny, tmp_path / "other", checkpoint="{best: eval/greedy}"))


def test_a_metric_that_steps_do_not_have_is_warned_of_once(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grpo.train(recipe(tiny, tmp_path / "run", checkpoint="{best: reward/meen}"))
    said = capsys.readouterr().out
    assert said.count("warning: checkpoint.best: step 1 has no metric 'reward/meen'; did you mean 'reward/mean'?") == 1
    assert said.count("checkpoint.best") == 1


def test_the_start_may_be_the_best(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    evaluated = {"eval": "{problems: 4, samples: 0, every: 1}", "checkpoint": "{best: eval/greedy}"}
    grpo.train(recipe(tiny, out, **evaluated))  # a script answers, so that every evaluation is the same
    (record,) = records(out / "best")
    assert record.step == 0
    export(out, tmp_path / "exported", best=True)
    assert_same_model(tmp_path / "exported", tiny)
    # Values on other problems are not compared with it.
    grpo.train(recipe(tiny, out, **evaluated | {"eval": "{problems: 3, samples: 0, every: 1}"}, steps=3))
    (record,) = records(out / "best")
    assert (record.step, record.measured["problems"]) == (3, 3)
