"""`rlvr eval`: a recipe's evaluation of a model, without training it."""

from contextlib import closing

from rich.console import Console
from rich.table import Table

from rlvr.build import open_rollouts
from rlvr.config import RunConfig
from rlvr.rollouts.evaluate import Evaluation


def evaluate_model(config: RunConfig) -> Evaluation:
    """Evaluate `config.model` on the recipe's held-out problems and print the results.

    Raises `ConfigError` if the recipe names no trained model or evaluates nothing.
    """
    rollouts, _ = open_rollouts(config, evaluates=True)
    with closing(rollouts):
        evaluation = rollouts.evaluate()
    table = Table("measure", "mean", "95 % interval", title=f"{config.model.path} on {len(rollouts.held_out)} problems")
    for name, estimate in evaluation.estimates.items():
        interval = f"{estimate.low:.3f} to {estimate.high:.3f}"
        table.add_row(name, *((f"{estimate.mean:.3f}", interval) if estimate.is_known else ("unknown", "")))
    table.add_row("mean length", f"{evaluation.mean_length:.1f} tokens", "")
    table.add_row("cut off", f"{evaluation.truncated:.1%}", "")
    table.add_row("grader failed", f"{evaluation.failed:.1%}", "")
    Console().print(table)
    for warning in filter(None, (evaluation.failures, evaluation.doubt)):
        print(f"warning: {warning}")
    return evaluation
