"""Python values as JSON with tagged types, both ways. Never pickle: decoding builds plain values and runs no code.

    None, bool, str, small int   themselves
    everything else              [tag, ...]: int (hexadecimal), float (float.hex), complex, bytes, bytearray, list,
                                 tuple, set, frozenset, dict (pairs), type (a built-in one), Decimal, Fraction,
                                 scalar and array (numpy)

An instance of a subclass (Counter, a named tuple, an IntEnum, an int that lies about equality) is written as the value
that its *base class* stores; methods of the subclass are never called. Anything else is opaque, and the caller decides
what happens to it. Left out: datetime and other classes of the standard library.
"""

import importlib
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 150
_JSON_SAFE_INT = 1 << 53  # larger ones become hexadecimal text: parsing decimal digits is quadratic, and limited


class NotPlain(ValueError):
    """The value, or something inside it, cannot be sent by value."""


class BadValue(ValueError):
    """The message does not describe a value: it is forged or broken."""


class PlainArray:
    """A numpy array in a process without numpy: dtype string, shape, and the items in C order."""

    def __init__(self, dtype: str, shape: tuple[int, ...], items: tuple[object, ...]) -> None:
        self.dtype, self.shape, self.items = dtype, shape, items

    def __repr__(self) -> str:
        return f"array(shape={self.shape}, dtype={self.dtype}, items={self.items[:5]})"


def encode(value: object, opaque: Callable[[object], list[Any]] | None = None) -> Any:
    """`value` as JSON data. `opaque` makes the message for a value that is not plain; without it NotPlain is raised."""
    return _encode(value, opaque, 0)


