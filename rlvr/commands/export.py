"""`rlvr export`: a Hugging Face folder of any state of a run, or of adapters merged into their base."""

import shutil
from pathlib import Path

import torch

from rlvr.build import restored
from rlvr.config import ModelConfig
from rlvr.config.file import load_config
from rlvr.errors import ConfigError
from rlvr.models.adapters import adapter_config_at, save_adapters, stands_alone
from rlvr.models.load import load_chat, load_policy
from rlvr.models.policy import Policy
from rlvr.runfolder.claim import CHECKPOINTS, adapter_of, model_of
from rlvr.runfolder.files import whole_folder
from rlvr.runfolder.saved import Saved, find_saved
from rlvr.trainers.cold_start import started_from


def export(source: Path, out: Path, step: int | None = None, best: bool = False, adapter: bool = False) -> str:
    """Write a state of the run `source` (or of one of its checkpoints) to the new folder `out`.

    The model in Hugging Face format, with adapters merged in; with `adapter` only the adapters, in peft's format. A
    `source` that is itself an adapter folder is merged into its base. Returns what was written, in words. Raises
    `ConfigError` if `out` is in use or there is no such state.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{str(out)!r} exists and is not empty; expected a new folder")
    if source.is_dir() and adapter_config_at(str(source)) is not None:
        if adapter or step is not None or best:
            raise ConfigError(f"{source} holds adapters, which are merged into their base; leave the options out")
        return _export_merged(str(source), out)
    saved = find_saved(source, step, best)
    if adapter and saved.checkpoint is None and not adapter_of(saved.run).exists():  # a run of an older version
        saved = find_saved(saved.run / CHECKPOINTS / f"step-{saved.step:06d}")
    with whole_folder(out) as partial:
        if saved.checkpoint is None:
            finished = adapter_of(saved.run) if adapter else model_of(saved.run)
            shutil.copytree(finished, partial, dirs_exist_ok=True)
        else:
            _export_checkpoint(saved, saved.checkpoint, partial, adapter)
    return f"{'the adapters' if adapter else 'the model'} of {saved}"


def _export_merged(source: str, out: Path) -> str:
    chat = load_chat(source, needs_template=False)
    policy = load_policy(ModelConfig(path=source), chat, torch.device("cpu"), temperature=1.0, seed=0)
    with whole_folder(out) as partial:
        policy.save(partial, chat.tokenizer)
    return f"{source}, merged into its base"


def _export_checkpoint(saved: Saved, checkpoint: Path, folder: Path, adapter: bool) -> None:
    config = load_config(saved.run)
    model, chat = restored(config, started_from(config), checkpoint, torch.device("cpu"))
    if not adapter:
        model.save(folder, chat.tokenizer)
    elif isinstance(model, Policy) and model.adapters is not None and stands_alone(model.model):
        save_adapters(model.adapters, folder, chat.tokenizer)
    else:
        raise ConfigError(
            f"{saved.run} has no adapters that stand alone: it trains all weights, or a head, or its base is merged "
            "from other adapters; leave --adapter out for the whole model"
        )
