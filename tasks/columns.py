"""Columns of a row by name; a dot goes into a column: `reward_model.ground_truth`, `choices.0.text`."""

from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy

from verifiers.values import Json, Numeral

Row = Mapping[str, Any]


def value_at(row: Row, path: str) -> Any:
    """The value at `path`. A column whose own name holds dots comes first; entries of lists go by number, from 0.

    Raises `KeyError` with a sentence that says what is there instead.
    """
    parts = path.split(".")
    return _inside(row, parts, [])


def _inside(value: Any, parts: Sequence[str], walked: Sequence[str]) -> Any:
    if not parts:
        return value
    if isinstance(value, Mapping):
        for length in range(len(parts), 0, -1):
            name = ".".join(parts[:length])
            if name in value:
                try:
                    return _inside(value[name], parts[length:], [*walked, name])
                except KeyError:
                    if length == 1:
                        raise
        raise KeyError(_absent(".".join(walked), ", ".join(map(str, value)) or "nothing"))
    if isinstance(value, Sequence) and not isinstance(value, str):
        if parts[0].isdecimal() and int(parts[0]) < len(value):
            return _inside(value[int(parts[0])], parts[1:], [*walked, parts[0]])
        raise KeyError(_absent(".".join(walked), f"{len(value)} entries, numbered from 0"))
    raise KeyError(_absent(".".join(walked), f"no columns inside, but {shortened(value)}"))


def _absent(where: str, there: str) -> str:
    return f"{where or 'it'} has: {there}"


def shortened(value: Any, longest: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def has_column(row: Row, path: str) -> bool:
    try:
        value_at(row, path)
    except KeyError:
        return False
    return True


def plain(value: Any) -> Json:
    """A value of a table as JSON: arrays become lists, dates ISO text, decimals keep their digits, bytes hexadecimal
    text, and all others what `str` makes of them."""
    if isinstance(value, numpy.ndarray | numpy.generic):
        return plain(value.tolist())
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return Numeral(str(value))
    return str(value)
