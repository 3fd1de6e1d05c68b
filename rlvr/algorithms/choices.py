"""How a choice's name becomes a function: a key of a visible dict, or `module:name` of the user's own."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., object])


def pick(table: Mapping[str, F], name: str, axis: str) -> F:
    """The function called `name`; raises `ValueError` with the names that are known and the nearest one."""
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
    """What lies at `module:name`. Raises `ValueError` with the reason, whatever the module does when it is imported."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise ValueError(f"cannot load {path!r} ({type(error).__name__}: {error})") from error


def check_signature(table: Mapping[str, F], name: str, function: F, axis: str) -> None:
    """Raise `ValueError` where a function of one's own cannot be called as those of the table are."""
    if name in table:
        return
    known, example = next(iter(table.items()))
    takes = ", ".join(inspect.signature(example).parameters)
    expected = f"expected a function of ({takes}), such as {known!r} is"
    if not callable(function):
        raise ValueError(f"{axis}: {name!r} is a {type(function).__name__}; {expected}")
    try:
        signature = inspect.signature(function)
    except ValueError:  # a built-in function without one
        return
    try:
        signature.bind(*inspect.signature(example).parameters)
    except TypeError as error:
        raise ValueError(f"{axis}: {name!r} takes {signature}, {expected}") from error


def pick_name(names: Sequence[str], name: str, axis: str) -> None:
    """Raise `ValueError` where `name` is none of `names`, which no function of one's own can join."""
    if name not in names:
        raise ValueError(f"{axis}: got {name!r}, expected one of {', '.join(names)}{nearest(name, names)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'clip_low'?`, or nothing where no known name is like it."""
    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
