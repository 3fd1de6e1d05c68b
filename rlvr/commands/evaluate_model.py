"""`rlvr eval`: a recipe's evaluation of a model, or of a state of a run, without training it.

The result is a folder: result.json (estimates with intervals, the command, the whole configuration), and every
completion in greedy.parquet and drawn.parquet, as in the ledger.
"""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rlvr.build import open_rollouts
from rlvr.commands.state import state_of
from rlvr.config import RunConfig
from rlvr.errors import ConfigError
from rlvr.rollouts.evaluate import Evaluation
from rlvr.runfolder.files import whole_file, whole_folder
from rlvr.runfolder.ledger import write_ledger
from rlvr.runfolder.saved import Saved

RESULT = "result.json"


def evaluate_source(
    source: Path, overrides: Sequence[str], step: int | None, best: bool, out: Path | None, command: str
) -> dict[str, Evaluation]:
    """Evaluate a recipe's model, or a state of a run, and write the result to `out`.

    Without `out` it goes to `<out of the configuration>/evaluations/eval-0001`, or the next free number. Raises
    `ConfigError` if there is no such state, or if `out` is in use.
    """
    if out is not None and out.exists() and any(out.iterdir()):
        raise ConfigError(f"{str(out)!r} exists and is not empty; expected a new folder for the result")
    config, saved = state_of(source, overrides, step, best)
    evaluations = evaluate_model(config, saved)
    folder = out or next_folder(Path(config.out) / "evaluations")
    for name, evaluation in evaluations.items():
        write_result(folder / name, evaluation, config, saved, command)
    print(f"the result is in {folder}", flush=True)
    return evaluations


def evaluate_model(config: RunConfig, saved: Saved | None = None) -> dict[str, Evaluation]:
    """Evaluate `config.model`, with the weights of the checkpoint in `saved`, on the recipe's held-out problems (the
    name "") and on its named sets, and print the results.

    Raises `ConfigError` if the recipe names no trained model or evaluates nothing.
    """
    rollouts, _ = open_rollouts(config, evaluates=True, checkpoint=saved.checkpoint if saved else None)
    with closing(rollouts):
        evaluations = {one.name: rollouts.evaluate(one) for one in rollouts.evaluated}
    for name, evaluation in evaluations.items():
        of = f" of {name}" if name else ""
        show(evaluation, f"{saved or config.model.path} on {len(evaluation.groups[0])} problems{of}")
    return evaluations


def show(evaluation: Evaluation, title: str) -> None:
    """Print the results of one evaluation as a table."""
    table = Table("measure", "mean", "95 % interval", title=title)
    for name, estimate in evaluation.estimates.items():
        interval = f"{estimate.low:.3f} to {estimate.high:.3f}"
        table.add_row(name, *((f"{estimate.mean:.3f}", interval) if estimate.is_known else ("unknown", "")))
    table.add_row("mean length", f"{evaluation.mean_length:.1f} tokens", "")
    table.add_row("cut off", f"{evaluation.truncated:.1%}", "")
    table.add_row("grader failed", f"{evaluation.failed:.1%}", "")
    Console().print(table)
    for warning in filter(None, (evaluation.failures, evaluation.doubt)):
        print(f"warning: {warning}")


def next_folder(parent: Path) -> Path:
    """`parent/eval-N` with the first free number."""
    number = 1 + max((int(path.name.removeprefix("eval-")) for path in parent.glob("eval-[0-9]*[0-9]")), default=0)
    return parent / f"eval-{number:04d}"


def write_result(folder: Path, evaluation: Evaluation, config: RunConfig, saved: Saved | None, command: str) -> None:
    """Write result.json and the completions."""
    step = saved.step if saved else 0
    result: dict[str, Any] = {
        "command": command,
        "model": config.model.path if saved is None or saved.checkpoint is None else str(saved.checkpoint),
        "step": saved.step if saved else None,
        "problems": len(evaluation.groups[0]),
        "confidence": 0.95,
        "estimates": {name: finite(asdict(estimate)) for name, estimate in evaluation.estimates.items()},
        "metrics": finite(evaluation.metrics()),
        "config": config.model_dump(mode="json"),
    }
    with whole_folder(folder) as partial:
        for kind, groups in zip(("greedy", "drawn"), evaluation.groups, strict=True):
            if groups:
                write_ledger(partial / f"{kind}.parquet", step, groups)
        with whole_file(partial / RESULT) as path:
            path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """The values with null for what is not a finite number, which JSON cannot hold."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
