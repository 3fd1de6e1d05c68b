"""From a configuration to the parts of a run. The one place that knows every concrete class."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import yaml

from rlvr.algorithms.advantage import BASELINES, COMBINES, GROUP_WEIGHTS, SCALES
from rlvr.algorithms.choices import check_signature, pick, pick_name
from rlvr.algorithms.correction import CORRECTION_LEVELS, CORRECTIONS
from rlvr.algorithms.kl import ESTIMATORS
from rlvr.algorithms.objective import KL_IN, OVERLONG, Objective, contradictions
from rlvr.algorithms.policy_loss import RATIOS, SURROGATES
from rlvr.algorithms.preference_loss import PAIR_LOSSES, UNPAIRED_LOSSES
from rlvr.algorithms.weights import AGGREGATES
from rlvr.config import (
    AnyConfig,
    DPOConfig,
    EngineConfig,
    EvalConfig,
    GRPOConfig,
    ModelConfig,
    PolicyRunConfig,
    PPOConfig,
    RewardModelConfig,
    RunConfig,
    SFTConfig,
    VerifyConfig,
)
from rlvr.config_file import dump_config
from rlvr.engines.base import Generator
from rlvr.engines.scripted import ScriptedEngine, load_script
from rlvr.engines.silent import SilentEngine
from rlvr.errors import ConfigError, DataError
from rlvr.examples import reader_of, split_rows, texts_of
from rlvr.groups import KEEP
from rlvr.learner import Learner
from rlvr.models.chat import Chat, solution_of
from rlvr.models.heads import ValueHead, load_reward_model
from rlvr.models.load import check_attention, check_path, load_chat, load_policy, save_model, scratch_chat
from rlvr.models.policy import Critic, Policy
from rlvr.reward_grade import load_reward_grade
from rlvr.rollout import Grade, make_grade
from rlvr.run import Run
from rlvr.seeds import derive, set_global_generators
from rlvr.weight_sync import PROBE_TOKENS, prove_sync, tolerance_of
from tasks import NoTask, Problem, Task, make_task
from verifiers import Spec, get_verifier

# The name that stands for a reward model where verifiers are named.
LEARNED = "reward_model"
# The trainers of a policy.
PolicyConfig = GRPOConfig | SFTConfig | DPOConfig
# Problems or rows whose text a new tokenizer is trained on.
TOKENIZER_PROBLEMS = 1000
# Prompts that a copy of the weights is probed with.
PROBE_PROMPTS = 4
# The resolved keys that may change when a run goes on: where it lies and how often it is kept.
MAY_CHANGE = ("out", "checkpoint")
# The choices of an objective that name functions, and the functions that are known.
AXES: dict[str, Mapping[str, Callable[..., Any]]] = {
    "combine": COMBINES,
    "baseline": BASELINES,
    "scale": SCALES,
    "group_weight": GROUP_WEIGHTS,
    "keep": KEEP,
    "ratio": RATIOS,
    "surrogate": SURROGATES,
    "correction": CORRECTIONS,
    "correction_level": CORRECTION_LEVELS,
    "aggregate": AGGREGATES,
    "kl": ESTIMATORS,
}


def prepare(config: AnyConfig) -> Path:
    """Claim the run folder, after `check`. Raises as it does."""
    check(config)
    return claim_folder(config)


def check(config: AnyConfig) -> None:
    """Look at everything that can be known to be wrong without a model: names, folders, engine, data.

    Raises `ConfigError`, `ModelError` or `DataError`.
    """
    pick_device(config.device)
    check_model(config.model, "model")
    if isinstance(config, PolicyRunConfig):
        check_engine(config.engine)
    if isinstance(config, GRPOConfig):
        check_objective(config.objective)
    if isinstance(config, PPOConfig) and config.critic is not None:
        check_model(config.critic, "critic")
    if isinstance(config, DPOConfig):
        check_choice({**PAIR_LOSSES, **UNPAIRED_LOSSES}, config.loss, "loss")
    if not isinstance(config, RewardModelConfig) and config.task is not None:
        check_task(config, task_of(config))


def check_model(config: ModelConfig, key: str) -> None:
    if config.path is not None:
        check_path(config.path, f"{key}.path")
    if config.attention:
        check_attention(config.attention, f"{key}.attention")


def check_task(config: PolicyConfig, task: Task) -> None:
    """Make the verifiers and read the first problems. Raises `DataError` or `ConfigError`."""
    check_rewards(config.verify)
    first_problems(task, config.eval)
    if config.eval.verifier:
        check_verifier(config.eval.verifier, "eval.verifier")
    if config.verify.verifier in (None, LEARNED):
        check_verifier(task.problem(0).verifier, "the task's verifier")
    if isinstance(config, SFTConfig) and config.data is None:
        solution_of(task.problem(0))
    elif isinstance(config, GRPOConfig) and config.cold_start is not None:
        knobs = {**config.task.knobs, **config.cold_start.task}
        solution_of(make_task(config.task.name, knobs, config.seed).problem(0))


def open_run(config: PolicyConfig, model: ModelConfig | None = None) -> Run:
    """Build every part of a run. `model` is what to start from, where that is not `config.model`."""
    folder = prepare(config)
    model = model or config.model
    device = set_up(config)
    task = task_of(config)
    held_out = first_problems(task, config.eval) if config.eval.happens and not isinstance(task, NoTask) else []
    chat = make_chat_for(model, task) if isinstance(config, GRPOConfig) else chat_for_rows(config, task)
    for problem in held_out:
        chat.problem_ids(problem, config.sampling.max_tokens)
    set_global_generators(config.seed, "build")
    policy = load_policy(model, chat, device, scoring_temperature(config), config.seed)
    if isinstance(config, PPOConfig):
        policy.critic = critic_of(config, policy, chat, device)
    learner = Learner(policy, config.optimizer, optimizer_steps(config), reference_of(config, model, chat, device))
    if isinstance(task, NoTask):
        return Run(config, folder, learner, SilentEngine(), chat, task, held_out, make_grade(config.verify))
    generator = make_generator(config, policy, chat)
    if config.engine.name == "vllm":
        probes = [chat.problem_ids(task.problem(number), PROBE_TOKENS) for number in range(PROBE_PROMPTS)]
        prove_sync(learner, generator, probes, tolerance_of(config))
    grade, judge = graders(config, device)
    return Run(config, folder, learner, generator, chat, task, held_out, grade, judge=judge)


def graders(config: PolicyRunConfig, device: torch.device) -> tuple[Grade, Grade]:
    """What gives the rewards, and what judges evaluations."""
    learned = config.verify.reward_model
    name = config.eval.verifier or (None if learned is not None else config.verify.verifier)
    judge = make_grade(config.verify.model_copy(update={"verifier": name}))
    return (load_reward_grade(learned, device) if learned is not None else make_grade(config.verify)), judge


def open_reward_run(config: RewardModelConfig) -> Run:
    """Build a run that trains a reward model: nothing is sampled, and what is saved is a classifier."""
    folder = prepare(config)
    device = set_up(config)
    chat = chat_for_rows(config, NoTask())
    set_global_generators(config.seed, "build")
    reward_model = load_reward_model(config.model, chat, device, config.seed)
    learner = Learner(reward_model, config.optimizer, config.steps)
    save = partial(reward_model.save, tokenizer=chat.tokenizer)
    return Run(config, folder, learner, SilentEngine(), chat, NoTask(), [], make_grade(VerifyConfig()), save=save)


def set_up(config: RunConfig) -> torch.device:
    """Set the number of threads, and say which device to compute on."""
    if config.threads:
        torch.set_num_threads(config.threads)
    return pick_device(config.device)


def task_of(config: AnyConfig) -> Task:
    """The task that a configuration names; `NoTask` where it learns from rows of data alone."""
    if isinstance(config, RewardModelConfig) or config.task is None:
        return NoTask()
    return make_task(config.task.name, config.task.knobs, config.seed)


def pick_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device: got {name!r}, expected auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device: got {name!r}, and torch finds no CUDA here; use device=cpu or device=auto")
    return device


def check_engine(config: EngineConfig) -> None:
    """Refuse an engine that is not installed or has no script. Raises `ConfigError`."""
    if config.name == "scripted":
        load_script(config.script)
    if config.name == "vllm" and find_spec("vllm") is None:
        raise ConfigError(
            "engine: vllm is not installed; install it with pip install 'rlvr[vllm]' (on a GPU), or use "
            "engine=transformers"
        )


def check_objective(objective: Objective) -> None:
    """Refuse a choice that names nothing, a function that cannot be called as its kind is, a number out of its range,
    and choices that exclude each other.

    Raises `ConfigError`.
    """
    for axis, table in AXES.items():
        check_choice(table, getattr(objective, axis), f"objective.{axis}")
    try:
        pick_name(OVERLONG, objective.overlong, "objective.overlong")
        pick_name(KL_IN, objective.kl_in, "objective.kl_in")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    wrong = contradictions(objective)
    if wrong:
        raise ConfigError("; ".join(wrong))


def check_choice(table: Mapping[str, Callable[..., Any]], name: str, key: str) -> None:
    try:
        check_signature(table, name, pick(table, name, key), key)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def check_rewards(config: VerifyConfig) -> None:
    if config.reward_model is not None:
        check_path(config.reward_model.path, "verify.reward_model.path")
    elif config.verifier:
        check_verifier(config.verifier, "verify.verifier")


def check_verifier(spec: Spec, key: str) -> None:
    """Make the verifier that stands at `key`, with all its parts. Raises `ConfigError`."""
    try:
        get_verifier(spec, key)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def claim_folder(config: RunConfig) -> Path:
    """Make the run folder, or find in it the same configuration. Raises `ConfigError` where it holds another run."""
    folder = Path(config.out)
    path = folder / "config.yaml"
    now = config.model_dump(mode="json")
    if path.exists() and any(folder.rglob("metrics.jsonl")):  # a start that failed before its first step claims nothing
        before = yaml.safe_load(path.read_text())
        changed = [
            f"{key} ({old} there, {new} now)"
            for key, old, new in differences(before, now)
            if key.split(".")[0] not in MAY_CHANGE
        ]
        if changed:
            raise ConfigError(
                f"{folder} holds a run with another configuration: {'; '.join(changed[:5])}. Choose another "
                f"folder (out=runs/NAME), or delete that one"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(dump_config(config))
        os.replace(partial, path)
    except OSError as error:
        raise ConfigError(
            f"out: cannot make the run folder {str(folder)!r}: {error}; choose another, out=runs/NAME"
        ) from error
    return folder


def differences(before: Any, now: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    """`(dotted key, before, now)` of every leaf in which two configurations differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            found
            for name in {**before, **now}
            for found in differences(before.get(name), now.get(name), f"{key}.{name}" if key else name)
        ]
    return [] if before == now else [(key, before, now)]


