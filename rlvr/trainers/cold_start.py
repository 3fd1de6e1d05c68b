"""The cold start: supervised fine-tuning on worked solutions, as a separate run inside the folder of an RL run."""

from rlvr.config import ModelConfig, RLConfig, RunConfig, SFTConfig
from rlvr.errors import ConfigError
from rlvr.runfolder.claim import adapter_of, cold_start_of, model_of
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
    """`config.model` with the final weights of the cold start `first`, and the chat template that was saved there.

    Adapters that began with those of a file go on as they are, on the same base; others are new ones on a merged model.
    """
    lora = config.model.lora
    if lora is not None and lora.path is not None:
        going_on = lora.model_copy(update={"path": str(adapter_of(first.out))})
        return config.model.model_copy(update={"lora": going_on})
    return config.model.model_copy(update={"path": str(model_of(first.out)), "scratch": None, "chat_template": None})


def started_from(config: RunConfig) -> ModelConfig:
    """The model that the steps of a run started from. Raises `ConfigError` if its cold start is not finished."""
    first = config.cold_start_config(str(cold_start_of(config.out))) if isinstance(config, RLConfig) else None
    if first is None or not isinstance(config, RLConfig):
        return config.model
    if not model_of(first.out).exists():
        raise ConfigError(f"the cold start of this run is not finished: there is no {model_of(first.out)}")
    return cold_model(config, first)
