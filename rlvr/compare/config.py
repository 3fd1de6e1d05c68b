"""The configuration of `rlvr compare`: a base, variants as overrides of it, seeds, and measures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from rlvr.algorithms.choices import nearest
from rlvr.config import AnyConfig, RLConfig, Section
from rlvr.config.file import Origin, check_config, explained, parsed_value, read_values, with_overrides
from rlvr.errors import ConfigError
from rlvr.report.measures import MEASURES

# Keys that the comparison sets for each run.
OWN_KEYS = ("seed", "out", "threads")
COLD_START = "cold_start"  # the folder beside those of the variants


class CompareConfig(Section):
    """Variants differ only in their entries under `variants`."""

    base: str | dict[str, Any]
    """A recipe (its path relative to this file), or a whole configuration written here."""
    overrides: dict[str, Any] = Field({})
    """Dotted keys that change the base for every run; each replaces the value at its key."""
    variants: dict[str, dict[str, Any] | None]
    """The name of each variant, with its dotted overrides."""
    seeds: list[int] = Field([0, 1, 2])
    out: str
    """Folder for the run folders `<variant>/seed-N`, `cold_start/`, and the results."""
    jobs: int = Field(1, ge=1)
    """Number of runs at a time, each in a process."""
    threads: int | None = Field(None, ge=1)
    """CPU threads of a run; empty: cores divided by jobs; a run that has started keeps its number."""
    initial_weights: Literal["per_seed", "once"] = "per_seed"
    """per_seed: each seed has its own cold start, shared by the variants; once: all use the first seed's."""
    measures: list[str] = Field(["accuracy"])
    """The measures by which pairs are compared; Holm's correction applies to each separately."""
    baseline: str | None = None
    """Compare each variant only with this one; empty: compare every pair."""
    target_accuracy: float | None = Field(None, gt=0, le=1)
    """Report the tokens and seconds until this greedy accuracy."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    resamples: int = Field(2000, ge=100)
    """Bootstrap resamples of the problems."""
    examples: int = Field(6, ge=0)
    """Number of problems shown for each pair of variants, on which they differ."""

    @field_validator("measures")
    @classmethod
    def _check_measures(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in MEASURES:
                raise ValueError(f"no measure is called {name!r}{_nearest(name, list(MEASURES))}")
        if not names:
            raise ValueError(f"expected one or more of {', '.join(MEASURES)}")
        return names

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: list[int]) -> list[int]:
        if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError("expected one or more different numbers from 0 on, such as [0, 1, 2]")
        return seeds

    @model_validator(mode="after")
    def _check(self) -> "CompareConfig":
        if len(self.variants) < 2:
            raise ValueError(f"variants: got {list(self.variants)}, expected two or more")
        for name, overrides in self.variants.items():
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name) or name == COLD_START:
                raise ValueError(
                    f"variants: {name!r} cannot be a folder's name; expected letters, digits and . _ + - (and not "
                    f"{COLD_START!r})"
                )
            _refuse_own(f"variants.{name}", overrides or {})
        _refuse_own("overrides", self.overrides)
        if self.baseline is not None and self.baseline not in self.variants:
            raise ValueError(
                f"baseline: no variant is called {self.baseline!r}{_nearest(self.baseline, list(self.variants))}"
            )
        return self


@dataclass(frozen=True)
class Plan:
    """A checked comparison: `runs` maps `(variant, seed)` to its configuration, seeds outermost."""

    config: CompareConfig
    path: Path
    runs: dict[tuple[str, int], RLConfig]

    def folder(self, variant: str, seed: int) -> Path:
        return Path(self.config.out) / variant / f"seed-{seed}"


def load_plan(path: str | Path, overrides: Sequence[str] = (), jobs: int | None = None) -> Plan:
    """Read a comparison and resolve the configuration of every run. Raises `ConfigError`; errors in a variant name
    it."""
    reaching = [override for override in overrides if override.startswith(("variants.", "overrides."))]
    others = [override for override in overrides if override not in reaching]
    values, origin = read_values(path, [*others, *([f"jobs={jobs}"] if jobs is not None else [])])
    for override in reaching:
        _reach_into(values, override)
    try:
        config = CompareConfig.model_validate(values)
    except ValidationError as error:
        raise explained(error, origin, CompareConfig) from None
    if isinstance(config.base, str):
        base, _ = read_values(Path(path).parent / config.base)
    else:
        base = config.base
    base = with_overrides(base, config.overrides, f"{path}: overrides")
    plan = Plan(config, Path(path), {})
    for seed in config.seeds:
        for variant, changes in config.variants.items():
            where = f"{path}: variant {variant!r}"
            own = {"seed": seed, "out": str(plan.folder(variant, seed)), "threads": config.threads}
            loaded = check_config(with_overrides(base, {**(changes or {}), **own}, where), Origin(where))
            plan.runs[variant, seed] = _checked(loaded, where)
    return plan


def _reach_into(values: dict[str, Any], override: str) -> None:
    """Apply `variants.NAME.KEY=VALUE` or `overrides.KEY=VALUE`; a dotted KEY is kept and changes only that key."""
    section, _, rest = override.partition("=")[0].partition(".")
    target = values.setdefault(section, {})
    if section == "variants":
        name, _, rest = rest.partition(".")
        target[name] = target.get(name) or {}
        target = target[name]
    target |= {rest: parsed_value(override)} if rest else parsed_value(override) or {}


def _checked(config: AnyConfig, where: str) -> RLConfig:
    if not isinstance(config, RLConfig):
        raise ConfigError(f"{where}: got trainer: {config.trainer}, expected grpo or ppo: only RL runs can be compared")
    evaluation = config.eval
    if not (evaluation.problems and evaluation.samples and evaluation.at_start and evaluation.at_end):
        raise ConfigError(
            f"{where}: a comparison needs eval.problems and eval.samples of 1 or more, at_start and at_end; got "
            f"problems={evaluation.problems}, samples={evaluation.samples}, at_start={evaluation.at_start}, "
            f"at_end={evaluation.at_end}"
        )
    return config


def _refuse_own(where: str, overrides: dict[str, Any]) -> None:
    for key in overrides:
        if key.split(".")[0] in OWN_KEYS:
            raise ValueError(
                f"{where}: {key!r} is set by the comparison, from its own seeds, out and threads; leave it out"
            )


def _nearest(name: str, known: list[str]) -> str:
    return nearest(name, known) or f"; known: {', '.join(known)}"
