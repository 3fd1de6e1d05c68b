"""Checks that need no loaded model: names, paths, engine, data. They change nothing."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import torch

from rlvr.algorithms.advantage import BASELINES, COMBINES, GROUP_WEIGHTS, SCALES
from rlvr.algorithms.choices import check_signature, pick, pick_name
from rlvr.algorithms.correction import CORRECTION_LEVELS, CORRECTIONS
from rlvr.algorithms.kl import ESTIMATORS
from rlvr.algorithms.objective import KL_IN, OVERLONG, Objective, contradictions
from rlvr.algorithms.policy_loss import RATIOS, SURROGATES
from rlvr.algorithms.preference_loss import PAIR_LOSSES, UNPAIRED_LOSSES
from rlvr.algorithms.weights import AGGREGATES
from rlvr.config import (
    LEARNED,
    DataConfig,
    DPOConfig,
    EngineConfig,
    EvalConfig,
    EvalSetConfig,
    ModelConfig,
    PolicyRunConfig,
    PPOConfig,
    RewardModelConfig,
    RLConfig,
    RunConfig,
    SFTConfig,
    TaskConfig,
    VerifyConfig,
)
from rlvr.data.examples import readable, reader_of, split_rows
from rlvr.engines.scripted import load_script
from rlvr.errors import ConfigError, DataError, ModelError
from rlvr.learners.optimizer import loss_scale_of
from rlvr.models.adapters import adapter_config_at, base_of, check_adapters
from rlvr.models.chat import solution_of
from rlvr.models.load import check_attention, check_path
from rlvr.models.remote_code import check_code
from rlvr.models.templates import check_template
from rlvr.rollouts.grader import LearnedPart
from rlvr.rollouts.groups import KEEP
from tasks import Problem, Task, make_task
from tasks.table import Rows
from verifiers import Spec, Verifier, get_verifier, verify_batch
from verifiers.registry import NO_OTHERS

# The temperatures that vLLM samples at; it raises lower ones without a word.
VLLM_TEMPERATURES = (0.01, 2.0)
# Number of training problems whose verifiers are made before a run: a mixture has several.
CHECKED_PROBLEMS = 32
# The choices of an objective that name functions, each with its known functions.
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


def check(config: RunConfig) -> None:
    """Check a run before any work is done. Raises `ConfigError`, `ModelError` or `DataError`."""
    check_parts(config)
    check_training(config)
    check_best(config)
    if isinstance(config, RLConfig):
        check_objective(config.objective)
    if isinstance(config, PPOConfig) and config.critic is not None:
        check_model(config.critic, "critic")
        check_scorer(config.critic, "critic")
        check_no_adapters({"critic.path": config.critic.path, "critic.lora.path": lora_path(config.critic)})
    if isinstance(config, RewardModelConfig):
        check_scorer(config.model, "model")
    if isinstance(config, DPOConfig):
        check_choice({**PAIR_LOSSES, **UNPAIRED_LOSSES}, config.loss, "loss")
    if isinstance(config, SFTConfig | DPOConfig | RewardModelConfig) and config.data is not None:
        check_rows(config.data, reader_of(config))
    if isinstance(config, PolicyRunConfig):
        check_sets(config)
    if isinstance(config, PolicyRunConfig) and config.problems is not None:
        check_sampling(config, config.problems, trains=config.rows is None)
        check_solutions(config, config.problems)


def check_parts(config: RunConfig) -> None:
    """Check the device, the model and the engine."""
    pick_device(config.device)
    check_model(config.model, "model")
    if isinstance(config, PolicyRunConfig):
        check_engine(config.engine)
        if config.engine.name == "vllm":
            check_vllm(config)
    else:
        check_no_adapters({"model.path": config.model.path, "model.lora.path": lora_path(config.model)})


def check_training(config: RunConfig) -> None:
    """Refuse an optimizer that is not installed, and weights that cannot be trained in their precision.

    Raises `ConfigError`.
    """
    if config.optimizer.name != "adamw":
        check_bitsandbytes(f"optimizer.name: {config.optimizer.name}")
    critic = config.critic if isinstance(config, PPOConfig) else None
    models = {"model": config.model} | ({"critic": critic} if critic else {})
    for key, model in models.items():
        if model.dtype == "float16" and model.lora is None:
            raise ConfigError(
                f"{key}.dtype: float16 is too coarse to train all weights in; expected {key}.lora beside it, or "
                f"{key}.dtype=float32 with {key}.autocast=float16"
            )
    if isinstance(config, PPOConfig) and config.trust_region and loss_scale_of(config.model).factor != 1:
        raise ConfigError(
            "trust_region takes gradients of gradients, which are too small for float16; expected float32 or bfloat16 "
            "in model.dtype and model.autocast"
        )


def check_bitsandbytes(key: str) -> None:
    if find_spec("bitsandbytes") is None:
        raise ConfigError(
            f"{key} needs bitsandbytes, which is not installed; install it with pip install 'rlvr[bitsandbytes]', or "
            "leave the key out"
        )


def check_scorer(config: ModelConfig, key: str) -> None:
    """Refuse quantized weights under a head that scores. Raises `ConfigError`."""
    if config.quantize != "none":
        raise ConfigError(
            f"{key}.quantize: {config.quantize} is for policies, and this is a model that scores; leave it out"
        )


def check_vllm(config: PolicyRunConfig) -> None:
    """Refuse what vLLM would silently change. Raises `ConfigError`."""
    for key, sampling in {"sampling": config.sampling, "eval.sampling": config.eval_sampling}.items():
        low, high = VLLM_TEMPERATURES
        if not low <= sampling.temperature <= high:
            raise ConfigError(
                f"{key}.temperature: got {sampling.temperature:g}, and vLLM samples at temperatures from {low:g} to "
                f"{high:g}; use one of these, or engine=transformers"
            )
    if config.model.quantize == "int8":
        raise ConfigError(
            "model.quantize: int8 rounds the activations, which vLLM's copy of the weights would not; use quantize: "
            "nf4, or engine=transformers"
        )


def check_model(config: ModelConfig, key: str) -> None:
    if config.path is not None:
        check_path(config.path, f"{key}.path", config.revision)
        adapter = adapter_config_at(config.path)
        if adapter is None:
            check_code(config.path, config.trust_remote_code, config.revision, key)
        else:
            base = base_of(config.path, adapter, f"{key}.path")
            try:
                check_path(base, f"{key}.path {config.path!r} holds adapters, and their base")
            except ModelError as error:
                raise ModelError(
                    f"{error}; if the base lies elsewhere: {key}.path=THERE {key}.lora.path={config.path}"
                ) from error
            check_code(base, config.trust_remote_code, None, key)
    if config.lora is not None and config.lora.path is not None:
        check_path(config.lora.path, f"{key}.lora.path")
        check_adapters(config.lora, f"{key}.lora")
    if config.quantize != "none":
        check_bitsandbytes(f"{key}.quantize: {config.quantize}")
    if config.chat_template is not None:
        check_template(config.chat_template)
    if config.attention:
        check_attention(config.attention, f"{key}.attention")


def lora_path(config: ModelConfig) -> str | None:
    return None if config.lora is None else config.lora.path


def check_no_adapters(paths: Mapping[str, str | None]) -> None:
    """Refuse adapters of a policy, by their keys, where a model has a head that scores. Raises `ModelError`."""
    for key, path in paths.items():
        if path and adapter_config_at(path) is not None:
            raise ModelError(
                f"{key} {path!r} holds adapters, and a model with a head that scores is loaded as a whole; merge "
                f"those of a policy first: rlvr export {path} OUT, then name OUT there"
            )


def check_best(config: RunConfig) -> None:
    """Refuse `checkpoint.best` of an evaluation in a run that never evaluates. Raises `ConfigError`."""
    best = config.checkpoint.best
    if best is None or not best.startswith("eval/"):
        return
    evaluation = config.eval
    asked = isinstance(evaluation, EvalConfig) and evaluation.happens
    if not asked or not isinstance(config, PolicyRunConfig) or config.problems is None:
        raise ConfigError(
            f"checkpoint.best is {best!r}, but this run evaluates no problems; expected eval.problems of 1 or more and "
            "a task, or the name of another metric"
        )


def check_sampling(config: PolicyRunConfig, problems: TaskConfig, trains: bool) -> None:
    """Construct the verifiers and read the first problems; of training ones only where the run `trains` on some.

    Raises `DataError` or `ConfigError`.
    """
    task = make_task(problems.name, problems.knobs, config.seed)
    check_rewards(config.verify)
    read = first_problems(task, config.eval, trains)
    if config.eval.verifier:
        check_verifier(config.eval.verifier, "eval.verifier")
    if config.verify.verifier is None or config.verify.reward_model is not None:
        read += [task.problem(number) for number in range(CHECKED_PROBLEMS)] if trains else []
        for spec in {str(problem.verifier): problem.verifier for problem in read}.values():
            check_verifier(spec, "the task's verifier")
    if isinstance(config, RLConfig) and trains:
        check_solved(config)
        if config.objective.combine == "decoupled":
            first = [*read, task.problem(0)]
            for problem in {str(config.verify.verifier or problem.verifier): problem for problem in first}.values():
                check_rewards_apart(config.verify, problem)


def check_solved(config: RLConfig) -> None:
    """Refuse a selection by solved problems where no reward says what is solved. Raises `ConfigError`."""
    learned = config.verify.verifier == LEARNED and config.verify.solved_at is None
    if learned and config.selection.by_problem:
        key = "skip_solved" if config.selection.skip_solved else "curriculum"
        raise ConfigError(
            f"selection.{key} asks which problems are solved, and the score of a reward model does not say; set "
            f"verify.solved_at to the score that solves a problem, or leave selection.{key} out"
        )


def check_rewards_apart(config: VerifyConfig, problem: Problem) -> None:
    """Try the verifier on an empty completion: `combine: decoupled` needs verdicts with parts. Raises `ConfigError`."""
    others: Mapping[str, Verifier] = {LEARNED: LearnedPart()} if config.reward_model is not None else NO_OTHERS
    spec = config.verifier or problem.verifier
    pairs = [("", problem.answer, problem.context)]
    verifier = get_verifier(spec, others=others)
    (verdict,) = verify_batch(pairs, verifier, workers=1, timeout_seconds=config.timeout_seconds)
    if verdict.score is not None and not verdict.parts:
        raise ConfigError(
            f"objective.combine is 'decoupled', which normalizes each part of a verdict, and the verifier {spec!r} "
            "gives none; name one that is composed of others in verify.verifier, such as {weighted_sum: {math: 1.0, "
            "format: 0.2}}, or use combine: sum"
        )


def check_rows(config: DataConfig, read: Callable[..., Rows[Any]]) -> None:
    """Read the first row of each part of the data, so that a missing file or another format fails now. Raises
    `DataError`."""
    for part in split_rows(config, read):
        if not config.skip_broken:
            next(readable(part, skip_broken=False), None)


def check_solutions(config: PolicyRunConfig, problems: TaskConfig) -> None:
    """Look for a worked solution where training starts from some. Raises `DataError`."""
    start = config.cold_start_config(config.out) if isinstance(config, RLConfig) else config
    if start is not None and start.rows is None:
        learned = start.problems or problems
        solution_of(make_task(learned.name, learned.knobs, config.seed).problem(0))


def check_sets(config: PolicyRunConfig) -> None:
    """Read the problems of the named evaluation sets and construct their verifiers. Raises `DataError` or
    `ConfigError`."""
    for name, one in config.eval.sets.items():
        specs = [problem.verifier for problem in problems_of(name, one, config.seed)[:CHECKED_PROBLEMS]]
        chosen = one.verifier or config.eval.verifier
        for spec in [chosen] if chosen else specs:
            check_verifier(spec, f"eval.sets.{name}.verifier")


def problems_of(name: str, one: EvalSetConfig, seed: int) -> list[Problem]:
    """The problems of a named set. Raises `DataError` if there are none."""
    try:
        problems = make_task(one.name, one.knobs, seed).held_out(one.problems)
    except ValueError as error:
        raise DataError(f"eval.sets.{name}: {error}") from error
    if not problems:
        raise DataError(f"eval.sets.{name}: the task {one.name!r} holds out no problems; expected some to evaluate on")
    return problems


def first_problems(task: Task, config: EvalConfig, trains: bool = True) -> list[Problem]:
    """The held-out problems. If the run `trains` on problems, also reads the first, so that a bad dataset fails now."""
    try:
        if trains:
            task.problem(0)
        return list(task.held_out(config.problems))
    except ValueError as error:
        raise DataError(str(error)) from error


def pick_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device: got {name!r}, expected auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device: got {name!r}, but torch finds no CUDA here; use device=cpu or device=auto")
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
    """Refuse unknown choices, functions with the wrong signature, numbers out of range, and choices that exclude each
    other.

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
    others: Mapping[str, Verifier] = {}
    if config.reward_model is not None:
        check_path(config.reward_model.path, "verify.reward_model.path")
        check_no_adapters({"verify.reward_model.path": config.reward_model.path})
        others = {LEARNED: LearnedPart()}
    if config.verifier:
        check_verifier(config.verifier, "verify.verifier", others)


def check_verifier(spec: Spec, key: str, others: Mapping[str, Verifier] = NO_OTHERS) -> None:
    """Construct the verifier at `key` with all its parts. Raises `ConfigError`."""
    try:
        get_verifier(spec, key, others)
    except ValueError as error:
        raise ConfigError(str(error)) from error
