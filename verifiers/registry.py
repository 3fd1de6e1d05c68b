"""From a name to a verifier: the visible table, installed entry points, or `module:name`."""

import difflib
import importlib
import inspect
import re
from typing import Any

from verifiers.function import FunctionVerifier
from verifiers.verdict import Verifier

ENTRY_POINT_GROUP = "rlvr.verifiers"

BUILT_IN = {
    "code": "verifiers.code:CodeVerifier",
    "math": "verifiers.math:MathVerifier",
    "numeric": "verifiers.simple:NumericVerifier",
    "exact": "verifiers.simple:ExactVerifier",
    "choice": "verifiers.simple:ChoiceVerifier",
    "format": "verifiers.simple:FormatVerifier",
    "regex": "verifiers.simple:RegexVerifier",
}


def get_verifier(name: str, **settings: object) -> Verifier:
    """The verifier called `name`: a key of `BUILT_IN`, an entry point of the group `rlvr.verifiers`, or `module:name`.

    What is found may be a class (it is made with `settings`), a verifier object, or a plain, async or batch function
    (see `verifiers.function`). Raises `ValueError` for a name that is not known or cannot be imported.
    """
    target = find_verifier(name)
    if inspect.isclass(target):
        factory: Any = target
        try:
            made: Verifier = factory(**settings)
        except TypeError as problem:
            raise ValueError(f"the verifier {name!r} cannot be made of its class: {problem}") from problem
        return made
    if settings:
        raise ValueError(f"the verifier {name!r} takes no settings: got {', '.join(settings)}")
    if inspect.isfunction(target):
        return FunctionVerifier(target, spec=name)
    if not callable(target):
        raise ValueError(f"{name!r} is a {type(target).__name__}, not a verifier: expected a class or a callable")
    verifier: Verifier = target
    return verifier


def find_verifier(name: str) -> Any:
    """What `name` stands for, not yet made. Raises as `get_verifier` does."""
    if name in BUILT_IN:
        return _load(BUILT_IN[name], name)
    from importlib.metadata import entry_points  # slow to import, and needed for plugins only

    installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name in installed:
        return _load(installed[name].value, name)
    if re.fullmatch(r"[\w.]+:[\w.]+", name):
        return _load(name, name)
    known = sorted({*BUILT_IN, *installed})
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}, or write module:name"
    raise ValueError(f"no verifier is called {name!r}: {hint}")


def _load(path: str, name: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as problem:  # whatever a module does when it is imported
        reason = f"{type(problem).__name__}: {problem}"
        raise ValueError(f"the verifier {name!r} cannot be loaded from {path}: {reason}") from problem
    return found
