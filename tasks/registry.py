"""Makes a task from `{name: ..., knob: ...}`: the table of built-in tasks, or a `module:Class` of the user."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from pydantic import TypeAdapter, ValidationError

from tasks.problem import Problem
from tasks.wording import in_words

TASKS = {
    "arithmetic": "tasks.arithmetic:Arithmetic",
    "choice": "tasks.choice:MultipleChoice",
    "code_jsonl": "tasks.code_jsonl:CodeJsonl",
    "contest": "tasks.contest:Contest",
    "countdown": "tasks.countdown:Countdown",
    "dataset": "tasks.dataset:DatasetTask",
    "gsm8k": "tasks.gsm8k:GSM8K",
    "humaneval": "tasks.humaneval:HumanEval",
    "math": "tasks.competition_math:CompetitionMath",
    "math500": "tasks.competition_math:Math500",
    "mbpp": "tasks.mbpp:MBPP",
    "mixture": "tasks.mixture:Mixture",
    "one_liners": "tasks.one_liners:OneLiners",
    "replies": "tasks.replies:Replies",
    "svamp": "tasks.svamp:SVAMP",
}


class Task(Protocol):
    """Training problems by number, and evaluation problems that are never trained on."""

    def problem(self, index: int) -> Problem:
        """The training problem number `index` (0, 1, 2, ...); the same number always gives the same problem.

        A finite dataset starts over in another order after its last problem.
        """
        ...

    def held_out(self, count: int) -> list[Problem]:
        """The first `count` evaluation problems, or all if there are fewer."""
        ...


@runtime_checkable
class HasSources(Protocol):
    """A task whose problems come from files."""

    def sources(self) -> tuple[str, ...]:
        """The paths of the local files."""
        ...


@runtime_checkable
class HasNotes(Protocol):
    """A task with something to say about its rows before a run."""

    def notes(self) -> tuple[str, ...]:
        """One sentence each: what repeats, is held out, or is left out."""
        ...


@runtime_checkable
class HoldsOut(Protocol):
    """A task that can tell every question it holds out, by `splits.content_key`."""

    def held_out_keys(self) -> frozenset[int]:
        """The keys of all held-out prompts."""
        ...


def sources_of(task: Task) -> tuple[str, ...]:
    """The local files that a task reads; none if it generates its problems or does not tell."""
    return task.sources() if isinstance(task, HasSources) else ()


def notes_of(task: Task) -> tuple[str, ...]:
    """What a task has to say about its rows. Raises `ValueError` for a bad row."""
    return task.notes() if isinstance(task, HasNotes) else ()


def task_class(name: str) -> type:
    """The dataclass of the task `name`. Raises `ValueError`, with the nearest known name if there is one."""
    path = TASKS.get(name, name)
    if ":" not in path:
        hint = _nearest(name, TASKS) or f"known: {', '.join(TASKS)}, or write module:Class"
        raise ValueError(f"no task is called {name!r}: {hint}")
    module, _, attribute = path.partition(":")
    try:
        kind = getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:  # importing a module can raise anything
        raise ValueError(f"the task {name!r} cannot be loaded from {path}: {type(error).__name__}: {error}") from error
    if not (inspect.isclass(kind) and is_dataclass(kind)):
        raise ValueError(f"the task {name!r} must be a dataclass with problem() and held_out(): got {kind!r}")
    return kind


def _nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest of the `known` names; empty if none is near."""
    names = get_close_matches(name, known, n=1)
    return f"did you mean {names[0]!r}?" if names else ""


def make_task(name: str, knobs: Mapping[str, Any], seed: int) -> Task:
    """The task with its knobs set. `seed` is used if the task has a knob `seed` that `knobs` does not set.

    Raises `ValueError` for a knob that the task does not have, and for a value that does not fit.
    """
    kind = task_class(name)
    known = {field.name: field for field in fields(kind) if field.init}
    for knob in knobs:
        if knob not in known:
            hint = _nearest(knob, known) or f"it has: {', '.join(known)}"
            raise ValueError(f"the task {name!r} has no knob {knob!r}: {hint}")
    # In YAML, `test:` without a value is null; here it means an empty text.
    texts = {knob for knob, known_field in known.items() if isinstance(known_field.default, str)}
    values = {knob: "" if value is None and knob in texts else value for knob, value in knobs.items()}
    if "seed" in known:
        values.setdefault("seed", seed)
    try:
        task: Task = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        # If a knob may have several types, pydantic puts the type after the name of the knob.
        knob = f"{first['loc'][0]}: " if first["loc"] else ""
        raise ValueError(f"the task {name!r}: {knob}{in_words(first)}") from None
    return task