def first_problems(task: Task, config: EvalConfig) -> list[Problem]:
    """The held-out problems; the first training problem is read too, so that a bad dataset says so now."""
    try:
        task.problem(0)
        return task.held_out(config.problems)
    except ValueError as error:
        raise DataError(str(error)) from error


def make_chat_for(model: ModelConfig, task: Task) -> Chat:
    if model.scratch is None:
        return load_chat(str(model.path))
    problems = [task.problem(number) for number in range(TOKENIZER_PROBLEMS)]
    texts = [
        text
        for problem in problems
        for text in (*(message["content"] for message in problem.prompt), problem.solution or problem.answer)
    ]
    return scratch_chat(model.scratch, texts)


def chat_for_rows(config: SFTConfig | DPOConfig | RewardModelConfig, task: Task) -> Chat:
    """The tokenizer of a run on data; for a model from nothing it is trained on the first rows, else on the task."""
    if config.model.scratch is None or config.data is None:
        return make_chat_for(config.model, task)
    rows, _ = split_rows(config.data, reader_of(config))
    texts = [text for row in islice(rows, TOKENIZER_PROBLEMS) for text in texts_of(row)]
    return scratch_chat(config.model.scratch, texts)


def optimizer_steps(config: PolicyConfig) -> int:
    """The length of the learning-rate schedule."""
    return config.steps * config.epochs * config.minibatches if isinstance(config, GRPOConfig) else config.steps


