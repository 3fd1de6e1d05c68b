"""The trainers: one readable file each. `train(config)` runs one from its start or last checkpoint to its end."""

from rlvr.config import GRPOConfig, SFTConfig


def run_trainer(config: GRPOConfig | SFTConfig) -> None:
    """Run the trainer that the configuration names."""
    from rlvr.trainers import grpo, sft

    if isinstance(config, GRPOConfig):
        grpo.train(config)
    else:
        sft.train(config)
