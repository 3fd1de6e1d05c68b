"""The trainers: one readable file each. `train(config)` runs one from its start or last checkpoint to its end."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.config import AnyConfig
from rlvr.runfolder.lock import hold_folder

if TYPE_CHECKING:
    from rlvr.run import Run


def run_trainer(config: AnyConfig) -> "Run":
    """Run the trainer that the configuration names, with a lock on its folder."""
    with hold_folder(Path(config.out)):
        run: Run = import_module(f"rlvr.trainers.{config.trainer}").train(config)
        return run
