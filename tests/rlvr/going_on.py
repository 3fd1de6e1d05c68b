"""A tiny model on disk, and recipes of a few cheap steps from it, for tests of what a run leaves and goes on from."""

from pathlib import Path
from typing import Any

import torch

from rlvr.config import AnyConfig, ModelConfig
from rlvr.config.file import load_config
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from tests.conftest import TINY


def save_tiny(folder: Path, chat: Chat) -> Path:
    """A random model of 30k parameters in `folder`."""
    folder.mkdir(parents=True)
    load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), 1.0, 0).save(folder, chat.tokenizer)
    return folder


def recipe(model: Path, out: Path, **overrides: Any) -> AnyConfig:
    """GRPO on answers of a script: every step learns something and takes a fraction of a second."""
    values = {
        "out": out,
        "model": f"{{path: {model}}}",
        "cold_start": "null",
        "task": "{name: arithmetic, min_steps: 1, max_steps: 1, max_number: 9, max_value: 20}",
        "steps": 2,
        "prompts_per_step": 2,
        "group_size": 4,
        "eval.problems": 0,
        "engine": "{name: scripted, script: 'tests.rlvr.scripts:half_right'}",
        "verify.verifier": "tests.rlvr.scripts:coin_at_once",
        "optimizer": "{lr: 1e-2, schedule: constant}",
        "checkpoint": "{every: 1, keep_last: 9}",
        **overrides,
    }
    return load_config("configs/quickstart.yaml", [f"{key}={value}" for key, value in values.items()])
