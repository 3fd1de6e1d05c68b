"""The sections of a run: one line under each option."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.registry import make_task


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


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
    max_staleness: int = Field(0, ge=0)
    """Optimizer steps by which the weights that wrote a group may be older than the learner's. With
    `objective.refill_rounds` a surplus of groups waits for later steps; without it, sampling runs ahead of learning."""

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

    verifier: str | dict[str, Any] | None = None
    """Name, entry point, module:name, {name: ..., setting: ...}, a composition, or reward_model; empty takes the one
    that each problem names."""
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

    verifier: str | dict[str, Any] | None = None
    """As in `verify`; empty takes the one that gives the rewards, or, where these are learned, the one that each
    problem names."""
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


class TrustRegionConfig(Section):
    """Of `trainer: ppo`: one natural-gradient step of the policy in the place of clipped ones (TRPO).

    Each iteration takes about four passes over the step's tokens: for small models and adapters. The optimizer's steps
    are the critic's, and a head on the policy's backbone learns on states that it cannot change.
    """

    kl: float = Field(0.01, gt=0)
    """Largest KL from the policy that wrote the rollouts, nats a token."""
    cg_iterations: int = Field(10, ge=1)
    """Iterations of the conjugate gradient method."""
    damping: float = Field(0.1, ge=0)
    """Added to the diagonal of the Fisher matrix."""
    backtracking_steps: int = Field(10, ge=0)
    """How often a step that goes too far, or gains nothing, is halved before the policy is left as it is."""
