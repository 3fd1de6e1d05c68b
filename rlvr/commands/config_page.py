"""A page with every configuration key, from `rlvr/config/`: `rlvr config --reference > docs/configuration.md`."""

import dataclasses
import inspect
import types
from collections.abc import Container, Iterator, Sequence
from inspect import cleandoc
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rlvr.algorithms.objective import Objective
from rlvr.config import RunConfig, TaskConfig
from rlvr.config.file import TRAINERS
from rlvr.config.resume import RULES
from rlvr.preflight import AXES
from tasks.registry import TASKS, task_class

HEAD = """# Configuration

Every key of a recipe with its default. A recipe holds only what differs from the defaults. `rlvr config FILE` prints
the resolved configuration, and `key=value` after a command overrides a key: `sampling.temperature=0.8`.

`rlvr config --reference > docs/configuration.md` writes this page; a test compares it with `rlvr/config/`.
"""
WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", type(None): "null", Any: "anything"}
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
REQUIRED = "**required**"
HEADINGS = ("key", "value", "default", "description")
RESUME = """## What may change on resume

The same command resumes a run, and so does `rlvr train RUN_FOLDER`. Some keys may change then; what changed, and after
which step, is in `changes.jsonl` in the run folder. A key follows the longest entry here that it lies under. A schedule
of the learning rate is computed anew for the new number of `steps`. A comparison changes only memory and speed.
"""
RESUMED = {
    "speed": "may change: memory, speed, storage",
    "looking": "may change: what is looked at",
    "learning": "may change: the steps from then on",
    "fixed": "stays",
}
OWN_FUNCTIONS = """A choice that names a function also accepts a function of your own, `module:name`. It is called like
the functions in the table; their docstrings give the shapes (`rlvr/algorithms/`, `rlvr/rollouts/groups.py`).
"""


def key_page() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD, "## Every trainer\n", *described(RunConfig)]
    parts += [RESUME, *table(resume_rows(), ("key or section", "on resume", "reason"))]
    for name, model in TRAINERS.items():
        own = [
            key
            for key, field in RunConfig.model_fields.items()
            if model.model_fields[key].annotation != field.annotation
        ]
        same = RunConfig.model_fields.keys() - own | {"trainer"}
        parts += [f"## `trainer: {name}`\n", *described(model, without=same)]
    for key, model in sections_of([RunConfig, *TRAINERS.values()]):
        parts += [f"## `{key}`\n", *described(model)]
    parts += ["## `objective`\n", "A preset's name, or `{preset: NAME, choice: value, ...}`.\n"]
    parts += ["```", cleandoc(Objective.__doc__ or ""), "```\n", *table(field_rows(Objective))]
    parts += [OWN_FUNCTIONS, *table(axis_rows(), ("choice", "arguments of its function", "result", "known functions"))]
    parts += ["## `task`\n", cleandoc(TaskConfig.__doc__ or "") + "\n"]
    for name in TASKS:
        kind = task_class(name)
        parts += [f"### `task: {name}`\n", cleandoc(kind.__doc__ or "") + "\n", *table(field_rows(kind))]
    return "\n".join(parts)


def sections_of(models: Sequence[type[BaseModel]]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections inside these models, each once, with the first dotted key that holds it."""
    seen: set[type[BaseModel]] = {TaskConfig}

    def walk(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
        for name, field in model.model_fields.items():
            for kind in [part for one in alternatives(field.annotation) for part in (one, *entries_of(one))]:
                if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
                    seen.add(kind)
                    yield prefix + name, kind
                    yield from walk(kind, f"{prefix}{name}.")

    for model in models:
        yield from walk(model, "")


def entries_of(annotation: Any) -> list[Any]:
    """The type of the values of a dict, without its annotations."""
    if get_origin(annotation) is not dict:
        return []
    _, entry = get_args(annotation)
    return [get_args(entry)[0] if get_origin(entry) is Annotated else entry]


def described(model: type[BaseModel], without: Container[str] = ()) -> list[str]:
    rows = [
        (f"`{name}`", value_of(field.annotation, field.metadata), default_of(field), description_of(field))
        for name, field in model.model_fields.items()
        if name not in without
    ]
    return [cleandoc(model.__doc__ or "") + "\n", *table(rows)]


def field_rows(kind: Any) -> list[tuple[str, ...]]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        (
            f"`{field.name}`",
            value_of(hints[field.name]),
            REQUIRED if field.default is dataclasses.MISSING else shown(field.default),
        )
        for field in dataclasses.fields(kind)
        if field.init
    ]


def resume_rows() -> list[tuple[str, ...]]:
    return [(f"`{entry}`", RESUMED[rule.kind], rule.why) for entry, rule in RULES.items()]


def axis_rows() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for axis, functions in AXES.items():
        signature = inspect.signature(next(iter(functions.values())))
        takes = ", ".join(f"{name}: {type_name(p.annotation)}" for name, p in signature.parameters.items())
        known = ", ".join(f"`{name}`" for name in functions)
        rows.append((f"`{axis}`", f"`{takes}`", f"`{type_name(signature.return_annotation)}`", known))
    return rows


def type_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else formatted(annotation)


def formatted(annotation: Any) -> str:
    return f"{annotation.__name__}[{', '.join(map(type_name, get_args(annotation)))}]"


def table(rows: Sequence[tuple[str, ...]], head: Sequence[str] = HEADINGS) -> list[str]:
    if not rows:
        return []
    head = head[: len(rows[0])]
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *cells)] + [""]


def description_of(field: FieldInfo) -> str:
    """The docstring of the option, or the first line of the section that it holds."""
    kinds = [kind for kind in alternatives(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return field.description or (cleandoc(kinds[0].__doc__ or "").partition("\n")[0] if kinds else "")


def default_of(field: FieldInfo) -> str:
    return REQUIRED if field.is_required() else shown(field.get_default(call_default_factory=True))


def shown(value: Any) -> str:
    """A default as a recipe writes it."""
    if isinstance(value, BaseModel) or dataclasses.is_dataclass(value):
        return "its own defaults"
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return f"{value:_}" if isinstance(value, int) and value >= 10_000 else str(value)


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, or the type itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def value_of(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """The allowed values of a key, in words."""
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
    constraints = [part for entry in metadata for part in (entry.metadata if isinstance(entry, FieldInfo) else [entry])]
    bounds = [
        f"{word} {getattr(constraint, sign):g}"
        for constraint in constraints
        for sign, word in BOUNDS.items()
        if hasattr(constraint, sign)
    ]
    words = " or ".join(word_of(kind) for kind in alternatives(annotation) if kind is not type(None))
    return ", ".join([words, *bounds])


def word_of(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return value_of(kind)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) in (list, tuple):
        inner = dict.fromkeys(value_of(part) for part in get_args(kind) if part is not Ellipsis)
        return f"list of {' and '.join(inner)}"
    if isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind)):
        return "keys, see below"
    return WORDS.get(kind, "keys")
