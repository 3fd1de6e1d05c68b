"""Which state of a run a folder and a step mean."""

import json
from pathlib import Path

import pytest

from rlvr.errors import CheckpointError, ConfigError
from rlvr.runfolder.checkpoint import write_checkpoint
from rlvr.runfolder.saved import Saved, find_saved


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with checkpoints of steps 4 and 6, the best at step 2, and no finished model."""
    run = tmp_path / "run"
    notes = {"metric": "a", "mode": "max", "measured": {}, "value": 1.0}
    write_checkpoint(run / "best", 2, lambda to: None, {}, notes)
    for step in (4, 6):
        write_checkpoint(run / "checkpoints", step, lambda to: (to / "w").write_text("abc"), {})
    (run / "config.yaml").write_text("")
    return run


def test_without_a_step_it_is_the_finished_model_or_the_newest_checkpoint(run: Path) -> None:
    assert find_saved(run) == Saved(run, 6, run / "checkpoints/step-000006")
    (run / "model").mkdir()
    assert find_saved(run) == find_saved(run, 6) == Saved(run, 6)
    assert str(find_saved(run)) == f"{run} after step 6"


def test_a_step_and_the_best_name_checkpoints(run: Path) -> None:
    (run / "model").mkdir()
    assert (
        find_saved(run, 4)
        == find_saved(run / "checkpoints/step-000004")
        == Saved(run, 4, run / "checkpoints/step-000004")
    )
    assert find_saved(run, 2) == find_saved(run, best=True) == Saved(run, 2, run / "best/step-000002")


def test_what_is_not_there_is_refused_with_what_is(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"keeps no checkpoint of step 5; it keeps those of 2, 4, 6"):
        find_saved(run, 5)
    with pytest.raises(ConfigError, match="--step and --best name two states"):
        find_saved(run, 4, best=True)
    with pytest.raises(ConfigError, match="is one checkpoint; leave --step and --best out"):
        find_saved(run / "checkpoints/step-000004", 4)
    with pytest.raises(ConfigError, match="is neither the folder of a run nor one of its checkpoints"):
        find_saved(tmp_path / "nowhere")
    (tmp_path / "new").mkdir()
    (tmp_path / "new/config.yaml").write_text("")
    with pytest.raises(ConfigError, match="holds no checkpoint yet"):
        find_saved(tmp_path / "new")
    with pytest.raises(ConfigError, match=r"keeps no best checkpoint; train with checkpoint\.best=eval/greedy"):
        find_saved(tmp_path / "new", best=True)


def test_a_damaged_or_an_older_checkpoint_is_named(run: Path) -> None:
    (run / "checkpoints/step-000006/w").write_text("abx")
    with pytest.raises(CheckpointError, match=r"step-000006/w is damaged"):
        find_saved(run)
    state = run / "checkpoints/step-000004/state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"format": 1}))
    with pytest.raises(CheckpointError, match="was written by an older version"):
        find_saved(run, 4)
