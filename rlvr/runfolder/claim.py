"""Claims a run folder: it holds the configuration of one run, and any other configuration is refused."""

from pathlib import Path
from typing import Any

import yaml

from rlvr.config import RunConfig
from rlvr.config.file import Origin, check_config, dump_config
from rlvr.errors import ConfigError
from rlvr.runfolder.files import whole_file

CONFIG, MODEL, COLD_START, METRICS = "config.yaml", "model", "cold_start", "metrics.jsonl"
# The resolved keys that may change when a run resumes: its folder, how often it is saved, what is accepted.
MAY_CHANGE = ("out", "checkpoint", "accept_changed_data")


def claim_folder(config: RunConfig) -> Path:
    """Make the run folder, or check that it has the same configuration. Raises `ConfigError` if it holds another
    run."""
    folder = Path(config.out)
    path = folder / CONFIG
    if path.exists() and any(folder.rglob(METRICS)):  # a run that failed before its first step claims nothing
        changed = [
            f"{key} ({old} there, {new} now)"
            for key, old, new in differences(kept_config(path), config.model_dump(mode="json"))
            if key.split(".")[0] not in MAY_CHANGE
        ]
        if changed:
            raise ConfigError(
                f"{folder} holds a run with another configuration: {'; '.join(changed[:5])}. Choose another "
                f"folder (out=runs/NAME), or delete that one"
            )
    try:
        with whole_file(path) as partial:
            partial.write_text(dump_config(config))
    except OSError as error:
        raise ConfigError(
            f"out: cannot make the run folder {str(folder)!r}: {error}; choose another, out=runs/NAME"
        ) from error
    return folder


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


def cold_start_of(folder: str | Path) -> Path:
    """The run folder of a run's cold start."""
    return Path(folder) / COLD_START
