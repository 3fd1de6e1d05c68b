"""The trainers: one readable file each. `train(config)` runs one from its start or last checkpoint to its end."""

from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.config import AnyConfig, DPOConfig, GRPOConfig, PPOConfig, RewardModelConfig
from rlvr.runfolder.lock import locked

if TYPE_CHECKING:
    from rlvr.run import Run


def run_trainer(config: AnyConfig) -> "Run":
    """Run the trainer that the configuration names, alone in its folder."""
    from rlvr.trainers import dpo, grpo, ppo, reward_model, sft

    with locked(Path(config.out)):
        if isinstance(config, PPOConfig):
            return ppo.train(config)
        if isinstance(config, GRPOConfig):
            return grpo.train(config)
        if isinstance(config, DPOConfig):
            return dpo.train(config)
        return reward_model.train(config) if isinstance(config, RewardModelConfig) else sft.train(config)
