"""Whole runs of the trainers that learn from data, and what all runs have: one class per trainer, with the checks that
need more than one section. `rl` holds the runs that sample."""

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from rlvr.config.sections import (
    CheckpointConfig,
    DataConfig,
    EngineConfig,
    EvalConfig,
    MeasureConfig,
    ModelConfig,
    OptimizerConfig,
    SamplingConfig,
    Section,
    TaskConfig,
    VerifyConfig,
    named,
)


class RunConfig(Section):
    """The keys of every trainer."""

    trainer: str
    """grpo, sft, reward_model, dpo or ppo."""

    out: str = "runs/run"
    """The run folder."""
    seed: int = Field(0, ge=0)
    device: str = "auto"
    """auto: CUDA if there is a GPU, else the CPU."""
    threads: int | None = Field(None, ge=1)
    """CPU threads; empty: torch's default. The same number of threads gives the same bits."""
    model: ModelConfig
    steps: int = Field(ge=1)
    optimizer: OptimizerConfig = OptimizerConfig()
    eval: MeasureConfig = MeasureConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    accept_changed_data: bool = False
    """Go on once though a file of the data has changed since the run began; else that is refused. It is not kept."""

    @property
    def problems(self) -> TaskConfig | None:
        """The task to sample from or to evaluate on; `None` if the run only learns from rows of data."""
        return None

    @property
    def rows(self) -> DataConfig | None:
        """The rows of data that the run learns from; `None` if it learns from problems."""
        return None

    @property
    def optimizer_steps(self) -> int:
        """The length of the learning-rate schedule."""
        return self.steps

    @property
    def scoring_temperature(self) -> float:
        """The divisor of the logits: RL scores samples at the sampling temperature, data is learned at 1."""
        return 1.0

    @property
    def needs_reference(self) -> bool:
        """Whether each step needs log-probabilities of a frozen copy of the initial policy."""
        return False

    @property
    def keeps_ledger(self) -> bool:
        return False

    @property
    def is_bound_to_its_data(self) -> bool:
        """Whether something was made of the data when the run began that other data do not fit: a tokenizer."""
        return self.model.scratch is not None


class PolicyRunConfig(RunConfig):
    """The keys of every trainer of a policy, which samples to train or to evaluate."""

    engine: Annotated[EngineConfig, BeforeValidator(named)] = EngineConfig()
    sampling: SamplingConfig = SamplingConfig()
    verify: VerifyConfig = VerifyConfig()
    eval: EvalConfig = EvalConfig()

    @property
    def eval_sampling(self) -> SamplingConfig:
        """How completions are sampled in evaluations."""
        return self.eval.sampling.over(self.sampling)

    @model_validator(mode="after")
    def _check_sampling(self) -> "PolicyRunConfig":
        try:
            _ = self.eval_sampling
        except ValidationError as error:
            raise ValueError(f"eval.sampling: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
        return self

    @property
    def logprob_tolerance(self) -> float:
        """Largest mean |log-prob difference| between engine and learner that rounding can explain (1e-6 in float32).

        A scripted engine has no probabilities to compare with.
        """
        if self.engine.name == "scripted":
            return math.inf
        if self.engine.logprob_tolerance is not None:
            return self.engine.logprob_tolerance
        precisions = (self.model.autocast, self.model.dtype)
        if "bfloat16" in precisions or self.model.quantize != "none":
            return 0.1
        return 0.02 if "float16" in precisions else 1e-3


def check_adapters(model: ModelConfig, key: str = "model") -> None:
    if model.scratch is not None and model.lora is not None:
        raise ValueError(
            f"{key}.lora would put adapters on the random weights of {key}.scratch and train only those; leave "
            f"{key}.lora out, or name a trained model in {key}.path"
        )


class SFTConfig(PolicyRunConfig):
    """Supervised fine-tuning on conversations (`data`) or on a task's worked solutions (`task`)."""

    trainer: Literal["sft"]
    task: Annotated[TaskConfig | None, BeforeValidator(named)] = None
    data: DataConfig | None = None
    rows_per_step: int = Field(64, ge=1)

    @property
    def problems(self) -> TaskConfig | None:
        return self.task

    @property
    def rows(self) -> DataConfig | None:
        return self.data

    @model_validator(mode="after")
    def _check(self) -> "SFTConfig":
        if self.task is None and self.data is None:
            raise ValueError("expected data (conversations to learn from), or task (its worked solutions)")
        check_adapters(self.model)
        return self


class DPOConfig(PolicyRunConfig):
    """Direct preference optimization: a policy learns from comparisons, without a reward model or sampling."""

    trainer: Literal["dpo"]
    data: DataConfig
    task: Annotated[TaskConfig | None, BeforeValidator(named)] = None
    """Problems to evaluate on; they are not trained on."""
    rows_per_step: int = Field(64, ge=1)
    """Pairs or rankings; for kto, single answers."""
    loss: str = "sigmoid"
    """sigmoid, robust, ipo, hinge, kto (reads unpaired rows), or module:function."""
    beta: float = Field(0.1, gt=0)
    """Strength of the penalty for leaving the reference: the temperature of the implicit reward."""
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    """The assumed share of flipped comparisons (with sigmoid: cDPO; with robust: rDPO)."""
    desirable_weight: float = Field(1.0, gt=0)
    """kto: weight of the loss of a desirable answer."""
    undesirable_weight: float = Field(1.0, gt=0)
    """kto: weight of the loss of an undesirable answer."""

    @property
    def problems(self) -> TaskConfig | None:
        return self.task

    @property
    def rows(self) -> DataConfig | None:
        return self.data

    @property
    def is_bound_to_its_data(self) -> bool:
        """The reference's log-probabilities were computed when the run began."""
        return True

    @model_validator(mode="after")
    def _check(self) -> "DPOConfig":
        check_adapters(self.model)
        return self


class RewardModelConfig(RunConfig):
    """A reward model: a scalar head on a language model, trained on comparisons."""

    trainer: Literal["reward_model"]
    data: DataConfig
    rows_per_step: int = Field(64, ge=1)
    """Pairs or rankings."""
    margin: bool = False
    """Require scores to differ at least as much as the ratings in the data."""
    center_rewards_coef: float = Field(0.0, ge=0)
    """Coefficient that pulls the sum of a pair's scores towards 0, which comparisons alone do not fix."""

    @property
    def rows(self) -> DataConfig | None:
        return self.data

    @model_validator(mode="after")
    def _check(self) -> "RewardModelConfig":
        check_adapters(self.model)
        return self
