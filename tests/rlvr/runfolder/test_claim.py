"""Whose run folder it is."""

import json
from pathlib import Path

import pytest

from rlvr.config import RunConfig
from rlvr.config.file import load_config
from rlvr.errors import ConfigError
from rlvr.runfolder.claim import claim_folder, cold_start_of, differences, model_of


def config_of(out: Path, *overrides: str) -> RunConfig:
    return load_config("configs/quickstart.yaml", [f"out={out}", *overrides])


def start(out: Path) -> None:
    """What a run leaves behind as soon as it has taken its first step."""
    (out / "metrics.jsonl").write_text('{"step": 0}\n')


def test_a_claimed_folder_holds_the_configuration_and_it_loads_as_it_is(tmp_path: Path) -> None:
    config = config_of(tmp_path / "run", "steps=7")
    folder = claim_folder(config)
    assert folder == tmp_path / "run"
    assert load_config(str(folder / "config.yaml"), []) == config


def test_the_same_run_may_claim_its_folder_again(tmp_path: Path) -> None:
    claim_folder(config_of(tmp_path))
    start(tmp_path)
    assert claim_folder(config_of(tmp_path)) == tmp_path


def checkpoint(out: Path, step: int) -> None:
    """A place that counts as a checkpoint where only its step matters."""
    (out / f"checkpoints/step-{step:06d}").mkdir(parents=True)


def test_another_run_is_refused_with_the_keys_in_which_it_differs_and_why(tmp_path: Path) -> None:
    claim_folder(config_of(tmp_path, "seed=1"))
    start(tmp_path)
    kept = (tmp_path / "config.yaml").read_text()
    with pytest.raises(ConfigError) as caught:
        claim_folder(config_of(tmp_path, "seed=2", "group_size=3", "optimizer.lr=0.5"))
    assert str(caught.value) == (
        f"{tmp_path} holds a run with another configuration: "
        "seed (1 there, 2 now): it determines which problems or rows are drawn; "
        "group_size (8 there, 3 now): groups of another size have other advantages. "
        "Choose another folder (out=runs/NAME), or delete that one"
    )
    assert (tmp_path / "config.yaml").read_text() == kept
    assert not (tmp_path / "changes.jsonl").exists()


def test_what_may_change_is_noted_with_its_step_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claim_folder(config_of(tmp_path, "steps=7", "optimizer.lr=0.1"))
    start(tmp_path)
    checkpoint(tmp_path, 5)
    claim_folder(config_of(tmp_path, "steps=9", "optimizer.lr=0.5", "verify.workers=3"))
    checkpoint(tmp_path, 8)
    claim_folder(config_of(tmp_path, "steps=9", "optimizer.lr=0.25", "verify.workers=3"))
    notes = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_text().splitlines()]
    assert notes == [
        {"step": 5, "key": "steps", "before": 7, "now": 9},
        {"step": 5, "key": "optimizer.lr", "before": 0.1, "now": 0.5},
        {"step": 5, "key": "verify.workers", "before": 2, "now": 3},
        {"step": 8, "key": "optimizer.lr", "before": 0.5, "now": 0.25},
    ]
    said = capsys.readouterr().out
    assert "changed after step 5: steps from 7 to 9; optimizer.lr from 0.1 to 0.5; verify.workers from 2 to 3" in said
    assert "optimizer.schedule is cosine: from here on the learning rate is what a run of 9 steps has" in said
    assert load_config(tmp_path / "config.yaml") == config_of(
        tmp_path, "steps=9", "optimizer.lr=0.25", "verify.workers=3"
    )


def test_fewer_steps_than_were_taken_are_refused_and_as_many_end_the_run(tmp_path: Path) -> None:
    claim_folder(config_of(tmp_path, "steps=7"))
    start(tmp_path)
    checkpoint(tmp_path, 4)
    checkpoint(tmp_path, 5)
    with pytest.raises(ConfigError) as caught:
        claim_folder(config_of(tmp_path, "steps=4"))
    assert str(caught.value) == (
        f"steps: got 4, but the run in {tmp_path} has already taken 5; expected 5 (it ends there) or more. "
        f"For an earlier state: rlvr export {tmp_path} OUT --step N, of 4, 5"
    )
    claim_folder(config_of(tmp_path, "steps=5"))


