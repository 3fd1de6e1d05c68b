"""Whole runs that sample what they learn from: GRPO, PPO, and what they have alike."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rlvr.algorithms.objective import GROUP_BASELINES, Objective
from rlvr.algorithms.presets import PRESETS, resolve
from rlvr.config.runs import PolicyRunConfig, SFTConfig, check_adapters, named
from rlvr.config.sections import ColdStartConfig, ModelConfig, SelectionConfig, TaskConfig, TrustRegionConfig
from tasks.registry import make_task


def _row(value: Any) -> Any:
    """`objective: dapo` is short for `objective: {preset: dapo}`."""
    # As plain values, which pydantic then checks one by one.
    return asdict(resolve(value)) if isinstance(value, dict | str) else value


class RLConfig(PolicyRunConfig):
    """Reinforcement learning: the keys that GRPO and PPO share."""

    task: Annotated[TaskConfig, BeforeValidator(named)]
    objective: Objective
    prompts_per_step: int = Field(16, ge=1)
    group_size: int = Field(8, ge=1)
    """Completions of each prompt."""
    selection: SelectionConfig = SelectionConfig()
    epochs: int = Field(1, ge=1)
    """Passes over each step's rollouts."""
    minibatches: int = Field(1, ge=1)
    """Optimizer steps of each pass."""
    no_signal_patience: int = Field(10, ge=1)
    """Steps without a learning signal before a warning explains why."""
    ledger: bool = True
    """Write every completion of every step to `<out>/rollouts`."""
    cold_start: ColdStartConfig | None = None

    @property
    def problems(self) -> TaskConfig:
        return self.task

    @property
    def optimizer_steps(self) -> int:
        return self.steps * self.epochs * self.minibatches

    @property
    def scoring_temperature(self) -> float:
        return self.sampling.temperature

    @property
    def needs_reference(self) -> bool:
        return self.objective.needs_reference

    @property
    def keeps_ledger(self) -> bool:
        return self.ledger

    @property
    def steps_ahead(self) -> int:
        """How many steps sampling may run ahead of learning. Each step makes a group older by its optimizer steps."""
        return 0 if self.objective.refill_rounds else self.selection.max_staleness // (self.epochs * self.minibatches)

    def cold_start_config(self, out: str) -> SFTConfig | None:
        """The cold start as a run of its own in the folder `out`; `None` where there is none.

        A model from scratch trains all its weights in the cold start; adapters, if any, are added for RL.
        """
        if self.cold_start is None:
            return None
        model = self.model if self.model.scratch is None else self.model.model_copy(update={"lora": None})
        return SFTConfig(
            trainer="sft",
            out=out,
            steps=self.cold_start.steps,
            rows_per_step=self.cold_start.rows_per_step,
            optimizer=self.cold_start.optimizer,
            task=self.task.model_copy(update=self.cold_start.task),
            model=model,
            eval=self.eval.model_copy(update={"every": 0, "at_end": False}),
            seed=self.seed,
            device=self.device,
            threads=self.threads,
            sampling=self.sampling,
            verify=self.verify,
            checkpoint=self.checkpoint.model_copy(update={"best": None}),
            accept_changed_data=self.accept_changed_data,
        )

    @model_validator(mode="after")
    def _check_run(self) -> "RLConfig":
        rollouts = self.prompts_per_step * self.group_size
        if self.minibatches > rollouts:
            raise ValueError(
                f"minibatches is {self.minibatches}, and a step has {rollouts} rollouts (prompts_per_step x "
                "group_size): each minibatch needs at least one"
            )
        staleness, each = self.selection.max_staleness, self.epochs * self.minibatches
        if staleness and not self.objective.refill_rounds and not self.steps_ahead:
            raise ValueError(
                f"selection.max_staleness is {staleness}, and a step takes {each} optimizer steps (epochs x "
                f"minibatches): no step could be sampled ahead. Use a multiple of {each}, or 0"
            )
        if self.cold_start is not None:
            try:
                make_task(self.task.name, {**self.task.knobs, **self.cold_start.task}, seed=0)
            except ValueError as error:
                raise ValueError(f"cold_start.task: {error}") from None
        if self.model.scratch is not None and self.cold_start is None:
            raise ValueError(
                "model.scratch makes a model that cannot write a word yet, so RL has nothing to reinforce; "
                "add a cold_start section, or name a trained model in model.path"
            )
        return self


