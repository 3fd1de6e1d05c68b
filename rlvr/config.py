"""What can be configured: one class a section, one line under each option.

A recipe in `configs/` holds only what differs from these defaults. YAML is read and merged with dotted overrides by
OmegaConf, and checked here by pydantic: an unknown key is refused, nothing is corrected silently. Importing this file
imports neither torch nor transformers.
"""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rlvr.algorithms.objective import GROUP_BASELINES, Objective
from rlvr.algorithms.presets import PRESETS, resolve
from tasks.registry import make_task


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def _named(value: Any) -> Any:
    """`engine: vllm` is short for `engine: {name: vllm}`."""
    return {"name": value} if isinstance(value, str) else value


def _row(value: Any) -> Any:
    """`objective: dapo` is short for `objective: {preset: dapo}`."""
    # As plain values, which pydantic then checks one by one.
    return asdict(resolve(value)) if isinstance(value, dict | str) else value


class ScratchConfig(Section):
    """A tiny Qwen3 from nothing, with a tokenizer trained on the task."""

    hidden_size: int = Field(128, ge=1)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    kv_heads: int = Field(4, ge=1)
    intermediate_size: int = Field(384, ge=1)
    max_length: int = Field(256, ge=1)
    """Longest prompt and completion together, in tokens."""
    initializer_range: float = Field(0.05, gt=0)
    """Standard deviation of new weights. transformers' 0.02 is for wide models: a narrow one learns slower with it."""
    vocab_size: int = Field(384, ge=261)
    """At most; 261 of them are bytes and special tokens."""

    @model_validator(mode="after")
    def _check(self) -> "ScratchConfig":
        if self.hidden_size % self.heads or self.heads % self.kv_heads:
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be a multiple of heads ({self.heads}), and heads of "
                f"kv_heads ({self.kv_heads})"
            )
        return self


