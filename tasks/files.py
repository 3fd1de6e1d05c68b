"""Rows of local files: read once, parsed when asked for, every value as it was written.

    .jsonl, .ndjson         one JSON object a line; rows may have different columns
    .json                   a list of objects, columns as lists, or one object a line
    .csv, .tsv              a head and text: `007` and `0.10` stay as they are; an empty cell is null
    .parquet, .arrow        typed columns, through `datasets`, which keeps them on the disk

All but the last may end in .gz, .bz2, .xz or .zst as well. A file of JSON lines that is not compressed stays on the
disk too: only where its lines begin is in memory.
"""

import bz2
import csv
import gzip
import importlib
import io
import lzma
import mmap
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.columns import Row, plain
from verifiers.values import parse_json

FORMATS = (".jsonl", ".json", ".parquet", ".csv")
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": lambda data: _zstd_decompress(data),
}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
csv.field_size_limit(2**31 - 1)


class JsonLines(Sequence[Row]):
    """The rows of JSON lines, parsed on access. Blank lines are no rows. `line` gives the line of a row, from 1."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.data = data
        self.spans, self.lines = array("Q"), array("Q")
        start = len(BYTE_ORDER_MARK) if data[:3] == BYTE_ORDER_MARK else 0
        number = 0
        while start < len(data):
            number += 1
            end = data.find(b"\n", start)
            end = len(data) if end < 0 else end
            if data[start:end].strip():
                self.spans.extend((start, end))
                self.lines.append(number)
            start = end + 1

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: Any) -> Any:
        place = range(len(self))[index]
        text = self.data[self.spans[2 * place] : self.spans[2 * place + 1]]
        return _object(text, f"line {self.lines[place]}")


@dataclass(frozen=True)
class Table(Sequence[Row]):
    """The rows of typed columns, with plain values: those of a data set, or of `datasets`' own tables."""

    rows: Sequence[Row]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return plain(self.rows[range(len(self.rows))[index]])

    def __iter__(self) -> Iterator[Row]:
        return map(plain, self.rows)


@dataclass(frozen=True)
class Joined(Sequence[Row]):
    """The rows of several tables, one after the other."""

    tables: Sequence[Sequence[Row]]

    def __len__(self) -> int:
        return sum(map(len, self.tables))

    def __getitem__(self, index: Any) -> Any:
        place = range(len(self))[index]
        for table in self.tables:
            if place < len(table):
                return table[place]
            place -= len(table)
        raise IndexError(index)

    def __iter__(self) -> Iterator[Row]:
        return (row for table in self.tables for row in table)


@dataclass(frozen=True)
class Part(Sequence[Row]):
    """The rows at some places of a table."""

    rows: Sequence[Row]
    places: range

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[self.places[index]]


def kind_of(path: Path) -> str:
    """The last extension of a file's name, without that of a compression; empty where there is none."""
    return Path(path.stem).suffix if path.suffix in COMPRESSIONS else path.suffix


def open_file(path: Path) -> Sequence[Row]:
    """The rows of a file, the same object as long as the file does not change.

    Raises `ValueError` with the reason if there are none or it cannot be read; a row that is no JSON object raises it
    when it is looked at.
    """
    stamp = path.stat()
    return _open(path.resolve(), stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=64)
def _open(path: Path, modified: int, size: int) -> Sequence[Row]:
    kind = kind_of(path)
    if kind not in READERS:
        raise ValueError(f"has an unknown extension: expected {', '.join(FORMATS)} (or one of these and .gz)")
    name = {".ndjson": "json", ".jsonl": "json"}.get(kind, kind.removeprefix("."))
    try:
        rows = READERS[kind](path) if size else ()
    except Exception as error:  # each parser has errors of its own
        raise ValueError(f"cannot be read as {name}: {error}") from error
    if not rows:
        raise ValueError(f"has no rows; expected at least one, as {name}")
    return rows


def _bytes_of(path: Path) -> bytes:
    data = path.read_bytes()
    return COMPRESSIONS[path.suffix](data) if path.suffix in COMPRESSIONS else data


def _zstd_decompress(data: bytes) -> bytes:
    for name in ("compression.zstd", "zstandard"):  # the first is part of Python 3.14
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        with module.open(io.BytesIO(data), "rb") as file:
            return bytes(file.read())
    raise ValueError("it is compressed with Zstandard, which needs the package zstandard; install it, or use .gz")


def _json_lines(path: Path) -> Sequence[Row]:
    if path.suffix in COMPRESSIONS:
        return JsonLines(_bytes_of(path))
    with path.open("rb") as file:
        return JsonLines(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _json(path: Path) -> Sequence[Row]:
    data = _bytes_of(path)
    try:
        value = parse_json(data.removeprefix(BYTE_ORDER_MARK))
    except ValueError as error:
        lines = JsonLines(data)
        try:
            assert lines[0] is not None
        except (ValueError, IndexError):
            raise ValueError(f"which is not JSON: {error}") from error
        return lines
    if isinstance(value, dict):
        lengths = {len(column) for column in value.values() if isinstance(column, list)}
        if len(lengths) == 1 and all(isinstance(column, list) for column in value.values()):
            return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
        return [value]
    if not isinstance(value, list):
        raise ValueError(f"got {str(value)[:80]!r}, expected a list of JSON objects")
    for number, row in enumerate(value):
        if not isinstance(row, dict):
            raise ValueError(f"entry {number}: got {str(row)[:80]!r}, expected a JSON object")
    return value


def _object(text: bytes, where: str) -> Row:
    try:
        row = parse_json(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: is not UTF-8 text (byte {error.start})") from error
    except ValueError as error:
        shown = text.decode(errors="replace").strip()[:80]
        reason = str(error).partition(": line ")[0]
        raise ValueError(f"{where}: got {shown!r}, which is not JSON: {reason}") from error
    if not isinstance(row, dict):
        raise ValueError(f"{where}: got {text.decode().strip()[:80]!r}, expected a JSON object")
    return row


def _separated(path: Path) -> Sequence[Row]:
    text = _bytes_of(path).decode("utf-8-sig")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if kind_of(path) == ".tsv" else ",")
    head = next(lines, [])
    if len(set(head)) < len(head):
        raise ValueError(f"two columns of its head have one name: {', '.join(head)}")
    rows = []
    for cells in lines:
        if not cells:
            continue
        if len(cells) != len(head):
            raise ValueError(f"line {lines.line_num}: got {len(cells)} cells, expected {len(head)}: {', '.join(head)}")
        rows.append({name: cell or None for name, cell in zip(head, cells, strict=True)})
    return rows


def _columnar(path: Path) -> Sequence[Row]:
    from datasets import load_dataset  # the import takes a second, which `--help` must not wait for
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    return Table(load_dataset(kind_of(path).removeprefix("."), data_files=str(path), split="train"))


READERS: dict[str, Callable[[Path], Sequence[Row]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _separated,
    ".tsv": _separated,
    ".parquet": _columnar,
    ".arrow": _columnar,
}
