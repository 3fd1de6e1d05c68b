"""JSON values as they were written, digit for digit, and ground truths that are not text.

A row's answer may be of any JSON type. Numbers with a point or an exponent are read as `Numeral`: a float that keeps
its text, so that `0.10` stays `0.10` in a prompt, in a verifier, in the ledger and after a checkpoint.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Self

# Text, a number, true or false, null, or a list or dict of these.
Json = Any
# Python refuses to convert longer integers to text.
LONGEST_INTEGER = 4_000


class Numeral(float):
    """A float that keeps the text that it was read from, and shows it in `str`, `repr` and f-strings."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]
        return (self.text,)


def parse_json(text: str | bytes) -> Json:
    """The value of a JSON text; integers of any size, other numbers as `Numeral`. Raises `ValueError`."""
    return json.loads(text, parse_float=Numeral, parse_int=_whole)


def _whole(text: str) -> int | Numeral:
    return int(text) if len(text) <= LONGEST_INTEGER else Numeral(text)


def json_text(value: Json) -> str:
    """The value as JSON, in one line; the inverse of `parse_json`. Raises `TypeError` for what JSON cannot hold."""
    if isinstance(value, Numeral):
        return value.text
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {json_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def as_text(value: Json) -> str:
    """Text as it is, everything else as JSON: `0.10`, `true`, `["a", "b"]`."""
    return value if isinstance(value, str) else json_text(value)


def is_empty(value: Json) -> bool:
    """Whether a value says nothing: null, blank text, an empty list or dict, or not a number. 0 and false say
    something."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {}, ())
