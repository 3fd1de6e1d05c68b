"""Compares a program's answer with the expected one. Runs in the parent process only, on plain values only.

Types are strict: True is not 1, '20' is not 20, a list is not a tuple unless the test says so. An int and a float of
the same value are equal, as in Python. NaN equals an expected NaN and nothing else.
"""

import math
from dataclasses import dataclass
from typing import Any

from .inside.values import PlainArray


@dataclass(frozen=True)
class Rule:
    """How values are compared.

    `tol` is the largest absolute or relative difference of two equal floats (None: exact). `sequences_alike` accepts a
    tuple in place of a list of the same items, and the other way round.
    """

    tol: float | None = None
    sequences_alike: bool = False


_STRICT = Rule()


def same_value(expected: Any, actual: Any, rule: Rule = _STRICT) -> bool:
    """Whether two values are equal under `rule`; both come from `values.decode`."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, int | float | complex) and isinstance(actual, int | float | complex):
        return _same_number(expected, actual, rule.tol)
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        return (rule.sequences_alike or type(expected) is type(actual)) and _same_items(expected, actual, rule)
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, dict):
        keys = _matched(list(expected), list(actual), rule)
        return keys is not None and all(same_value(expected[ours], actual[theirs], rule) for ours, theirs in keys)
    if isinstance(expected, set | frozenset):
        return _matched(list(expected), list(actual), rule) is not None
    if isinstance(expected, PlainArray):
        alike = expected.shape == actual.shape and _kind(expected) == _kind(actual)
        return alike and _same_items(expected.items, actual.items, rule)
    try:
        return bool(expected == actual)
    except ArithmeticError:  # a signaling NaN of decimal
        return False


def _same_items(expected: Any, actual: Any, rule: Rule) -> bool:
    return len(expected) == len(actual) and all(
        same_value(ours, theirs, rule) for ours, theirs in zip(expected, actual, strict=True)
    )


def _same_number(expected: Any, actual: Any, tol: float | None) -> bool:
    if isinstance(expected, complex) or isinstance(actual, complex):
        if type(expected) is not type(actual):
            return False
        return _same_number(expected.real, actual.real, tol) and _same_number(expected.imag, actual.imag, tol)
    if expected != expected or actual != actual:
        return expected != expected and actual != actual
    if expected == actual:
        return True
    if tol is None or (isinstance(expected, int) and isinstance(actual, int)):
        return False
    try:
        finite = math.isfinite(expected) and math.isfinite(actual)
        return finite and math.isclose(expected, actual, rel_tol=tol, abs_tol=tol)
    except OverflowError:  # an int too large to be a float
        return False


def _kind(array: PlainArray) -> str:
    return array.dtype.lstrip("<>|=")[:1]


def _matched(expected: list[Any], actual: list[Any], rule: Rule) -> list[tuple[Any, Any]] | None:
    """Pairs of equal members, each used once; None where one has no partner."""
    if len(expected) != len(actual):
        return None
    by_value = {_token(item): item for item in actual}
    pairs = []
    rest = []
    for item in expected:
        partner = by_value.pop(_token(item), None) if _token(item) in by_value else _MISSING
        if partner is _MISSING:
            rest.append(item)
        else:
            pairs.append((item, partner))
    unpaired = list(by_value.values())
    exact = rule.tol is None and not rule.sequences_alike
    if rest and (exact or len(rest) > _MOST_UNEQUAL):
        return None
    for item in rest:
        position = next((i for i, other in enumerate(unpaired) if same_value(item, other, rule)), None)
        if position is None:
            return None
        pairs.append((item, unpaired.pop(position)))
    return pairs


_MISSING = object()
_MOST_UNEQUAL = 1000  # members that differ in the last digits are paired one by one, which is quadratic


def _token(value: Any) -> Any:
    """A hashable that is equal only for equal values of the same type."""
    if isinstance(value, float) and value != value:
        return ("nan",)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ("number", value)
    if isinstance(value, tuple):
        return ("tuple", tuple(_token(item) for item in value))
    if isinstance(value, frozenset):
        return ("frozenset", frozenset(_token(item) for item in value))
    return (type(value).__name__, value)


def same_output(expected: str, actual: str, rule: str = "lines", tol: float | None = None) -> bool:
    """Whether a program's standard output is accepted.

    exact: every character counts. lines: trailing white space and trailing blank lines do not. tokens: only the words
    between white space count. `tol` compares words that are both finite decimal numbers by value (lines and tokens).
    """
    if rule == "exact":
        return expected == actual
    if rule == "lines":
        ours, theirs = _lines(expected), _lines(actual)
        if ours == theirs:
            return True
        if tol is None or len(ours) != len(theirs):
            return False
        return all(_same_words(a.split(), b.split(), tol) for a, b in zip(ours, theirs, strict=True))
    if rule == "tokens":
        return _same_words(expected.split(), actual.split(), tol)
    raise ValueError(f"compare must be one of exact, lines, tokens: got {rule!r}")


def _lines(text: str) -> list[str]:
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n")).rstrip("\n").split("\n")


def _same_words(expected: list[str], actual: list[str], tol: float | None) -> bool:
    return len(expected) == len(actual) and all(
        ours == theirs or (tol is not None and _close(ours, theirs, tol))
        for ours, theirs in zip(expected, actual, strict=True)
    )


def _close(expected: str, actual: str, tol: float) -> bool:
    try:
        ours, theirs = float(expected), float(actual)
    except ValueError:
        return False
    finite = math.isfinite(ours) and math.isfinite(theirs)
    return finite and "_" not in actual and math.isclose(ours, theirs, rel_tol=tol, abs_tol=tol)
