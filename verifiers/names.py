"""Names that people write: the object behind `module:name`, and the known name nearest to a misspelt one.

Standard library only: the process that workers are forked from imports it.
"""

import difflib
import importlib
from collections.abc import Iterable
from typing import Any


def load(path: str) -> Any:
    """The object at `module:name` or `module:name.attribute`; of `module` alone, the module.

    Raises whatever the import raises.
    """
    module, _, attributes = path.partition(":")
    target: Any = importlib.import_module(module)
    for attribute in filter(None, attributes.split(".")):
        target = getattr(target, attribute)
    return target


def nearest(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """`did you mean 'math'?` where a known name is near, else `otherwise`, else all known names."""
    names = list(known)
    matches = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {matches[0]!r}?" if matches else otherwise or f"known: {', '.join(names) or 'none'}"


def refusal(key: str, sentence: str) -> ValueError:
    """The error of what a configuration holds at `key`; an empty key is not mentioned."""
    return ValueError(f"{key}: {sentence}" if key else sentence)


def inside(key: str, name: str) -> str:
    """The key of `name` within the mapping at `key`."""
    return f"{key}.{name}" if key else name
