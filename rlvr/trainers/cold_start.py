"""The cold start: supervised fine-tuning on worked solutions, as a run of its own inside of an RL run's folder."""

from pathlib import Path

from rlvr.config import GRPOConfig, ModelConfig, SFTConfig
from rlvr.trainers import sft

# What the two runs have in common.
SHARED = ("seed", "device", "threads", "sampling", "verify", "checkpoint")


def cold_started(config: GRPOConfig) -> ModelConfig:
    """The model that RL starts from: `config.model` itself, or what the cold start made of it.

    Runs the cold start, or goes on with it, where it is not finished. A model from nothing learns with all its weights
    here; its adapters, if any, come with RL. Raises `KeyboardInterrupt` where Ctrl-C ended it.
    """
    first = cold_start_config(config, str(Path(config.out) / "cold_start"))
    if first is None:
        return config.model
    if not (Path(first.out) / "model").exists() and sft.train(first).interrupted:
        raise KeyboardInterrupt
    return cold_model(config, first)


def cold_start_config(config: GRPOConfig, out: str) -> SFTConfig | None:
    """The cold start of an RL run as a configuration of its own, in the folder `out`; `None` where it has none."""
    if config.cold_start is None:
        return None
    return SFTConfig(
        trainer="sft",
        out=out,
        steps=config.cold_start.steps,
        rows_per_step=config.cold_start.rows_per_step,
        optimizer=config.cold_start.optimizer,
        task=config.task.model_copy(update=config.cold_start.task),
        model=config.model if config.model.scratch is None else config.model.model_copy(update={"lora": None}),
        eval=config.eval.model_copy(update={"every": 0, "at_end": False}),
        **{name: getattr(config, name) for name in SHARED},
    )


def cold_model(config: GRPOConfig, first: SFTConfig) -> ModelConfig:
    """`config.model` with the weights that the cold start `first` ended with."""
    return config.model.model_copy(update={"path": str(Path(first.out) / "model"), "scratch": None})
