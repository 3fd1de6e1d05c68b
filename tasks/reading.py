"""The rows of a source as a task reads them: each made into a problem once, with what its question is known by.

A run makes its task several times, before it starts and while it is built; the rows are read once in a process, and
again only if a file has changed.
"""

from array import array
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from tasks.columns import Row
from tasks.files import RowError
from tasks.problem import Problem
from tasks.prompts import has_system
from tasks.rows import Source, files_of
from tasks.splits import content_key


class ReadsRows(Protocol):
    """The part of a task that reads rows."""

    def load(self, source: Source, split: str) -> Sequence[Row]: ...

    def make_problem(self, row: Row, id: str, source: str) -> Problem: ...


@dataclass(frozen=True)
class Table:
    """Rows that were read and checked, the key of each one's content, and how many have a system message of their
    own."""

    rows: Sequence[Row]
    keys: "array[int]"
    with_system: int = 0


@dataclass(frozen=True)
class Reading:
    """What is read, and how: two with one key give the same."""

    key: Hashable
    make: Callable[[], Table] = field(compare=False)


def read(task: ReadsRows, source: Source, split: str, knobs: Hashable, system: str = "") -> Table:
    """The rows of a source; the same object for the same kind of task with the same `knobs`, as long as no file
    changes. `system` is the system message that is not a row's own.

    Raises `ValueError` for the first bad row, or if `system` would never be used.
    """
    files = tuple((file, *_stamp(file)) for file in files_of(source, split))
    key = (type(task), knobs, repr(source), split, files)
    return _read(Reading(key, lambda: _checked(task, source, split, system)))


@lru_cache(maxsize=16)
def _read(reading: Reading) -> Table:
    return reading.make()


def _stamp(file: Path) -> tuple[int, int]:
    stamp = file.stat()
    return stamp.st_mtime_ns, stamp.st_size


def _checked(task: ReadsRows, source: Source, split: str, system: str) -> Table:
    rows = task.load(source, split)
    keys, with_system = array("Q"), 0
    try:
        for number, row in enumerate(rows):
            prompt = task.make_problem(row, f"{split}-{number}", named(source)).prompt
            keys.append(content_key(prompt))
            with_system += has_system(prompt) and prompt[0]["content"] != system
    except RowError as error:
        raise ValueError(f"dataset {named(source)!r} cannot be read as json: {error}") from error
    if system and with_system == len(keys):
        raise ValueError(
            f"dataset {named(source)!r}: each row has a system message of its own, so task.system would never be used; "
            "leave it out, or take those of the rows away"
        )
    return Table(rows, keys, with_system)


def named(source: Source) -> str:
    """A source in one word, for a problem."""
    return source if isinstance(source, str) else ", ".join(source)
