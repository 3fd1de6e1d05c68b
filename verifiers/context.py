"""What a verifier is told about a problem besides its answer, and how much of it a function takes.

The context of a problem holds `prompt`, `problem_id`, `columns` (its whole row) and each column by its own name. A
function gets what its signature names, or everything if it takes any keyword. Its first two arguments are the
completion and the answer, whatever they are called. A setting that a recipe gives is never replaced by a column.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from verifiers.verdict import Pair

# Names in the context of one completion -> their names where there are many.
PLURALS = {"prompt": "prompts", "problem_id": "problem_ids", "columns": "columns"}


def context_of(pair: Pair) -> Mapping[str, Any]:
    """The context of a pair; empty where there is none."""
    return pair[2] if len(pair) == 3 else {}


def accepted(function: Callable[..., Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `context` that `function` takes as keyword arguments."""
    if not context:
        return {}
    given: Mapping[str, Any] = {}
    while isinstance(function, partial):
        given = {**function.keywords, **given}
        function = function.func
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # some functions written in C do not tell
        return {}
    positional = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)][:2]
    taken = {*positional, *given}
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return {name: value for name, value in context.items() if name not in taken}
    named = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    return {name: value for name, value in context.items() if name in named - taken}


def as_lists(contexts: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The contexts of many completions as lists by name; `None` where a completion has no such column."""
    names = dict.fromkeys(name for context in contexts for name in context)
    return {PLURALS.get(name, name): [context.get(name) for context in contexts] for name in names}
