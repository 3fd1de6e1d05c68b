"""How a choice's name becomes a function: a key of a visible dict, or `module:name` of the user's own."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])


def pick(table: Mapping[str, F], name: str, axis: str) -> F:
    """The function called `name`; raises `ValueError` with the names that are known and the nearest one."""
    if name in table:
        return table[name]
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (Exception, SystemExit) as error:  # whatever a module does when it is imported
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(f"{axis}: cannot load {name!r} ({reason}); expected module:function") from error
    nearest = get_close_matches(name, table, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"{axis}: got {name!r}, expected one of {', '.join(table)} or module:function{hint}")