def test_the_runs_of_a_comparison_change_nothing_but_memory_and_speed(tmp_path: Path) -> None:
    claim_folder(config_of(tmp_path, "steps=7"), one_protocol=True)
    start(tmp_path)
    claim_folder(config_of(tmp_path, "steps=7", "engine.cache_tokens=1000", "verify.workers=3"), one_protocol=True)
    for change in ("steps=9", "eval.problems=3", "optimizer.lr=0.5"):
        with pytest.raises(ConfigError, match="keep one protocol from their first step to their last"):
            claim_folder(
                config_of(tmp_path, "steps=7", "engine.cache_tokens=1000", "verify.workers=3", change),
                one_protocol=True,
            )


def test_a_cold_start_may_change_like_a_run_until_it_is_finished(tmp_path: Path) -> None:
    claim_folder(config_of(tmp_path))
    cold_start_of(tmp_path).mkdir()
    start(cold_start_of(tmp_path))
    with pytest.raises(ConfigError, match=r"cold_start.rows_per_step \(32 there, 3 now\): RL began with its result"):
        claim_folder(config_of(tmp_path, "cold_start.rows_per_step=3"))
    claim_folder(config_of(tmp_path, "cold_start.steps=9"))
    model_of(cold_start_of(tmp_path)).mkdir()
    with pytest.raises(ConfigError, match=r"steps \(9 there, 10 now\): the cold start is finished, and RL began with"):
        claim_folder(config_of(tmp_path, "cold_start.steps=10"))
    claim_folder(config_of(tmp_path, "cold_start.steps=9", "cold_start.optimizer.microbatch_tokens=10"))


def test_a_folder_that_was_moved_is_the_same_run(tmp_path: Path) -> None:
    claim_folder(config_of(tmp_path / "a"))
    start(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    claim_folder(config_of(tmp_path / "b"))
    assert not (tmp_path / "b/changes.jsonl").exists()
    assert load_config(tmp_path / "b/config.yaml").out == str(tmp_path / "b")


def test_how_often_it_is_kept_may_change_when_a_run_goes_on(tmp_path: Path) -> None:
    claim_folder(config_of(tmp_path, "checkpoint.every=5"))
    start(tmp_path)
    claim_folder(config_of(tmp_path, "checkpoint.every=3"))
    assert load_config(str(tmp_path / "config.yaml"), []).checkpoint.every == 3


def test_a_start_that_failed_before_its_first_step_claims_nothing(tmp_path: Path) -> None:
    claim_folder(config_of(tmp_path, "steps=7"))
    claim_folder(config_of(tmp_path, "steps=9"))
    assert load_config(str(tmp_path / "config.yaml"), []).steps == 9


def test_a_cold_start_that_has_begun_claims_the_folder_of_its_run(tmp_path: Path) -> None:
    claim_folder(config_of(tmp_path, "steps=7"))
    cold_start_of(tmp_path).mkdir()
    start(cold_start_of(tmp_path))
    with pytest.raises(ConfigError, match=r"seed \(0 there, 9 now\)"):
        claim_folder(config_of(tmp_path, "seed=9"))


def test_a_configuration_of_other_keys_is_compared_as_it_stands(tmp_path: Path) -> None:
    folder = claim_folder(config_of(tmp_path))
    start(tmp_path)
    path = folder / "config.yaml"
    path.write_text(path.read_text() + "speed_of_light: 3\n")
    with pytest.raises(ConfigError, match=r"speed_of_light \(3 there, None now\): this version does not know it"):
        claim_folder(config_of(tmp_path))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"out: cannot make the run folder .* choose another, out=runs/NAME"):
        claim_folder(config_of(tmp_path / "file" / "run"))


def test_differences_are_leaves_by_their_dotted_keys() -> None:
    before = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "e": None}
    now = {"a": 1, "b": {"c": [1, 3], "d": "x", "f": 0}, "e": {"g": 2}}
    assert differences(before, now) == [("b.c", [1, 2], [1, 3]), ("b.f", None, 0), ("e", None, {"g": 2})]


def test_a_run_has_its_result_and_its_cold_start_inside_of_its_folder() -> None:
    assert model_of("runs/x") == Path("runs/x/model")
    assert cold_start_of(Path("runs/x")) == Path("runs/x/cold_start")
