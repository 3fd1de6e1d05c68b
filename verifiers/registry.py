"""From what a configuration says to a verifier: a name, a name with settings, or a composition.

Names stand in the visible table below, are entry points that other packages install, or are `module:name`.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from verifiers.function import BatchVerifier, FunctionVerifier
from verifiers.names import inside, load, nearest, refusal
from verifiers.settings import bound, construct
from verifiers.verdict import Spec, Verifier

ENTRY_POINT_GROUP = "rlvr.verifiers"

BUILT_IN = {
    "code": "verifiers.code:CodeVerifier",
    "math": "verifiers.math:MathVerifier",
    "numeric": "verifiers.simple:NumericVerifier",
    "exact": "verifiers.simple:ExactVerifier",
    "choice": "verifiers.simple:ChoiceVerifier",
    "countdown": "verifiers.countdown:CountdownVerifier",
    "format": "verifiers.simple:FormatVerifier",
    "regex": "verifiers.simple:RegexVerifier",
}
COMPOSITIONS = {
    "weighted_sum": "verifiers.compose:WeightedSum",
    "weighted_mean": "verifiers.compose:WeightedMean",
    "all_of": "verifiers.compose:AllOf",
    "gate": "verifiers.compose:Gate",
    "length_penalty": "verifiers.compose:LengthPenalty",
    "trl": "verifiers.trl:TRLFunction",
}
EXPECTED_KEYS = f"'name' with settings, or one composition: {', '.join(COMPOSITIONS)}"
NO_OTHERS: Mapping[str, Verifier] = MappingProxyType({})


def get_verifier(spec: Spec, key: str = "", others: Mapping[str, Verifier] = NO_OTHERS) -> Verifier:
    """The verifier that `spec` describes. `key` says where it stands, and errors begin with it. `others` are further
    verifiers by name, which only the caller can make.

    A name is one of `BUILT_IN`, an entry point of the group `rlvr.verifiers`, or `module:name`; behind it stands a
    class, a verifier object, or a plain, async or batch function (see `verifiers.function`). `{"name": ..., setting:
    value, ...}` makes the class with settings, or gives them to the function as keyword arguments. A mapping with a
    single key of `COMPOSITIONS` is a verifier made of verifiers, and what it is made of is described likewise.

    Raises `ValueError` for a name that is not known or cannot be imported, and for settings that do not fit.
    """
    if isinstance(spec, str):
        return others[spec] if spec in others else _named(spec, {}, key)
    if not isinstance(spec, Mapping) or not spec:
        raise refusal(key, f"got {spec!r}, expected a verifier's name, or {EXPECTED_KEYS}")
    if "name" in spec:
        if not isinstance(spec["name"], str):
            raise refusal(inside(key, "name"), f"got {spec['name']!r}, expected a verifier's name")
        return _named(spec["name"], {name: value for name, value in spec.items() if name != "name"}, key)
    if len(spec) > 1:
        raise refusal(key, f"got the keys {', '.join(map(str, spec))}, expected {EXPECTED_KEYS}")
    ((first, value),) = spec.items()
    if first not in COMPOSITIONS:
        hint = nearest(str(first), COMPOSITIONS, f"expected {EXPECTED_KEYS}")
        raise refusal(key, f"no composition is called {first!r}: {hint}")
    composition: Verifier = load(COMPOSITIONS[first]).of(value, inside(key, first), others)
    return composition


def as_verifier(verifier: Spec | Verifier) -> Verifier:
    """The verifier that a spec describes; a verifier as it is."""
    return get_verifier(verifier) if isinstance(verifier, str | Mapping) else verifier


def find_verifier(name: str, key: str = "") -> Any:
    """The class, object or function that `name` stands for. Raises as `get_verifier` does."""
    if name in BUILT_IN:
        return _load(BUILT_IN[name], name, key)
    from importlib.metadata import entry_points  # slow to import, and needed for plugins only

    installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name in installed:
        return _load(installed[name].value, name, key)
    if re.fullmatch(r"[\w.]+:[\w.]+", name):
        return _load(name, name, key)
    if name in COMPOSITIONS:
        raise refusal(key, f"{name!r} is made of other verifiers: write {{{name}: ...}} with its parts")
    known = sorted({*BUILT_IN, *installed})
    hint = nearest(name, known, f"known: {', '.join(known)}, or write module:name")
    raise refusal(key, f"no verifier is called {name!r}: {hint}")


def _named(name: str, settings: Mapping[str, object], key: str) -> Verifier:
    target, title = find_verifier(name, key), f"the verifier {name!r}"
    if inspect.isclass(target):
        factory: Any = target
        made: Verifier = construct(factory, settings, key, title)
        return made
    if inspect.isfunction(target) and takes_lists(target):
        raise refusal(key, f"{title} takes lists of completions, as TRL calls it: write {{trl: '{name}'}}")
    if inspect.isfunction(target):
        # A worker finds the function by its name again, so that it need not be picklable.
        spec = {"name": name, **settings} if settings else name
        return FunctionVerifier(bound(target, settings, key, title), spec)
    if settings and isinstance(target, BatchVerifier):
        return replace(target, function=bound(target.function, settings, key, title))
    if settings:
        kind = type(target).__name__
        raise refusal(key, f"{title} is a {kind}, already made, and takes no settings: got {', '.join(settings)}")
    if not callable(target):
        raise refusal(key, f"{name!r} is a {type(target).__name__}, not a verifier: expected a class or a callable")
    verifier: Verifier = target
    return verifier


def takes_lists(function: Any) -> bool:
    """Whether a function is one for TRL, which takes the completions and prompts of a batch as lists."""
    return next(iter(inspect.signature(function).parameters), "") in ("completions", "prompts")


def _load(path: str, name: str, key: str) -> Any:
    try:
        return load(path)
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        reason = f"{type(error).__name__}: {error}"
        raise refusal(key, f"the verifier {name!r} cannot be loaded from {path}: {reason}") from error
