"""AdamW as the configuration names it, its learning rate, and the scale of losses in float16."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from rlvr.config import ModelConfig, OptimizerConfig

FIRST_LOSS_SCALE, LARGEST_LOSS_SCALE = 2.0**16, 2.0**24
GROWTH_STEPS = 2000


def make_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW; `adamw_8bit` and `paged_adamw_8bit` are those of bitsandbytes (Dettmers et al., 2021).

    Tensors of fewer than 4,096 numbers have moments in 32 bits there.
    """
    if config.name == "adamw":
        return torch.optim.AdamW(
            parameters, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )
    import bitsandbytes

    kinds = {"adamw_8bit": bitsandbytes.optim.AdamW8bit, "paged_adamw_8bit": bitsandbytes.optim.PagedAdamW8bit}
    optimizer: torch.optim.Optimizer = kinds[config.name](
        parameters, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
    )
    return optimizer


def lr_at(config: OptimizerConfig, optimizer_step: int, optimizer_steps: int) -> float:
    """The learning rate of an optimizer step (counted from 0): a function, so there is no state to save."""
    if optimizer_step < config.warmup_steps:
        return config.lr * (optimizer_step + 1) / config.warmup_steps
    progress = min(1.0, (optimizer_step - config.warmup_steps) / max(1, optimizer_steps - config.warmup_steps))
    share = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}
    return config.lr * (config.final_lr_share + (1 - config.final_lr_share) * share[config.schedule])


@dataclass(frozen=True)
class LossScale:
    """A factor for the loss, so that small gradients do not vanish in float16 (Micikevicius et al., 2018).

    Gradients are divided by it before they are used. It is halved when they overflow, and doubled after `GROWTH_STEPS`
    optimizer steps without an overflow. A factor of 1 stays as it is: no float16 is in use.
    """

    factor: float = 1.0
    steady_steps: int = 0

    @property
    def can_be_less(self) -> bool:
        return self.factor > 1

    def halved(self) -> "LossScale":
        return LossScale(self.factor / 2)

    def after_step(self) -> "LossScale":
        if self.factor == 1:
            return self
        if self.steady_steps + 1 < GROWTH_STEPS:
            return LossScale(self.factor, self.steady_steps + 1)
        return LossScale(min(2 * self.factor, LARGEST_LOSS_SCALE))


def loss_scale_of(model: ModelConfig) -> LossScale:
    """The first scale for a model's precision."""
    return LossScale(FIRST_LOSS_SCALE if "float16" in (model.dtype, model.autocast) else 1.0)
