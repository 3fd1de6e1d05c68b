"""Whose run folder it is."""

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


def test_another_run_is_refused_with_the_keys_in_which_it_differs(tmp_path: Path) -> None:
    claim_folder(config_of(tmp_path, "steps=7"))
    start(tmp_path)
    with pytest.raises(ConfigError) as caught:
        claim_folder(config_of(tmp_path, "steps=9", "optimizer.lr=0.5"))
    said = str(caught.value)
    assert said.startswith(f"{tmp_path} holds a run with another configuration: ")
    assert "steps (7 there, 9 now)" in said
    assert "optimizer.lr (0.00015 there, 0.5 now)" in said
    assert said.endswith("Choose another folder (out=runs/NAME), or delete that one")


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
    with pytest.raises(ConfigError, match=r"steps \(7 there, 9 now\)"):
        claim_folder(config_of(tmp_path, "steps=9"))


def test_a_configuration_of_other_keys_is_compared_as_it_stands(tmp_path: Path) -> None:
    folder = claim_folder(config_of(tmp_path))
    start(tmp_path)
    path = folder / "config.yaml"
    path.write_text(path.read_text() + "speed_of_light: 3\n")
    with pytest.raises(ConfigError, match=r"speed_of_light \(3 there, None now\)"):
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