class GRPOConfig(RLConfig):
    """Reinforcement learning with verifiable rewards: any preset of the objective, and any combination of choices."""

    trainer: Literal["grpo"]
    objective: Annotated[Objective, BeforeValidator(_row)] = PRESETS["dr_grpo"]
    """A preset's name, or {preset: name, choice: value, ...}."""

    @model_validator(mode="after")
    def _check(self) -> "GRPOConfig":
        if self.group_size == 1 and self.objective.baseline in GROUP_BASELINES:
            raise ValueError(
                f"group_size is 1, and the baseline {self.objective.baseline!r} compares a completion with the "
                "others of its group: every advantage would be 0. Use group_size >= 2, or baseline: none"
            )
        buffer, longest = self.objective.overlong_buffer, self.sampling.max_tokens
        if self.objective.overlong == "punish" and buffer > longest:
            raise ValueError(
                f"objective.overlong_buffer is {buffer}, and sampling.max_tokens only {longest}: completions are "
                "punished within the last overlong_buffer of max_tokens tokens. Lower it, or set 0 for a fifth"
            )
        return self


# arXiv:1707.06347 with a learned reward as in arXiv:2203.02155: the k1 estimate of the KL lowers each token's reward.
PPO_OBJECTIVE = Objective(
    baseline="none", scale="none", whiten=True, aggregate="token", kl="k1", kl_coef=0.02, kl_in="token_reward"
)


def _ppo_row(value: Any) -> Any:
    """`{kl_coef: 0.1}` changes PPO's row; presets belong to GRPO."""
    if isinstance(value, str) or (isinstance(value, dict) and "preset" in value):
        raise ValueError(f"got {value!r}; presets are rows for trainer: grpo, expected {{choice: value, ...}}")
    return resolve({**vars(PPO_OBJECTIVE), **value}) if isinstance(value, dict) else value


class PPOConfig(RLConfig):
    """Proximal policy optimization: token rewards, with a critic as the baseline.

    It uses these choices of the objective: surrogate, ratio, aggregate, whiten, discount, KL and entropy.
    """

    trainer: Literal["ppo"]
    objective: Annotated[Objective, BeforeValidator(_ppo_row)] = PPO_OBJECTIVE
    """{choice: value, ...}: the differences from PPO's own row."""
    group_size: int = Field(1, ge=1)
    """Completions of each prompt."""
    epochs: int = Field(4, ge=1)
    """Passes over each step's rollouts."""
    gae_lambda: float = Field(0.95, ge=0, le=1)
    """0 relies on the critic, 1 on the returns."""
    critic: ModelConfig | None = None
    """A separate model, preferably a reward model; empty: a second head on the policy's backbone."""
    value_coef: float = Field(0.5, ge=0)
    """Weight of the critic's loss."""
    value_clip: float = Field(0.2, ge=0)
    """Largest change of a value from the one that the advantages were computed from; 0: no bound."""
    reward_scale: float = Field(1.0, gt=0)
    """Factor for scores, before penalties are subtracted."""
    bootstrap_truncated: bool = False
    """Replace the score of a cut-off completion with the critic's value of its last state."""
    trust_region: TrustRegionConfig | None = None

    @model_validator(mode="after")
    def _check_objective(self) -> "PPOConfig":
        if self.critic is not None:
            check_adapters(self.critic, "critic")
        gate = {"temperature_positive", "temperature_negative"}
        read = {"ratio", "surrogate", "clip_low", "clip_high", "clip_dual", "divergence_threshold"} | gate
        others = {"aggregate", "whiten", "discount", "kl", "kl_coef", "kl_target"}
        if self.trust_region is not None:
            if self.model.compile or self.model.gradient_checkpointing:
                raise ValueError(
                    "trust_region takes gradients of gradients, which model.compile and model.gradient_checkpointing "
                    "do not support; leave both out"
                )
            for name in sorted(read | {"entropy_coef"}):
                if getattr(self.objective, name) != getattr(PPO_OBJECTIVE, name):
                    raise ValueError(
                        f"objective.{name}: got {getattr(self.objective, name)!r}, but a trust_region step does not "
                        "use it; leave it out"
                    )
        read |= others | {"entropy_coef"}
        for name, usual in vars(PPO_OBJECTIVE).items():
            if name not in read and getattr(self.objective, name) != usual:
                raise ValueError(
                    f"objective.{name}: got {getattr(self.objective, name)!r}, but PPO supports only {usual!r}: its "
                    "baseline is the critic, and its KL is in the token rewards"
                )
        return self
