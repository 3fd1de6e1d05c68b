"""`rlvr eval`: a recipe's evaluation of a model, without training it."""

import torch
from rich.console import Console
from rich.table import Table

from rlvr.build import (
    check_engine,
    check_rewards,
    check_verifier,
    first_problems,
    graders,
    make_chat_for,
    make_generator,
    pick_device,
)
from rlvr.config import AnyConfig, RewardModelConfig
from rlvr.errors import ConfigError
from rlvr.evaluate import Evaluation, evaluate
from rlvr.models.load import check_path, load_policy
from rlvr.rollout import check_graders
from rlvr.types import Sampling
from tasks import make_task


def evaluate_model(config: AnyConfig) -> Evaluation:
    """Evaluate `config.model` on the recipe's held-out problems and print what was found.

    Raises `ConfigError` where the recipe names no trained model or evaluates nothing.
    """
    if isinstance(config, RewardModelConfig) or config.task is None:
        raise ConfigError("this recipe has no problems to evaluate on: name a task under task:")
    if config.model.path is None:
        raise ConfigError("model.scratch is not trained: name a model, such as model.path=runs/quickstart/model")
    if not config.eval.problems:
        raise ConfigError("eval.problems is 0; expected how many held-out problems to evaluate on")
    if config.threads:
        torch.set_num_threads(config.threads)
    check_path(config.model.path)
    check_engine(config.engine)
    task = make_task(config.task.name, config.task.knobs, config.seed)
    problems = first_problems(task, config.eval)
    check_rewards(config.verify)
    if config.eval.verifier:
        check_verifier(config.eval.verifier, "eval.verifier")
    else:
        check_verifier(problems[0].verifier, "the task's verifier")
    chat = make_chat_for(config.model, task)
    policy = load_policy(config.model, chat, pick_device(config.device), config.sampling.temperature, config.seed)
    s = config.sampling
    found = evaluate(
        problems,
        config.eval.samples,
        Sampling(s.max_tokens, s.temperature, s.top_p, s.top_k),
        make_generator(config, policy, chat),
        chat,
        graders(config, policy.device)[1],
        seed=0,
    )
    for groups in found.groups:
        check_graders(groups, config.verify.max_failed_share)
    table = Table("measure", "mean", "95 % interval", title=f"{config.model.path} on {len(problems)} problems")
    for name, estimate in found.estimates.items():
        table.add_row(name, f"{estimate.mean:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}")
    table.add_row("mean length", f"{found.mean_length:.1f} tokens", "")
    table.add_row("cut off", f"{found.truncated:.1%}", "")
    table.add_row("grader failed", f"{found.failed:.1%}", "")
    Console().print(table)
    return found
