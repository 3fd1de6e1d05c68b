"""From `{name: ..., knob: ...}` to a task: the visible table, or `module:Class` of the user's own."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from tasks.problem import Problem
from tasks.wording import in_words

TASKS = {
    "arithmetic": "tasks.arithmetic:Arithmetic",
    "code_jsonl": "tasks.code_jsonl:CodeJsonl",
    "dataset": "tasks.dataset:DatasetTask",
    "gsm8k": "tasks.gsm8k:GSM8K",
    "humaneval": "tasks.humaneval:HumanEval",
    "mbpp": "tasks.mbpp:MBPP",
    "one_liners": "tasks.one_liners:OneLiners",
    "replies": "tasks.replies:Replies",
}


class Task(Protocol):
    """Problems to train on, by number, and problems to evaluate on, which training never sees."""

    def problem(self, index: int) -> Problem:
        """The training problem at `index` 0, 1, 2, ...: the same number is always the same problem.

        Finite datasets start over, in another order, when they are through.
        """
        ...

    def held_out(self, count: int) -> list[Problem]:
        """The first `count` evaluation problems (fewer where there are no more)."""
        ...


class NoTask:
    """In place of a task, for a run that learns from rows of data alone."""

    def problem(self, index: int) -> Problem:
        raise ValueError("this run has no task, only data; expected one in the configuration under task:")

    def held_out(self, count: int) -> list[Problem]:
        return []


def task_class(name: str) -> type:
    """The dataclass called `name`; raises `ValueError` with the nearest name that is known."""
    path = TASKS.get(name, name)
    if ":" not in path:
        hint = _nearest(name, TASKS) or f"known: {', '.join(TASKS)}, or write module:Class"
        raise ValueError(f"no task is called {name!r}: {hint}")
    module, _, attribute = path.partition(":")
    try:
        kind = getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise ValueError(f"the task {name!r} cannot be loaded from {path}: {type(error).__name__}: {error}") from error
    if not (inspect.isclass(kind) and is_dataclass(kind)):
        raise ValueError(f"the task {name!r} must be a dataclass with problem() and held_out(): got {kind!r}")
    return kind


def _nearest(name: str, known: Iterable[str]) -> str:
    """A question that suggests the nearest of the `known` names; empty where none is near."""
    names = get_close_matches(name, known, n=1)
    return f"did you mean {names[0]!r}?" if names else ""


def make_task(name: str, knobs: Mapping[str, Any], seed: int) -> Task:
    """The task with its knobs set. `seed` is passed on where the task has such a knob and none was given.

    Raises `ValueError` for a knob that the task does not have.
    """
    kind = task_class(name)
    known = {field.name: field for field in fields(kind)}
    for knob in knobs:
        if knob not in known:
            hint = _nearest(knob, known) or f"it has: {', '.join(known)}"
            raise ValueError(f"the task {name!r} has no knob {knob!r}: {hint}")
    # `test:` with nothing behind it is how YAML leaves a text empty.
    values = {knob: "" if value is None and known[knob].default == "" else value for knob, value in knobs.items()}
    if "seed" in known:
        values.setdefault("seed", seed)
    try:
        task: Task = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        # Where a knob may be of several types, pydantic puts the type in question behind the knob.
        knob = f"{first['loc'][0]}: " if first["loc"] else ""
        raise ValueError(f"the task {name!r}: {knob}{in_words(first)}") from None
    return task
