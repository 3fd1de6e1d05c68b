"""Settings of a verifier: what a configuration gives, held against what a class or a function takes.

A class takes the parameters of its constructor, a function those behind the completion and the answer that have a
default. Values are compared with annotations and never converted, except that a list becomes a tuple where one is
asked for. An annotation that YAML has no values for (a class of one's own) accepts everything.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from verifiers.names import inside, nearest, refusal

WORDS = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text", NoneType: "null"}
LISTS = (list, tuple, Sequence)
Made = TypeVar("Made")


def construct(kind: Callable[..., Made], settings: Mapping[str, object], key: str, title: str) -> Made:
    """`kind(**settings)`. Raises `ValueError` for settings that it does not take and for whatever it raises itself."""
    values = checked(kind, settings, key, title)
    try:
        return kind(**values)
    except ValueError as error:
        raise refusal(key, str(error)) from error
    except Exception as error:  # whatever a class does when it is made
        raise refusal(key, f"{title} cannot be made of its class: {type(error).__name__}: {error}") from error


def bound(function: Callable[..., Any], settings: Mapping[str, object], key: str, title: str) -> Callable[..., Any]:
    """`function` with `settings` as keyword arguments; without any, itself. Raises `ValueError` as `construct` does."""
    return partial(function, **checked(function, settings, key, title)) if settings else function


def checked(target: Callable[..., Any], settings: Mapping[str, object], key: str, title: str) -> dict[str, object]:
    """`settings` as `target` takes them. Raises `ValueError` for a name that it does not know or a value of another
    type."""
    if not settings:
        return {}
    known = parameters(target)
    values = {}
    for name, value in settings.items():
        if name not in known and not (inspect.isclass(target) and takes_any(target)):
            hint = nearest(str(name), known, f"it has: {', '.join(known)}" if known else "it has none")
            raise refusal(key, f"{title} has no setting {name!r}: {hint}")
        annotation = known.get(name, Any)
        if not fits(value, annotation):
            raise refusal(inside(key, name), f"got {value!r}, expected {in_words(annotation)}")
        values[name] = tuple(value) if isinstance(value, list) and wants_tuple(annotation) else value
    return values


def parameters(target: Callable[..., Any]) -> dict[str, Any]:
    """The settings that a class or a function takes, each with its annotation (`Any` where there is none)."""
    named = [
        parameter
        for parameter in inspect.signature(target).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if not inspect.isclass(target):
        named = [parameter for parameter in named[2:] if parameter.default is not parameter.empty]
    try:
        hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except Exception:  # an annotation that only a type checker can read
        hints = {}
    return {parameter.name: hints.get(parameter.name, Any) for parameter in named}


def takes_any(target: Callable[..., Any]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(target).parameters.values())


def wants_tuple(annotation: Any) -> bool:
    choices = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return any(tuple in (choice, get_origin(choice)) for choice in choices)


def fits(value: object, annotation: Any) -> bool:
    """Whether a value out of YAML is of the annotated type."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in inner)
    if origin in (Union, UnionType):
        return any(fits(value, choice) for choice in inner)
    if origin in LISTS:
        if not isinstance(value, list | tuple):
            return False
        if origin is tuple and Ellipsis not in inner:
            return len(value) == len(inner) and all(map(fits, value, inner))
        return all(fits(entry, inner[0]) for entry in value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(
            fits(name, inner[0]) and fits(entry, inner[1]) for name, entry in value.items()
        )
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(annotation, type) or annotation not in WORDS or isinstance(value, annotation)


def in_words(annotation: Any) -> str:
    """What `fits` accepts, for an error: `one of marked, standard, lenient`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin in (Union, UnionType):
        return " or ".join(map(in_words, inner))
    if origin in LISTS:
        if origin is tuple and Ellipsis not in inner:
            return f"a list of {len(inner)} entries: {', '.join(map(in_words, inner))}"
        return f"a list with {in_words(inner[0])} in each entry"
    if origin in (dict, Mapping):
        return f"keys with {in_words(inner[1])} behind each"
    return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
