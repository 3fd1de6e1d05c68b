"""A model card for a state of a run: what was measured before and after, the recipe, the data, the licence."""

import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from rlvr.config import PolicyRunConfig, RunConfig
from rlvr.config.file import RUN_CONFIG, load_config
from rlvr.models.adapters import file_at
from rlvr.runfolder.claim import CHANGES
from rlvr.runfolder.metrics import read_metrics
from rlvr.runfolder.saved import Saved, is_run

RECIPE = "recipe.yaml"
PACKAGES = ("rlvr", "torch", "transformers", "peft")
# Metrics of evaluations; those with an interval have two more, with these endings.
EVALUATED, LOW, HIGH = ("eval/", "held_out/"), "_low", "_high"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def card_of(saved: Saved, name: str, adapter: bool = False) -> str:
    """The card of a state of a run (or of its adapters) in Markdown, with the metadata that the hub reads. `name` is
    its heading."""
    config = load_config(saved.run)
    base = base_path(config)
    licence = licence_of(base) if base else None
    sampled = isinstance(config, PolicyRunConfig)
    metadata: dict[str, Any] = {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation" if sampled else "text-classification",
        "tags": ["rlvr", config.trainer],
    }
    if base and is_hub_id(base):
        metadata["base_model"] = base
    if licence:
        metadata["license"] = licence
    sources = [source for source in sources_of(config) if is_hub_id(source)]
    if sources:
        metadata["datasets"] = sources
    lines = [
        "---",
        yaml.safe_dump(metadata, sort_keys=False).strip(),
        "---",
        f"# {name}",
        "",
        f"{f'`{base}`' if base else 'A new model'} after step {saved.step} of `{config.trainer}` with rlvr.",
        "",
        "## Results",
        "",
        *results(read_metrics(saved.run / "metrics.jsonl"), saved.step),
        "",
        "## Training",
        "",
        f"    rlvr train {RECIPE}",
        "",
        *changes(saved.run / CHANGES, saved.step),
        "<details><summary>The whole recipe</summary>",
        "",
        "```yaml",
        (saved.run / RUN_CONFIG).read_text().strip(),
        "```",
        "",
        "</details>",
        "",
        "## Data",
        "",
        *data(config),
        "",
        "## Licence",
        "",
        f"That of the base model: {licence}."
        if licence
        else "The base model's licence was not found when this card was written; see the base model."
        if base
        else "Not stated.",
        "",
        "## Versions",
        "",
        "When this card was written: " + ", ".join(f"{package} {version_of(package)}" for package in PACKAGES) + ".",
    ]
    return "\n".join(lines) + "\n"


def results(rows: list[dict[str, float]], step: int) -> list[str]:
    """A table of the first evaluation and the last one up to `step`, with 95 % intervals where there are some."""
    evaluated = [row for row in rows if row["step"] <= step and any(name.startswith(EVALUATED) for name in row)]
    if not evaluated:
        return ["The run was not evaluated."]
    before, after = evaluated[0], evaluated[-1]
    columns = [before] if before is after else [before, after]
    names = list(dict.fromkeys(name for row in columns for name in measures(row)))
    head = ["measure", *(f"after step {row['step']:g}" if row["step"] else "before training" for row in columns)]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name in names:
        lines.append("| " + " | ".join([name, *(figure(row, name) for row in columns)]) + " |")
    return [*lines, "", "On held-out problems or rows; 95 % confidence intervals in brackets."]


def measures(row: Mapping[str, float]) -> Iterator[str]:
    """The evaluated metrics of a row that have an interval, or all of them if none has."""
    names = [name for name in row if name.startswith(EVALUATED) and not name.endswith((LOW, HIGH))]
    bounded = [name for name in names if name + LOW in row]
    yield from bounded or names


def figure(row: Mapping[str, float], name: str) -> str:
    if row.get(name) is None:
        return ""
    low, high = row.get(name + LOW), row.get(name + HIGH)
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{row[name]:.3f}{interval}"


def changes(path: Path, step: int) -> list[str]:
    """What resumes changed before `step`: the recipe alone would not say so."""
    notes = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    lines = [
        f"- after step {note['step']}: `{note['key']}` from {note['before']} to {note['now']}"
        for note in notes
        if note["step"] < step
    ]
    return ["Changed while it was trained; the recipe has the last values:", "", *lines, ""] if lines else []


def data(config: RunConfig) -> list[str]:
    if config.rows is not None:
        held_out = f", evaluated on `{config.rows.test}`" if config.rows.test else ""
        return [f"Rows of `{config.rows.train}`{held_out}."]
    if config.problems is None:
        return ["Not stated."]
    knobs = ", ".join(f"`{key}: {value}`" for key, value in config.problems.knobs.items())
    return [f"The task `{config.problems.name}`{f' with {knobs}' if knobs else ''}."]


def sources_of(config: RunConfig) -> list[str]:
    """The files and hub ids that a run learned from."""
    if config.rows is not None:
        return [config.rows.train]
    train = config.problems.knobs.get("train") if config.problems is not None else None
    return [train] if isinstance(train, str) else []


def base_path(config: RunConfig) -> str | None:
    """The model that training began with, through earlier runs on this machine; `None` for a new model."""
    path = config.model.path
    seen: set[str] = set()
    while path is not None and path not in seen and is_run(Path(path).parent):
        seen.add(path)
        path = load_config(Path(path).parent).model.path
    return path


def is_hub_id(name: str) -> bool:
    return HUB_ID.fullmatch(name) is not None and not Path(name).exists()


def licence_of(base: str) -> str | None:
    """The licence that the model card of a folder or hub id states; `None` if it states none."""
    card = file_at(base, "README.md")
    parts = card.read_text(encoding="utf-8", errors="replace").split("---", 2) if card else []
    if len(parts) < 3 or parts[0].strip():
        return None
    try:
        metadata = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return None
    licence = metadata.get("license") if isinstance(metadata, dict) else None
    return licence if isinstance(licence, str) else None


def version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed as a package)"
