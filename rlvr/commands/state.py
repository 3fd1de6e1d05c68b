"""What `rlvr eval` and `rlvr pairs` sample from: a recipe's model, or a state of a run."""

import json
from collections.abc import Sequence
from pathlib import Path

from rlvr.config import RunConfig
from rlvr.config.file import load_config, load_trained
from rlvr.errors import ConfigError
from rlvr.runfolder.claim import model_of
from rlvr.runfolder.saved import Saved, find_saved, is_checkpoint, is_run
from rlvr.trainers.cold_start import started_from


def state_of(
    source: Path, overrides: Sequence[str], step: int | None = None, best: bool = False
) -> tuple[RunConfig, Saved | None]:
    """The configuration to sample with, and the state of a run, if `source` is a run or one of its checkpoints.

    `model.path=...` among the overrides takes another model with the run's configuration.
    """
    folder = source.parent.parent if is_checkpoint(source) else source
    other_model = any(override.startswith("model.path=") for override in overrides)
    if not is_run(folder) or other_model:
        if step is not None or best:
            raise ConfigError("--step and --best belong to a run folder, and without model.path=...")
        return load_trained(folder, overrides), None
    saved = find_saved(source, step, best)
    if saved.checkpoint is not None:
        config: RunConfig = load_config(folder, overrides)
        return config.model_copy(update={"model": started_from(config)}), saved
    finished = ["model.path=" + json.dumps(str(model_of(folder))), "model.lora=null"]
    return load_trained(folder, [*finished, *overrides]), saved
