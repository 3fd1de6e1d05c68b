"""The cold start: supervised fine-tuning on worked solutions, as a run of its own inside of an RL run's folder."""

from rlvr.config import ModelConfig, RLConfig, SFTConfig
from rlvr.runfolder.claim import cold_start_of, model_of
from rlvr.trainers import sft


def cold_started(config: RLConfig) -> ModelConfig:
    """The model that RL starts from: `config.model` itself, or what the cold start made of it.

    Runs the cold start, or goes on with it, where it is not finished. Raises `KeyboardInterrupt` where Ctrl-C ended it.
    """
    first = config.cold_start_config(str(cold_start_of(config.out)))
    if first is None:
        return config.model
    if not model_of(first.out).exists() and sft.train(first).interrupted:
        raise KeyboardInterrupt
    return cold_model(config, first)


def cold_model(config: RLConfig, first: SFTConfig) -> ModelConfig:
    """`config.model` with the weights that the cold start `first` ended with."""
    return config.model.model_copy(update={"path": str(model_of(first.out)), "scratch": None})
