"""The trainers: one readable file each. `train(config)` runs one from its start or last checkpoint to its end."""

from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.config import GRPOConfig, SFTConfig
from rlvr.lock import locked

if TYPE_CHECKING:
    from rlvr.run import Run


def run_trainer(config: GRPOConfig | SFTConfig) -> "Run":
    """Run the trainer that the configuration names, alone in its folder."""
    from rlvr.trainers import grpo, sft

    with locked(Path(config.out)):
        return grpo.train(config) if isinstance(config, GRPOConfig) else sft.train(config)
