"""The cold start: supervised fine-tuning on worked solutions, as a separate run inside the folder of an RL run."""

from rlvr.config import ModelConfig, RLConfig, SFTConfig
from rlvr.runfolder.claim import cold_start_of, model_of
from rlvr.trainers import sft


def cold_started(config: RLConfig) -> ModelConfig:
    """The model that RL starts from: `config.model`, or the result of its cold start.

    Runs or resumes the cold start if it is not finished. Raises `KeyboardInterrupt` if Ctrl-C ended it.
    """
    first = config.cold_start_config(str(cold_start_of(config.out)))
    if first is None:
        return config.model
    if not model_of(first.out).exists() and sft.train(first).interrupted:
        raise KeyboardInterrupt
    return cold_model(config, first)


def cold_model(config: RLConfig, first: SFTConfig) -> ModelConfig:
    """`config.model` with the final weights of the cold start `first`, and the chat template that was saved there."""
    return config.model.model_copy(update={"path": str(model_of(first.out)), "scratch": None, "chat_template": None})