def scoring_temperature(config: PolicyConfig) -> float:
    """RL learns from what was drawn, and scores it as it was drawn; data was not, and is learned as it is."""
    return config.sampling.temperature if isinstance(config, GRPOConfig) else 1.0


def reference_of(config: PolicyConfig, model: ModelConfig, chat: Chat, device: torch.device) -> Policy | None:
    """A frozen copy of the initial model, where the KL term needs one; with adapters the model itself serves."""
    if not isinstance(config, GRPOConfig) or not config.objective.needs_reference or model.lora:
        return None
    reference = load_policy(model, chat, device, scoring_temperature(config), config.seed)
    reference.model.requires_grad_(False)
    return reference


def critic_of(config: PPOConfig, policy: Policy, chat: Chat, device: torch.device) -> Critic:
    """A model of its own where one is named, else a second head on the policy's backbone."""
    if config.critic is None:
        return ValueHead(policy.model.config.get_text_config().hidden_size, device)
    critic = load_reward_model(config.critic, chat, device, config.seed)
    sizes = [model.config.get_text_config().vocab_size for model in (critic.model, policy.model)]
    if sizes[0] != sizes[1]:
        raise ConfigError(
            f"critic: its vocabulary has {sizes[0]} tokens and the policy's {sizes[1]}; expected the same tokenizer"
        )
    return critic


def make_generator(config: PolicyRunConfig, policy: Policy, chat: Chat) -> Generator:
    engine = config.engine
    if engine.name == "vllm":
        from rlvr.engines.vllm_engine import VLLMEngine

        folder = Path(config.out) / "engine"
        folder.mkdir(parents=True, exist_ok=True)
        save_model(policy, chat.tokenizer, folder)
        return VLLMEngine(
            folder,
            chat.end_ids,
            derive(config.seed, "vllm"),
            config.model.dtype if config.model.autocast == "none" else config.model.autocast,
            engine.max_model_len or chat.context,
            engine.gpu_memory_utilization,
            engine.enforce_eager,
        )
    if engine.name == "scripted":
        return ScriptedEngine(load_script(engine.script), chat)
    from rlvr.engines.transformers_engine import TransformersEngine

    return TransformersEngine(policy.model, chat.end_ids, engine.cache_tokens)
