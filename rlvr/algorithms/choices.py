"""From the name of a choice to its function: a key of a visible dict, or `module:name` for a function of your own."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., object])


def pick(table: Mapping[str, F], name: str, axis: str) -> F:
    """The function called `name`; raises `ValueError` with the known names and the nearest one."""
    if name in table:
        return table[name]
    if ":" in name:
        try:
            return load_function(name)
        except ValueError as error:
            raise ValueError(f"{axis}: {error}; expected module:function") from error
    raise ValueError(
        f"{axis}: got {name!r}, expected one of {', '.join(table)} or module:function{nearest(name, table)}"
    )


def load_function(path: str) -> Any:
    """The object at `module:name`. Raises `ValueError` with the reason, whatever importing the module raises."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise ValueError(f"cannot load {path!r} ({type(error).__name__}: {error})") from error


def check_signature(table: Mapping[str, F], name: str, function: F, axis: str) -> None:
    """Raise `ValueError` where a user's function cannot be called like the functions in the table."""
    if name in table:
        return
    known, example = next(iter(table.items()))
    takes = ", ".join(inspect.signature(example).parameters)
    expected = f"expected a function of ({takes}), like {known!r}"
    if not callable(function):
        raise ValueError(f"{axis}: {name!r} is of type {type(function).__name__}, {expected}")
    try:
        signature = inspect.signature(function)
    except ValueError:  # a built-in function without one
        return
    try:
        signature.bind(*inspect.signature(example).parameters)
    except TypeError as error:
        raise ValueError(f"{axis}: {name!r} takes {signature}, {expected}") from error


def pick_name(names: Sequence[str], name: str, axis: str) -> None:
    """Raise `ValueError` where `name` is not one of `names`; these choices accept no functions."""
    if name not in names:
        raise ValueError(f"{axis}: got {name!r}, expected one of {', '.join(names)}{nearest(name, names)}")


def nearest(name: str, known: Iterable[str], section: str = "") -> str:
    """`; did you mean 'clip_low'?`, with the `section` that the name stands in, or an empty text where no known name is
    similar."""
    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean {section + matches[0]!r}?" if matches else ""
