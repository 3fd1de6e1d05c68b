"""Every key has a rule, and what the product advises may be done."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel

from rlvr.algorithms.objective import Objective
from rlvr.commands.config_page import alternatives
from rlvr.config.file import TRAINERS
from rlvr.config.resume import RULES, rule_of

ADVICE = r"\b(?:[Rr]aise|[Ll]ower|[Ss]et|[Uu]se|[Aa]dd|[Cc]hoose|[Tt]ry|[Ii]ncrease|[Ss]horten|or) "
# Said only before a run has taken its first step, when its folder is not claimed yet.
BEFORE_THE_FIRST_STEP = {
    "data.max_tokens",
    "data.held_out_rows",
    "data.held_out_by",
    "task.held_out_rows",
    "model.path",
    "task.train",
    "task.test",
    "sampling.temperature",  # an example of an override
}


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted key of each leaf of a configuration."""
    for name, field in model.model_fields.items():
        kinds = [kind for kind in alternatives(field.annotation) if isinstance(kind, type)]
        sections = [kind for kind in kinds if issubclass(kind, BaseModel)]
        for section in sections:
            yield from keys_of(section, f"{prefix}{name}.")
        if Objective in kinds or any(is_dataclass(kind) for kind in kinds):
            yield from (f"{prefix}{name}.{choice.name}" for choice in fields(Objective))
        yield prefix + name


ALL_KEYS = sorted({key for model in TRAINERS.values() for key in keys_of(model)})


def is_classified(key: str) -> bool:
    parts = key.split(".")
    entries = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return bool(entries & RULES.keys())


def test_every_key_has_a_rule() -> None:
    assert [key for key in ALL_KEYS if not is_classified(key)] == []


def test_every_rule_is_of_a_key() -> None:
    assert [entry for entry in RULES if entry not in ALL_KEYS] == []


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("optimizer.microbatch_tokens", "speed"),
        ("engine.cache_tokens", "speed"),
        ("engine.gpu_memory_utilization", "speed"),
        ("engine.enforce_eager", "speed"),
        ("engine.logprob_tolerance", "speed"),
        ("verify.workers", "speed"),
        ("verify.max_failed_share", "speed"),
        ("verify.timeout_seconds", "learning"),
        ("model.gradient_checkpointing", "speed"),
        ("model.compile", "speed"),
        ("threads", "speed"),
        ("device", "speed"),
        ("checkpoint.keep_last", "speed"),
        ("checkpoint.best", "speed"),
        ("eval.every", "looking"),
        ("eval.problems", "looking"),
        ("ledger", "looking"),
        ("no_signal_patience", "looking"),
        ("steps", "learning"),
        ("optimizer.lr", "learning"),
        ("optimizer.schedule", "learning"),
        ("optimizer.betas", "learning"),
        ("sampling.max_tokens", "learning"),
        ("seed", "fixed"),
        ("task.max_steps", "fixed"),
        ("model.lora.rank", "fixed"),
        ("model.path", "fixed"),
        ("objective.kl_coef", "fixed"),
        ("data.train", "fixed"),
        ("sampling.temperature", "fixed"),
        ("critic.gradient_checkpointing", "speed"),
        ("critic.path", "fixed"),
        ("cold_start.optimizer.lr", "learning"),
        ("cold_start.task.max_steps", "fixed"),
        ("a_key_of_tomorrow", "fixed"),
        ("optimizer.a_key_of_tomorrow", "fixed"),
    ],
)
def test_a_key_follows_the_longest_entry_that_it_lies_under(key: str, kind: str) -> None:
    assert rule_of(key).kind == kind


def test_a_fixed_key_of_a_section_that_is_a_run_of_its_own_gives_the_sections_reason() -> None:
    assert rule_of("cold_start.rows_per_step").why == "RL began with its result"
    assert rule_of("critic.path").why == "the checkpoint holds the weights of this critic"


def texts_in(path: Path) -> Iterator[str]:
    """The texts of a file, with everything between braces left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def advised_keys() -> dict[str, set[str]]:
    known = "|".join(re.escape(key) for key in sorted(ALL_KEYS, key=len, reverse=True) if "." in key)
    advised: dict[str, set[str]] = {}
    for folder in ("rlvr", "tasks", "verifiers"):
        for path in Path(folder).rglob("*.py"):
            for text in texts_in(path):
                for match in re.finditer(rf"{ADVICE}({known})\b", text):
                    advised.setdefault(match.group(1), set()).add(str(path))
    return advised


def test_whatever_a_message_advises_may_change_when_the_run_goes_on() -> None:
    advised = advised_keys()
    assert {
        "optimizer.lr",
        "engine.logprob_tolerance",
        "verify.max_failed_share",
        "model.attention",
        "model.packing",
    } <= advised.keys()
    refused = {key: sorted(paths) for key, paths in advised.items() if not rule_of(key).may_change}
    assert {key: paths for key, paths in refused.items() if key not in BEFORE_THE_FIRST_STEP} == {}


def test_reasons_are_words_that_follow_the_key() -> None:
    for entry, rule in RULES.items():
        assert rule.why, entry
        assert not rule.why.endswith("."), entry
