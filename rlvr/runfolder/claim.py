"""Claims a run folder: it holds the configuration of one run. A resume may change what `config.resume` allows; other
differences are refused.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from rlvr.config import RunConfig
from rlvr.config.file import RUN_CONFIG, Origin, check_config, dump_config
from rlvr.config.resume import rule_of
from rlvr.errors import ConfigError
from rlvr.runfolder.checkpoint import checkpoints, step_of
from rlvr.runfolder.files import whole_file

MODEL, ADAPTER, COLD_START, METRICS = "model", "adapter", "cold_start", "metrics.jsonl"
CHECKPOINTS, BEST = "checkpoints", "best"
# One line for each key that a resume changed: the step after which it did, the key, its value before and now.
CHANGES = "changes.jsonl"
# Said each time and never kept: what accepts the data of today does not accept those of tomorrow.
ACCEPTS_DATA = "accept_changed_data"
# Differences that one message names.
MOST_NAMED = 5


def claim_folder(config: RunConfig, one_protocol: bool = False) -> Path:
    """Make the run folder, or go on with the run that it holds: note what changes, and keep the new configuration.

    With `one_protocol` only what leaves the numbers as they are may change: a comparison is of whole runs. Raises
    `ConfigError` if the folder holds another run, or one that has taken more than `config.steps` steps.
    """
    folder = Path(config.out)
    path = folder / RUN_CONFIG
    changes: list[tuple[str, Any, Any]] = []
    if path.exists() and any(folder.rglob(METRICS)):  # a run that failed before its first step claims nothing
        unheeded = {"out", ACCEPTS_DATA} if one_protocol else {"out"}
        found = differences(kept_config(path), config.model_dump(mode="json"))
        changes = [change for change in found if change[0] not in unheeded]
        refuse_changes(folder, changes, one_protocol)
        refuse_fewer_steps(folder, config.steps)
    try:
        note_changes(folder, changes)
        with whole_file(path) as partial:
            partial.write_text(dump_config(config.model_copy(update={ACCEPTS_DATA: False})))
    except OSError as error:
        raise ConfigError(
            f"out: cannot make the run folder {str(folder)!r}: {error}; choose another, out=runs/NAME"
        ) from error
    if config.optimizer.schedule != "constant" and any(key == "steps" for key, _, _ in changes):
        print(
            f"optimizer.schedule is {config.optimizer.schedule}: from here on the learning rate is what a run of "
            f"{config.steps} steps has at these steps, so it may jump",
            flush=True,
        )
    return folder


def refuse_changes(folder: Path, changes: list[tuple[str, Any, Any]], one_protocol: bool) -> None:
    """Raise `ConfigError` if a resume may not change these keys, with the reason for each."""
    refused = [
        f"{key} ({old} there, {new} now): {reason}"
        for key, old, new in changes
        if (reason := why_not(folder, key, one_protocol))
    ]
    if refused:
        more = f"; and {len(refused) - MOST_NAMED} more" if len(refused) > MOST_NAMED else ""
        raise ConfigError(
            f"{folder} holds a run with another configuration: {'; '.join(refused[:MOST_NAMED])}{more}. Choose another "
            f"folder (out=runs/NAME), or delete that one"
        )


def why_not(folder: Path, key: str, one_protocol: bool) -> str | None:
    """Why a resume may not change a key of the run in `folder`; `None` if it may."""
    rule = rule_of(key)
    if not rule.may_change:
        return rule.why
    if one_protocol and rule.kind != "speed":
        return "the runs of a comparison keep one protocol from their first step to their last"
    if key.startswith("cold_start.") and rule.kind == "learning" and model_of(cold_start_of(folder)).exists():
        return f"the cold start is finished, and {rule_of('cold_start').why}"
    return None


def refuse_fewer_steps(folder: Path, steps: int) -> None:
    """Raise `ConfigError` if the run in `folder` has already taken more than `steps` steps."""
    done = steps_taken(folder)
    if steps < done:
        raise ConfigError(
            f"steps: got {steps}, but the run in {folder} has already taken {done}; expected {done} (it ends there) or "
            f"more. For an earlier state: rlvr export {folder} OUT --step N, of "
            f"{', '.join(str(step_of(path)) for path in checkpoints(folder / CHECKPOINTS))}"
        )


def steps_taken(folder: Path) -> int:
    """The step of the newest checkpoint of the run in `folder`; 0 without one."""
    return max((step_of(path) for path in checkpoints(folder / CHECKPOINTS)), default=0)


def note_changes(folder: Path, changes: list[tuple[str, Any, Any]]) -> None:
    """Append what a resume changes to `changes.jsonl`, and print it."""
    if not changes:
        return
    done = steps_taken(folder)
    with (folder / CHANGES).open("a", encoding="utf-8") as file:
        for key, before, now in changes:
            file.write(json.dumps({"step": done, "key": key, "before": before, "now": now}) + "\n")
    named = "; ".join(f"{key} from {before} to {now}" for key, before, now in changes)
    print(f"changed after step {done}: {named} (noted in {folder / CHANGES})", flush=True)


def kept_config(path: Path) -> Any:
    """The configuration of a run folder as plain values, with older keys in their present spelling."""
    values = yaml.safe_load(path.read_text())
    try:
        return check_config(values, Origin(str(path))).model_dump(mode="json")
    except ConfigError:  # from a version with other keys: the differences are reported one by one
        return values


def differences(before: Any, now: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    """`(dotted key, before, now)` of every leaf in which two configurations differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            difference
            for name in {**before, **now}
            for difference in differences(before.get(name), now.get(name), f"{key}.{name}" if key else name)
        ]
    return [] if before == now else [(key, before, now)]


def model_of(folder: str | Path) -> Path:
    """The path of the final model of the run in `folder`."""
    return Path(folder) / MODEL


def adapter_of(folder: str | Path) -> Path:
    """The path of the final adapters of the run in `folder`, if it trained adapters."""
    return Path(folder) / ADAPTER


def cold_start_of(folder: str | Path) -> Path:
    """The run folder of a run's cold start."""
    return Path(folder) / COLD_START
