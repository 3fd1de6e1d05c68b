"""The configuration: one class per section, one line under each option.

A recipe in `configs/` holds only what differs from these defaults. OmegaConf reads the YAML and merges it with dotted
overrides; pydantic checks the result: unknown keys are refused, and nothing is corrected silently. Importing this
package imports neither torch nor transformers.
"""

from typing import Annotated

from pydantic import Field

from rlvr.config.rl import GRPOConfig, PPOConfig, RLConfig
from rlvr.config.runs import DPOConfig, PolicyRunConfig, RewardModelConfig, RunConfig, SFTConfig
from rlvr.config.sections import (
    LEARNED,
    DataConfig,
    EngineConfig,
    EvalConfig,
    EvalSetConfig,
    LearnedRewardConfig,
    LoraConfig,
    MeasureConfig,
    ModelConfig,
    OptimizerConfig,
    SamplingConfig,
    ScratchConfig,
    Section,
    SelectionConfig,
    TaskConfig,
    TrustRegionConfig,
    VerifyConfig,
)

AnyConfig = SFTConfig | GRPOConfig | PPOConfig | DPOConfig | RewardModelConfig


Config = Annotated[AnyConfig, Field(discriminator="trainer")]

__all__ = [
    "LEARNED",
    "AnyConfig",
    "Config",
    "DPOConfig",
    "DataConfig",
    "EngineConfig",
    "EvalConfig",
    "EvalSetConfig",
    "GRPOConfig",
    "LearnedRewardConfig",
    "LoraConfig",
    "MeasureConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PPOConfig",
    "PolicyRunConfig",
    "RLConfig",
    "RewardModelConfig",
    "RunConfig",
    "SFTConfig",
    "SamplingConfig",
    "ScratchConfig",
    "Section",
    "SelectionConfig",
    "TaskConfig",
    "TrustRegionConfig",
    "VerifyConfig",
]
