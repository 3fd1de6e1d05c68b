"""Reads and parses rows one by one. Errors name the file, the row number and the field."""

import gzip
import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from tasks.problem import Message
from tasks.rows import load_rows

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Row = Mapping[str, Any]
# A prompt or an answer: plain text, or chat messages.
Text = str | tuple[Message, ...]


class FieldError(ValueError):
    """What is wrong with one field of a row."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"field {field!r}: {problem}")


class JsonLines(Sequence[Row]):
    """The rows of a .jsonl file (or .jsonl.gz), read and parsed on access. Rows may have different columns.

    Only the places of the lines are in memory, and the text of a compressed file. Blank lines at the end are no rows.
    """

    def __init__(self, path: Path) -> None:
        self.file = BytesIO(gzip.decompress(path.read_bytes())) if path.suffix == ".gz" else path.open("rb")
        self.starts = array("q", [0])
        filled = 0
        for number, line in enumerate(self.file, start=1):
            self.starts.append(self.starts[-1] + len(line))
            filled = number if line.strip() else filled
        del self.starts[filled + 1 :]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: Any) -> Any:
        place = range(len(self))[index]
        self.file.seek(self.starts[place])
        try:
            row = json.loads(self.file.read(self.starts[place + 1] - self.starts[place]))
        except ValueError as error:
            raise FieldError("(the whole line)", f"not JSON: {error}") from error
        if not isinstance(row, dict):
            raise FieldError("(the whole line)", f"expected a JSON object, got {type(row).__name__}")
        return row


class Rows(Protocol[T_co]):
    """The parsed rows of a source in order. `number` is the number of a row there; in a .jsonl file, of its line."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> T_co: ...

    def number(self, index: int) -> int: ...


@dataclass(frozen=True)
class Table(Sequence[T], Generic[T]):
    """The rows of a source, parsed by `parse` on each access.

    A row that cannot be parsed raises `ValueError` with the source, the row (counted from 1; in a .jsonl file its
    line), the field, what was expected and what was found.
    """

    source: str
    rows: Sequence[Row]
    parse: Callable[[Row], T]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        try:
            return self.parse(self.rows[index])
        except FieldError as error:
            raise ValueError(f"{self.source!r}, row {self.number(index)}, {error}") from error

    def number(self, index: int) -> int:
        return index + 1

    def __iter__(self) -> Iterator[T]:
        return (self[index] for index in range(len(self)))


def open_rows(source: str, split: str = "train", subset: str | None = None) -> Sequence[Row]:
    """The rows of a hub dataset or a local file (.jsonl, .parquet, ...). Raises `ValueError` if there are none."""
    path = Path(source).expanduser()
    is_jsonl = path.name.endswith((".jsonl", ".jsonl.gz")) and path.is_file()
    rows: Sequence[Row] = JsonLines(path) if is_jsonl else load_rows(source, split, subset)
    if not len(rows):
        raise ValueError(f"dataset {source!r} has no rows")
    return rows


def characters(text: Text) -> int:
    return len(text) if isinstance(text, str) else sum(len(message["content"]) for message in text)


def shown(value: Any) -> str:
    """A value as an error shows it, cut at 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