class LoraConfig(Section):
    """Low-rank adapters (Hu et al., 2021) through peft, instead of training all weights."""

    rank: int = Field(32, ge=1)
    alpha: int = Field(64, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: str | list[str] = "all-linear"
    """Names of the modules that get adapters."""


class ModelConfig(Section):
    """Exactly one of `path` and `scratch`."""

    path: str | None = None
    """Hub id or folder in Hugging Face format, with a tokenizer that has a chat template."""
    scratch: ScratchConfig | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the weights. bfloat16 weights with full fine-tuning lose small updates: use it with lora."""
    autocast: Literal["none", "bfloat16"] = "none"
    """Dtype of matrix products in the learner."""
    lora: LoraConfig | None = None
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    compile: bool = False
    """torch.compile the learner's model."""
    packing: bool = False
    """Compute rows without padding between them, and a prompt that several rows share once. Needs sdpa attention."""
    attention: str | None = None
    """transformers' `attn_implementation` (sdpa, flash_attention_2, eager); empty leaves the choice to it."""

    @model_validator(mode="after")
    def _check(self) -> "ModelConfig":
        if (self.path is None) == (self.scratch is None):
            raise ValueError(
                "expected exactly one of model.path (a hub id or folder) and model.scratch (a tiny new model)"
            )
        return self


class TaskConfig(BaseModel):
    """A task by name (arithmetic, gsm8k, dataset, or module:Class); every other key is a knob of that task."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def knobs(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _check(self) -> "TaskConfig":
        make_task(self.name, self.knobs, seed=0)
        return self


class SamplingConfig(Section):
    """How training completions are drawn."""

    max_tokens: int = Field(512, ge=1)
    temperature: float = Field(1.0, gt=0)
    """RL scores at it what was drawn at it; sft and dpo learn at 1, and use it for evaluations alone."""
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    """0 keeps all tokens."""


class EngineConfig(Section):
    """What writes completions."""

    name: Literal["transformers", "vllm", "scripted"] = "transformers"
    cache_tokens: int = Field(131_072, ge=1)
    """transformers: rows x (prompt + max_tokens) computed at once; bounds memory."""
    gpu_memory_utilization: float = Field(0.4, gt=0, le=1)
    """vllm: share of the GPU for weights and cache; the learner lives on the rest."""
    max_model_len: int | None = Field(None, ge=1)
    """vllm: longest prompt and completion together; empty takes the model's."""
    enforce_eager: bool = False
    """vllm: no CUDA graphs; slower, starts faster."""
    logprob_tolerance: float | None = Field(None, gt=0)
    """Largest mean |log-prob difference| between engine and learner; empty: 1e-3 in float32, 0.1 in bfloat16."""
    script: str | None = None
    """scripted: `module:function` that writes a completion's text from (prompt text, seed, index)."""


class OptimizerConfig(Section):
    """AdamW and its schedule, counted in optimizer steps."""

    lr: float = Field(1e-6, gt=0)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """What follows the warm-up."""
    warmup_steps: int = Field(0, ge=0)
    final_lr_share: float = Field(0.0, ge=0, le=1)
    """The share of `lr` that cosine and linear end at."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, ge=0)
    """0 does not clip."""
    microbatch_tokens: int = Field(16_384, ge=1)
    """Tokens, padding included, in one forward and backward pass; bounds memory, never changes the result."""


class SelectionConfig(Section):
    """Which problems are asked. What a problem's id was rewarded with is remembered only where this reads it."""

    skip_solved: int = Field(0, ge=0)
    """Pass over problems that were solved by their whole group this often in a row; 0 asks all."""
    revisit_after: int = Field(100, ge=1)
    """Steps after which a solved problem is asked again, and a measured pass rate is taken for out of date."""
    curriculum: Literal["none", "pass_rate"] = "none"
    """pass_rate: of `oversample` times as many problems, ask those whose pass rate is nearest to `target_pass_rate`."""
    target_pass_rate: float = Field(0.5, ge=0, le=1)
    """A problem never asked counts with its cohort's average."""
    oversample: int = Field(4, ge=2)
    """Problems looked at for each one asked; those not chosen come again when the dataset starts over."""

    @property
    def by_problem(self) -> bool:
        return self.skip_solved > 0 or self.curriculum != "none"


class LearnedRewardConfig(Section):
    """The reward model of `verify.verifier: reward_model`."""

    path: str
    """What `trainer: reward_model` saved, or any sequence classifier with one label."""
    device: str | None = None
    """Empty: the run's."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    batch_tokens: int = Field(16_384, ge=1)
    """Tokens, padding included, scored at once; bounds memory."""
    cut_off_penalty: float = Field(1.0, ge=0)
    """Taken off the score of a completion that ran into max_tokens, which the model reads as if it had ended there."""


class VerifyConfig(Section):
    """How completions are checked."""

    verifier: str | None = None
    """Name, entry point, module:name, or reward_model; empty takes the one that each problem names."""
    reward_model: LearnedRewardConfig | None = None
    """Of `verifier: reward_model`."""
    workers: int = Field(2, ge=1)
    timeout_seconds: float = Field(5.0, gt=0)
    max_failed_share: float = Field(0.2, ge=0, le=1)
    """The run stops where more than this share of a step's verdicts failed."""

    @model_validator(mode="after")
    def _check(self) -> "VerifyConfig":
        if (self.verifier == "reward_model") != (self.reward_model is not None):
            raise ValueError(
                "verifier: reward_model and a section reward_model: {path: ...} go together; expected both or neither"
            )
        return self


class MeasureConfig(Section):
    """When what was learned is measured: a reward model on held-out comparisons, a policy as below."""

    every: int = Field(0, ge=0)
    """Steps between evaluations; 0: at the start and at the end only."""
    at_start: bool = True
    at_end: bool = True


class EvalConfig(MeasureConfig):
    """Evaluation on held-out problems: one greedy completion and `samples` drawn ones of each."""

    verifier: str | None = None
    """Empty takes the one that gives the rewards, or, where these are learned, the one that each problem names."""
    problems: int = Field(512, ge=0)
    """0 does not evaluate."""
    samples: int = Field(8, ge=0)

    @property
    def happens(self) -> bool:
        return self.problems > 0 and (self.at_start or self.at_end or self.every > 0)


class CheckpointConfig(Section):
    every: int = Field(50, ge=0)
    """Steps between checkpoints; 0: only when the run ends or is interrupted."""
    keep_last: int = Field(2, ge=1)


class ColdStartConfig(Section):
    """Supervised fine-tuning on the task's worked solutions before RL: a run of its own in `<out>/cold_start`."""

    steps: int = Field(300, ge=1)
    rows_per_step: int = Field(64, ge=1)
    optimizer: OptimizerConfig = OptimizerConfig(lr=1e-5)
    task: dict[str, Any] = {}
    """Knobs of the task that are set otherwise for the cold start, such as its difficulty."""


class RunConfig(Section):
    """What every trainer has."""

    trainer: str
    """Which one: grpo, sft, reward_model, dpo, ppo."""

    out: str = "runs/run"
    """The run folder."""
    seed: int = Field(0, ge=0)
    device: str = "auto"
    """auto: CUDA where it is, else the CPU."""
    threads: int | None = Field(None, ge=1)
    """CPU threads; empty leaves torch's choice. The same number gives the same bits."""
    model: ModelConfig
    steps: int = Field(ge=1)
    optimizer: OptimizerConfig = OptimizerConfig()
    eval: MeasureConfig = MeasureConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()


class PolicyRunConfig(RunConfig):
    """What every trainer of a policy has, to train with samples or to evaluate with them."""

    engine: Annotated[EngineConfig, BeforeValidator(_named)] = EngineConfig()
    sampling: SamplingConfig = SamplingConfig()
    verify: VerifyConfig = VerifyConfig()
    eval: EvalConfig = EvalConfig()


def _check_adapters(model: ModelConfig, key: str = "model") -> None:
    if model.scratch is not None and model.lora is not None:
        raise ValueError(
            f"{key}.lora would put adapters on the random weights of {key}.scratch and train nothing else; leave "
            f"{key}.lora out, or name a trained model in {key}.path"
        )


class DataConfig(Section):
    """Rows to learn from: a hub id or a file (.jsonl, .parquet, ...). `rlvr data check` says what it holds."""

    train: str
    test: str = ""
    """Rows to measure on."""
    held_out_rows: int = Field(0, ge=0)
    """Where `test` is empty, so many of the last rows of `train` are measured on and not trained on."""
    subset: str | None = None
    train_split: str = "train"
    test_split: str = "test"
    max_tokens: int | None = Field(None, ge=2)
    """Rows with more tokens are left out, and counted; empty: those that do not fit the model."""


class SFTConfig(PolicyRunConfig):
    """Supervised fine-tuning on conversations (`data`) or on a task's worked solutions (`task`)."""

    trainer: Literal["sft"]
    task: Annotated[TaskConfig | None, BeforeValidator(_named)] = None
    data: DataConfig | None = None
    rows_per_step: int = Field(64, ge=1)

    @model_validator(mode="after")
    def _check(self) -> "SFTConfig":
        if self.task is None and self.data is None:
            raise ValueError("expected data (conversations to learn from), or task (its worked solutions)")
        _check_adapters(self.model)
        return self


class DPOConfig(PolicyRunConfig):
    """Direct preference optimization: a policy learns from comparisons, without a reward model or sampling."""

    trainer: Literal["dpo"]
    data: DataConfig
    task: Annotated[TaskConfig | None, BeforeValidator(_named)] = None
    """Problems to evaluate on; nothing is trained on them."""
    rows_per_step: int = Field(64, ge=1)
    """Pairs or rankings; for kto, single answers."""
    loss: str = "sigmoid"
    """sigmoid, robust, ipo, hinge, kto (reads unpaired rows), or module:function."""
    beta: float = Field(0.1, gt=0)
    """How dear it is to leave the reference: the temperature of the implicit reward."""
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    """The share of comparisons that are believed to be the wrong way round (sigmoid: cDPO; robust)."""
    wanted_weight: float = Field(1.0, gt=0)
    """kto: what a wanted answer weighs."""
    unwanted_weight: float = Field(1.0, gt=0)
    """kto: what an unwanted answer weighs."""

    @model_validator(mode="after")
    def _check(self) -> "DPOConfig":
        _check_adapters(self.model)
        return self


class RewardModelConfig(RunConfig):
    """A reward model: a scalar head on a language model, taught by comparisons."""

    trainer: Literal["reward_model"]
    data: DataConfig
    rows_per_step: int = Field(64, ge=1)
    """Pairs or rankings."""
    margin: bool = False
    """Ask for scores that differ at least as much as the data's ratings do."""
    centre_coef: float = Field(0.0, ge=0)
    """Pulls the sum of a pair's scores towards 0, which comparisons alone leave open."""

    @model_validator(mode="after")
    def _check(self) -> "RewardModelConfig":
        _check_adapters(self.model)
        return self


# arXiv:1707.06347 with a learned reward as in arXiv:2203.02155: the KL, by k1, is taken off each token's reward.
PPO_OBJECTIVE = Objective(
    baseline="none", scale="none", whiten=True, aggregate="token", kl="k1", kl_coef=0.02, kl_in="token_reward"
)


def _ppo_row(value: Any) -> Any:
    """`{kl_coef: 0.1}` changes PPO's row; presets are GRPO's."""
    if isinstance(value, str) or (isinstance(value, dict) and "preset" in value):
        raise ValueError(f"got {value!r}; presets are rows for trainer: grpo, expected {{choice: value, ...}}")
    return resolve({**vars(PPO_OBJECTIVE), **value}) if isinstance(value, dict) else value


class GRPOConfig(PolicyRunConfig):
    """Reinforcement learning with verifiable rewards: every preset of the objective, and every mixture."""

    trainer: Literal["grpo"]
    task: Annotated[TaskConfig, BeforeValidator(_named)]
    objective: Annotated[Objective, BeforeValidator(_row)] = PRESETS["dr_grpo"]
    """A preset's name, or {preset: name, choice: value, ...}."""
    prompts_per_step: int = Field(16, ge=1)
    group_size: int = Field(8, ge=1)
    """Completions of each prompt."""
    selection: SelectionConfig = SelectionConfig()
    epochs: int = Field(1, ge=1)
    """Passes over each step's rollouts."""
    minibatches: int = Field(1, ge=1)
    """Optimizer steps of each pass."""
    no_signal_patience: int = Field(10, ge=1)
    """Steps without any learning signal before a warning says why."""
    ledger: bool = True
    """Write every completion of every step to `<out>/rollouts`."""
    cold_start: ColdStartConfig | None = None

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
        if self.cold_start is not None:
            try:
                make_task(self.task.name, {**self.task.knobs, **self.cold_start.task}, seed=0)
            except ValueError as error:
                raise ValueError(f"cold_start.task: {error}") from None
        if self.model.scratch is not None and self.cold_start is None:
            raise ValueError(
                "model.scratch makes a model that cannot write a word yet, and RL has nothing to reinforce; "
                "add a cold_start section, or name a trained model in model.path"
            )
        return self


class TrustRegionConfig(Section):
    """Of `trainer: ppo`: one natural-gradient step of the policy in the place of clipped ones (TRPO).

    Each iteration takes about four passes over the step's tokens: for small models and adapters. The optimizer's steps
    are the critic's, and a head on the policy's backbone learns on states that it cannot change.
    """

    kl: float = Field(0.01, gt=0)
    """Largest KL from the policy that wrote the rollouts, nats a token."""
    iterations: int = Field(10, ge=1)
    """Of conjugate gradients."""
    damping: float = Field(0.1, ge=0)
    """Added to the diagonal of the Fisher matrix."""
    halvings: int = Field(10, ge=0)
    """How often a step that goes too far, or gains nothing, is halved before none is taken."""


class PPOConfig(GRPOConfig):
    """Proximal policy optimization: rewards of tokens, a critic in the baseline's place.

    Of the objective it reads surrogate, ratio, aggregate, whiten, discount, KL and entropy.
    """

    trainer: Literal["ppo"]  # type: ignore[assignment]
    objective: Annotated[Objective, BeforeValidator(_ppo_row)] = PPO_OBJECTIVE
    """{choice: value, ...}: what differs from PPO's own row."""
    group_size: int = Field(1, ge=1)
    """Completions of each prompt."""
    epochs: int = Field(4, ge=1)
    """Passes over each step's rollouts."""
    gae_lambda: float = Field(0.95, ge=0, le=1)
    """0 trusts the critic, 1 the returns."""
    critic: ModelConfig | None = None
    """A model of its own, best a reward model; empty: a second head on the policy's backbone."""
    value_coef: float = Field(0.5, ge=0)
    """What the critic's loss weighs."""
    value_clip: float = Field(0.2, ge=0)
    """How far a value may move from the one that the advantages were made with; 0 does not bound it."""
    reward_scale: float = Field(1.0, gt=0)
    """Factor for scores, before penalties are taken off."""
    bootstrap_truncated: bool = False
    """A cut-off completion gets the critic's value of where it stands in place of its score."""
    trust_region: TrustRegionConfig | None = None

    @model_validator(mode="after")
    def _check_objective(self) -> "PPOConfig":
        if self.critic is not None:
            _check_adapters(self.critic, "critic")
        read = {"ratio", "surrogate", "clip_low", "clip_high", "clip_dual", "band", "soft_positive", "soft_negative"}
        others = {"aggregate", "whiten", "discount", "kl", "kl_coef", "kl_target"}
        if self.trust_region is not None:
            if self.model.compile or self.model.gradient_checkpointing:
                raise ValueError(
                    "trust_region takes gradients of gradients, which model.compile and model.gradient_checkpointing "
                    "do not give; leave both out"
                )
            for name in sorted(read | {"entropy_coef"}):
                if getattr(self.objective, name) != getattr(PPO_OBJECTIVE, name):
                    raise ValueError(
                        f"objective.{name}: got {getattr(self.objective, name)!r}, and a step in a trust_region has no "
                        "use for it; expected it to be left out"
                    )
        read |= others | {"entropy_coef"}
        for name, usual in vars(PPO_OBJECTIVE).items():
            if name not in read and getattr(self.objective, name) != usual:
                raise ValueError(
                    f"objective.{name}: got {getattr(self.objective, name)!r}, and PPO knows only {usual!r}: its "
                    "baseline is the critic, and its KL a reward of tokens"
                )
        return self


AnyConfig = SFTConfig | GRPOConfig | PPOConfig | DPOConfig | RewardModelConfig
Config = Annotated[AnyConfig, Field(discriminator="trainer")]
