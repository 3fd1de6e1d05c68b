"""The sections of a run: one line under each option."""

import re
from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from rlvr.algorithms.choices import nearest
from tasks.layouts import NAMES
from tasks.registry import make_task, task_class

# The verifier name that stands for a reward model.
LEARNED = "reward_model"


def named(value: Any) -> Any:
    """`engine: vllm` is short for `engine: {name: vllm}`."""
    return {"name": value} if isinstance(value, str) else value


# Names under `eval/` that are no set's.
OWN_METRICS = ("greedy", "cohort", "length", "truncated")


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class ScratchConfig(Section):
    """A tiny Qwen3 with random weights, and a tokenizer trained on the task."""

    hidden_size: int = Field(128, ge=1)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    kv_heads: int = Field(4, ge=1)
    intermediate_size: int = Field(384, ge=1)
    max_length: int = Field(256, ge=1)
    """Longest prompt and completion together, in tokens."""
    initializer_range: float = Field(0.05, gt=0)
    """Standard deviation of the random weights. transformers' 0.02 suits wide models and slows narrow ones."""
    vocab_size: int = Field(384, ge=261)
    """Largest vocabulary; 261 entries are bytes and special tokens."""

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

    path: str | None = None
    """Adapters to go on training, a peft folder or hub id; the other keys then come from its adapter_config.json."""
    rank: int = Field(32, ge=1)
    alpha: int = Field(64, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: str | list[str] = "all-linear"
    """Names of the modules that get adapters."""
    modules_to_save: list[str] = []
    """Names of modules that are trained whole beside the adapters, such as lm_head and embed_tokens."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """With `path` the defaults are not what the adapters have, so only keys that were given are written."""
        values: dict[str, Any] = dump(self)
        return values if self.path is None else {key: values[key] for key in values if key in self.model_fields_set}


class ModelConfig(Section):
    """Exactly one of `path` and `scratch`."""

    path: str | None = None
    """Hub id or folder in Hugging Face format; adapters of peft are merged into their base."""
    scratch: ScratchConfig | None = None
    chat_template: str | None = None
    """Instead of the tokenizer's own: plain, r1_zero or chatml, a .jinja file, or the text of a template."""
    chat_template_kwargs: dict[str, Any] = {}
    """Values that the chat template gets at every call, such as {enable_thinking: false}."""
    merge_system: bool = False
    """Write a system message at the beginning of the first user's turn: for templates without one (Gemma 2)."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Dtype of the weights. Full fine-tuning in bfloat16 loses small updates: use it with lora; float16 needs lora."""
    autocast: Literal["none", "bfloat16", "float16"] = "none"
    """Dtype of matrix products in the learner. With float16, here or in dtype, the loss is scaled."""
    lora: LoraConfig | None = None
    quantize: Literal["none", "nf4", "int8"] = "none"
    """Keep the base weights in 4 or 8 bits under lora (QLoRA); needs bitsandbytes. The model is saved with plain
    weights."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    compile: bool = False
    """torch.compile the learner's model."""
    packing: bool = False
    """Compute rows without padding, and a prompt that several rows share only once. Needs sdpa or eager attention."""
    attention: str | None = None
    """transformers' `attn_implementation` (sdpa, flash_attention_2, eager); empty: its default."""
    trust_remote_code: bool = False
    """Run the Python code that comes with a model. Read it first: it can do anything that you can."""
    revision: str | None = None
    """Commit, branch or tag of a hub id; empty: its main branch."""

    @model_validator(mode="after")
    def _check(self) -> "ModelConfig":
        if (self.path is None) == (self.scratch is None):
            raise ValueError(
                "expected exactly one of model.path (a hub id or folder) and model.scratch (a tiny new model)"
            )
        if self.quantize != "none" and (self.lora is None or self.scratch is not None):
            raise ValueError(
                f"quantize is {self.quantize}, but quantized weights cannot be trained; expected lora beside it, and a "
                "trained model in path"
            )
        if self.revision is not None and self.scratch is not None:
            raise ValueError("revision names a version of a hub id in path, and scratch has none; leave it out")
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


Stop = Annotated[str, Field(min_length=1)]


class SamplingConfig(Section):
    """How completions are sampled in training. Each key means the same in every engine."""

    max_tokens: int = Field(512, ge=1)
    temperature: float = Field(1.0, gt=0)
    """RL samples and scores at this temperature; sft and dpo learn at 1 and use it only in evaluations."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Keeps the likeliest tokens that make up this probability. This and the next four keys bias RL: see
    [sampling.md](sampling.md)."""
    top_k: int = Field(0, ge=0)
    """0 keeps all tokens."""
    min_p: float = Field(0.0, ge=0, le=1)
    """Excludes tokens whose probability is less than this share of the likeliest token's."""
    repetition_penalty: float = Field(1.0, gt=0)
    """Divides the positive logits of tokens in the prompt or the completion so far, and multiplies negative ones."""
    min_tokens: int = Field(0, ge=0)
    """No end token is sampled before so many tokens, and no stop string ends the completion."""
    stop: tuple[Stop, ...] = ()
    """Texts that end a completion, which keeps them."""
    stop_token_ids: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Tokens that end a completion, beside the model's own end tokens."""

    @model_validator(mode="before")
    @classmethod
    def _one_stop(cls, values: Any) -> Any:
        return with_list_of_stops(values)

    @model_validator(mode="after")
    def _check(self) -> "SamplingConfig":
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens is {self.min_tokens}, expected at most max_tokens={self.max_tokens}")
        return self


class EvalSamplingConfig(Section):
    """Keys of `sampling` that differ in evaluations; what is empty is as in training."""

    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, gt=0)
    """Of the sampled completions; the greedy one has none, and no top_p, top_k and min_p."""
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0)
    min_tokens: int | None = Field(None, ge=0)
    stop: tuple[Stop, ...] | None = None
    stop_token_ids: tuple[Annotated[int, Field(ge=0)], ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_stop(cls, values: Any) -> Any:
        return with_list_of_stops(values)

    def over(self, training: SamplingConfig) -> SamplingConfig:
        """The settings of evaluations. Raises pydantic's `ValidationError` if they contradict each other."""
        return SamplingConfig.model_validate(training.model_dump() | self.model_dump(exclude_none=True))


def with_list_of_stops(values: Any) -> Any:
    """`stop: text` is short for `stop: [text]`."""
    if isinstance(values, dict) and isinstance(values.get("stop"), str):
        return values | {"stop": [values["stop"]]}
    return values


class EngineConfig(Section):
    """The engine that samples completions."""

    name: Literal["transformers", "vllm", "scripted"] = "transformers"
    cache_tokens: int = Field(131_072, ge=1)
    """transformers: largest rows x (prompt + max_tokens) computed at once; bounds memory."""
    gpu_memory_utilization: float = Field(0.4, gt=0, le=1)
    """vllm: share of the GPU memory for weights and cache; the learner uses the rest."""
    max_model_len: int | None = Field(None, ge=1)
    """vllm: longest prompt and completion together; empty: the model's limit."""
    enforce_eager: bool = False
    """vllm: no CUDA graphs: starts faster, runs slower."""
    logprob_tolerance: float | None = Field(None, gt=0)
    """Largest mean |log-prob difference| between engine and learner; empty: 1e-3 in float32, 0.02 in float16, 0.1 in
    bfloat16 or with quantized weights."""
    script: str | None = None
    """scripted: `module:function` that returns a completion's text for (prompt text, seed, index)."""


class OptimizerConfig(Section):
    """AdamW and its schedule, counted in optimizer steps."""

    lr: float = Field(1e-6, gt=0)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """Schedule after the warm-up."""
    warmup_steps: int = Field(0, ge=0)
    final_lr_share: float = Field(0.0, ge=0, le=1)
    """Share of `lr` at the end of cosine and linear."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, ge=0)
    """0: no clipping."""
    microbatch_tokens: int = Field(16_384, ge=1)
    """Tokens, padding included, in one forward and backward pass; bounds memory and never changes the result."""
    name: Literal["adamw", "adamw_8bit", "paged_adamw_8bit"] = "adamw"
    """The others keep their moments in 8 bits, and paged ones in the host's memory if the GPU's is full; they need
    bitsandbytes."""


class SelectionConfig(Section):
    """Which problems are sampled. Rewards are remembered by problem only if one of these options needs them."""

    skip_solved: int = Field(0, ge=0)
    """Skip problems whose whole group was correct this many times in a row; 0 skips none."""
    revisit_after: int = Field(100, ge=1)
    """Steps after which a solved problem is sampled again and a measured pass rate counts as out of date."""
    curriculum: Literal["none", "pass_rate"] = "none"
    """pass_rate: of `oversample` times as many problems, sample those whose pass rate is nearest to the target."""
    target_pass_rate: float = Field(0.5, ge=0, le=1)
    """A problem that was never sampled counts with the average of its cohort."""
    oversample: int = Field(4, ge=2)
    """Candidates per sampled problem; the others return when the dataset starts over."""
    max_staleness: int = Field(0, ge=0)
    """Largest age, in optimizer steps, of the weights that sampled a group. With `objective.refill_rounds` surplus
    groups wait for later steps; without it, sampling runs ahead of learning."""

    @property
    def by_problem(self) -> bool:
        return self.skip_solved > 0 or self.curriculum != "none"


class LearnedRewardConfig(Section):
    """The reward model for `verify.verifier: reward_model`."""

    path: str
    """A model saved by `trainer: reward_model`, or any sequence classifier with one label."""
    device: str | None = None
    """Empty: the device of the run."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    batch_tokens: int = Field(16_384, ge=1)
    """Tokens, padding included, scored at once; bounds memory."""
    cut_off_penalty: float = Field(1.0, ge=0)
    """Subtracted from the score of a completion that was cut off at max_tokens, which the model cannot see."""


class VerifyConfig(Section):
    """How completions are checked."""

    verifier: str | dict[str, Any] | None = None
    """Name, entry point, module:name, {name: ..., setting: ...}, a composition, or reward_model; empty: the one
    that each problem names."""
    solved_at: float | None = None
    """The score from which a completion solves its problem, for scores of any scale; empty: the verifier says, or 1."""
    reward_model: LearnedRewardConfig | None = None
    """Required where `verifier` is `reward_model`, or has it as a part."""
    workers: int = Field(2, ge=1)
    """Checks at a time, each in a process of its own."""
    timeout_seconds: float = Field(5.0, gt=0)
    max_failed_share: float = Field(0.2, ge=0, le=1)
    """The run stops if more than this share of a step's verdicts failed."""

    @model_validator(mode="after")
    def _check(self) -> "VerifyConfig":
        if names(self.verifier, LEARNED) != (self.reward_model is not None):
            raise ValueError(
                "verifier: reward_model (or a composition with it) and the section reward_model: {path: ...} go "
                "together; expected both or neither"
            )
        return self


def names(spec: object, verifier: str) -> bool:
    """Whether what a configuration says of a verifier names this one, alone or as a part."""
    if isinstance(spec, dict):
        if "name" in spec:
            return bool(spec["name"] == verifier)
        return any(key == verifier or names(value, verifier) for key, value in spec.items())
    return any(names(part, verifier) for part in spec) if isinstance(spec, list) else spec == verifier


class MeasureConfig(Section):
    """When the model is evaluated: a reward model on held-out comparisons, a policy as below."""

    every: int = Field(0, ge=0)
    """Steps between evaluations; 0: at the start and at the end only."""
    at_start: bool = True
    at_end: bool = True


class EvalSetConfig(TaskConfig):
    """A set of evaluation problems: a task by name with its knobs, and these keys. With `test`, it needs no `train`."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    problems: int = Field(512, ge=1)
    """Its first held-out problems, or all if there are fewer."""
    samples: int | None = Field(None, ge=0)
    """Sampled completions of each problem; empty: as in `eval`."""
    verifier: str | dict[str, Any] | None = None
    """Empty: `eval.verifier`, or else the one that each problem names."""
    solved_at: float | None = None
    """As in `eval`; empty: the one of `eval` if its verifier is used here."""

    @property
    def knobs(self) -> dict[str, Any]:
        knobs = super().knobs
        needs_no_train = "test" in knobs and any(field.name == "train" for field in fields(task_class(self.name)))
        return {"train": "", **knobs} if needs_no_train else knobs


class EvalConfig(MeasureConfig):
    """Evaluation on held-out problems: one greedy completion and `samples` sampled ones per problem."""

    verifier: str | dict[str, Any] | None = None
    """As in `verify`; empty: the verifier of the rewards, or, if these are learned, the one that each problem names."""
    solved_at: float | None = None
    """As in `verify`; empty: the one of `verify` if its verifier is used here."""
    problems: int = Field(512, ge=0)
    """0: no evaluation."""
    samples: int = Field(8, ge=0)
    sets: dict[str, Annotated[EvalSetConfig, BeforeValidator(named)]] = {}
    """Further sets of problems by name: `{aime: {name: dataset, test: aime.jsonl}}` gives `eval/aime/greedy`."""
    sampling: EvalSamplingConfig = EvalSamplingConfig()

    @property
    def happens(self) -> bool:
        return bool(self.problems or self.sets) and (self.at_start or self.at_end or self.every > 0)

    @field_validator("sets")
    @classmethod
    def _check_sets(cls, sets: dict[str, EvalSetConfig]) -> dict[str, EvalSetConfig]:
        for name in sets:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name) or name in OWN_METRICS:
                raise ValueError(
                    f"a set cannot be called {name!r}; expected letters, digits and . _ + -, and not one of "
                    f"{', '.join(OWN_METRICS)}"
                )
        return sets


class CheckpointConfig(Section):
    every: int = Field(50, ge=0)
    """Steps between checkpoints; 0: only when the run ends or is interrupted."""
    keep_last: int = Field(2, ge=1)
    best: str | None = None
    """Also keep the checkpoint with the best value of this metric, such as eval/greedy, in `<out>/best`."""
    best_mode: Literal["max", "min"] = "max"
    """Whether the largest or the smallest value of `best` is the best one."""


class ColdStartConfig(Section):
    """Supervised fine-tuning on the task's worked solutions before RL: a separate run in `<out>/cold_start`."""

    steps: int = Field(300, ge=1)
    rows_per_step: int = Field(64, ge=1)
    optimizer: OptimizerConfig = OptimizerConfig(lr=1e-5)
    task: dict[str, Any] = {}
    """Knobs of the task that differ in the cold start, such as its difficulty."""


class DataConfig(Section):
    """Rows to learn from: a hub id or a file (.jsonl, .parquet, ...). `rlvr data check` describes it."""

    train: str
    test: str = ""
    """Held-out rows to evaluate on."""
    held_out_rows: int = Field(0, ge=0)
    """If `test` is empty: number of rows at the end of `train` that are held out for evaluation."""
    held_out_by: Literal["prompt", "row"] = "prompt"
    """Rows to train on are left out and counted if a held-out row has the same prompt; row: if it is the same row."""
    subset: str | None = None
    train_split: str = "train"
    test_split: str = "test"
    columns: dict[str, str] = {}
    """Names of columns, such as `{prompt: question, chosen: good}`; nested ones by dots, `*` for each entry."""
    texts: Literal["auto", "plain", "chat"] = "auto"
    """What texts become. plain: no chat template; chat: messages of user and assistant; auto: as the columns say."""
    skip_broken: bool = False
    """Leave out and count rows that cannot be read; otherwise the first one stops the run."""
    max_tokens: int | None = Field(None, ge=2)
    """Rows with more tokens are skipped and counted; empty: rows that do not fit the model."""

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns:
            if name not in NAMES:
                hint = nearest(name, NAMES) or f"; known: {', '.join(NAMES)}"
                raise ValueError(f"{name!r} is not read{hint}; expected {{name that is read: column of the file}}")
        return columns


class TrustRegionConfig(Section):
    """For `trainer: ppo`: one natural-gradient step of the policy instead of clipped steps (TRPO).

    Each iteration costs about four passes over the step's tokens, so it suits small models and adapters. The optimizer
    only trains the critic; a critic head on the policy's backbone trains on fixed states.
    """

    kl: float = Field(0.01, gt=0)
    """Largest KL from the policy that sampled the rollouts, in nats per token."""
    cg_iterations: int = Field(10, ge=1)
    """Iterations of the conjugate gradient method."""
    damping: float = Field(0.1, ge=0)
    """Added to the diagonal of the Fisher matrix."""
    backtracking_steps: int = Field(10, ge=0)
    """How often a step that goes too far or gains nothing is halved before it is given up."""