def _encode(value: Any, opaque: Callable[[object], list[Any]] | None, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise NotPlain(f"nested deeper than {MAX_DEPTH} levels, or a value that contains itself")
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int and -_JSON_SAFE_INT < value < _JSON_SAFE_INT:
        return value
    for base, write in _WRITERS:
        if base in type.mro(kind):
            return write(value, lambda item: _encode(item, opaque, depth + 1))
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and kind.__module__ == "numpy":
        if isinstance(value, numpy.generic) and value.dtype.kind in "biufcUS":
            return ["scalar", value.dtype.str, _encode(_numpy_item(value), opaque, depth + 1)]
        if kind is numpy.ndarray and value.dtype.kind in "biufcUS":
            items = [_encode(_numpy_item(item), opaque, depth + 1) for item in value.reshape(-1)]
            return ["array", value.dtype.str, list(value.shape), items]
    if kind.__module__ in ("decimal", "fractions") and kind.__name__ in _EXACT:
        return [kind.__name__, str(value)]
    if kind is type and any(value is known for known in _TYPES.values()):
        return ["type", value.__name__]
    if opaque is not None:
        return opaque(value)
    raise NotPlain(f"a value of type {kind.__name__} cannot be compared by value")


_EXACT = {"Decimal": "decimal", "Fraction": "fractions"}


def _exact(message: list[Any]) -> object:
    if type(message[1]) is not str or len(message[1]) > 4000:  # Fraction("1e999999999") would be computed in full
        raise BadValue("not a value: a number that is too long")
    if message[0] == "Fraction" and not set(message[1]) <= set("-/0123456789"):
        raise BadValue("not a value: not a fraction")
    return getattr(importlib.import_module(_EXACT[message[0]]), message[0])(message[1])


_TYPES = {
    kind.__name__: kind for kind in (bool, bytes, complex, dict, float, frozenset, int, list, object, set, str, tuple)
}


def _numpy_item(value: Any) -> object:
    item = value.item()
    return float(item) if type(item).__module__ == "numpy" else item  # long double has no Python equivalent


def _write_int(value: int, _: Callable[[object], Any]) -> Any:
    plain = int.__add__(value, 0)
    return plain if -_JSON_SAFE_INT < plain < _JSON_SAFE_INT else ["int", int.__format__(plain, "x")]


# Base class -> how its stored value is written. Methods are taken from the base class, never from the value.
_WRITERS: tuple[tuple[type, Callable[[Any, Callable[[object], Any]], Any]], ...] = (
    (int, _write_int),
    (float, lambda value, _: ["float", float.hex(value)]),
    (str, lambda value, _: str.__str__(value)),
    (list, lambda value, sub: ["list", [sub(item) for item in list.__iter__(value)]]),
    (tuple, lambda value, sub: ["tuple", [sub(item) for item in tuple.__iter__(value)]]),
    (dict, lambda value, sub: ["dict", [[sub(key), sub(item)] for key, item in dict.items(value)]]),
    (set, lambda value, sub: ["set", [sub(item) for item in set.__iter__(value)]]),
    (frozenset, lambda value, sub: ["frozenset", [sub(item) for item in frozenset.__iter__(value)]]),
    (bytes, lambda value, _: ["bytes", bytes.hex(value)]),
    (bytearray, lambda value, _: ["bytearray", bytearray.hex(value)]),
    (
        complex,
        lambda value, _: ["complex", *map(float.hex, (complex.__pos__(value).real, complex.__pos__(value).imag))],
    ),
)


def decode(message: Any, special: Callable[[list[Any]], object] | None = None) -> Any:
    """The value that `encode` wrote. `special` decodes messages with unknown tags. Raises BadValue."""
    try:
        return _decode(message, special, 0)
    except BadValue:
        raise
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise BadValue(f"not a value: {type(error).__name__}") from None


def _decode(message: Any, special: Callable[[list[Any]], object] | None, depth: int) -> Any:
    if message is None or type(message) in (bool, str, int):
        return message
    if type(message) is not list or not message or type(message[0]) is not str or depth > MAX_DEPTH:
        raise BadValue("not a value: unknown shape")
    tag = message[0]
    if tag == "array" and len(message) == 4:
        items = [_decode(item, special, depth + 1) for item in message[3]]
        return _array(message[1], message[2], items)
    if tag == "scalar" and len(message) == 3:
        return _scalar(message[1], _decode(message[2], special, depth + 1))
    if tag in _READERS and len(message) == (3 if tag == "complex" else 2):
        return _READERS[tag](message, lambda item: _decode(item, special, depth + 1))
    if special is not None:
        return special(message)
    raise BadValue(f"not a value: tag {tag[:20]!r}")


_READERS: dict[str, Callable[[list[Any], Callable[[Any], Any]], object]] = {
    "int": lambda message, _: int(message[1], 16),
    "type": lambda message, _: _TYPES[message[1]],
    "float": lambda message, _: float.fromhex(message[1]),
    "complex": lambda message, _: complex(float.fromhex(message[1]), float.fromhex(message[2])),
    "list": lambda message, sub: [sub(item) for item in message[1]],
    "tuple": lambda message, sub: tuple([sub(item) for item in message[1]]),
    "set": lambda message, sub: set(_scattered([sub(item) for item in message[1]])),
    "frozenset": lambda message, sub: frozenset(_scattered([sub(item) for item in message[1]])),
    "dict": lambda message, sub: dict(
        zip(_scattered([sub(key) for key, _ in message[1]]), [sub(item) for _, item in message[1]], strict=True)
    ),
    "bytes": lambda message, _: bytes.fromhex(message[1]),
    "bytearray": lambda message, _: bytearray.fromhex(message[1]),
    "Decimal": lambda message, _: _exact(message),
    "Fraction": lambda message, _: _exact(message),
}


_MOST_COLLIDING = 100


def _scattered(items: list[Any]) -> list[Any]:
    """`items`, unless so many share a hash that a set of them would take quadratic time: only an attack does that."""
    if len(items) > _MOST_COLLIDING:
        ((_, most),) = Counter(map(hash, items)).most_common(1)
        if most > _MOST_COLLIDING:
            raise BadValue("not a value: too many members of equal hash")
    return items


def _array(dtype: str, shape: list[int], items: list[object]) -> object:
    count = 1
    for length in shape:
        count *= length
    if type(dtype) is not str or count != len(items) or any(type(length) is not int or length < 0 for length in shape):
        raise BadValue("not a value: an array whose shape and items disagree")
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or _PLAIN_ARRAYS:
        return PlainArray(dtype, tuple(shape), tuple(items))
    return numpy.array(items, dtype=dtype).reshape(shape)


def _scalar(dtype: str, item: object) -> object:
    numpy: Any = sys.modules.get("numpy")
    return item if numpy is None or _PLAIN_ARRAYS else numpy.dtype(dtype).type(item)


# The parent compares descriptions of arrays, even if numpy happens to be loaded; a job builds real arrays.
_PLAIN_ARRAYS = True


def build_numpy_values() -> None:
    """Make `decode` in this process build real numpy arrays and scalars. Called once, in a zygote."""
    global _PLAIN_ARRAYS
    _PLAIN_ARRAYS = False
