"""Reads and parses rows one by one. Errors name the file, the row number and the field."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from tasks.problem import Message
from tasks.rows import load_rows

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Row = Mapping[str, Any]
# A prompt or an answer: plain text, or chat messages.
Text = str | tuple[Message, ...]
CHAT_ROLES = ("system", "developer", "user", "assistant", "tool")
# Fields that hold the thought of a message.
THOUGHTS = ("reasoning_content", "thinking", "reasoning")


class FieldError(ValueError):
    """What is wrong with one field of a row."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"field {field!r}: {problem}")


class JsonLines(Sequence[Row]):
    """The rows of a .jsonl file (or .jsonl.gz), parsed on access. Rows may have different columns."""

    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if path.suffix == ".gz" else raw
        self.lines = data.rstrip().split(b"\n") if data.strip() else []

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: Any) -> Any:
        try:
            row = json.loads(self.lines[index])
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


def text_field(row: Row, field: str) -> Text:
    """The field as plain text or as chat messages. Raises `FieldError`."""
    value = row.get(field)
    if isinstance(value, str):
        if not value.strip():
            raise FieldError(field, "is empty; expected text or a list of messages")
        return value
    if value is None:
        raise FieldError(field, "is missing; expected text or a list of messages")
    return messages_field(row, field)


def messages_field(row: Row, field: str) -> tuple[Message, ...]:
    """The field as chat messages. Raises `FieldError`."""
    value = row.get(field)
    if not isinstance(value, list) or not value:
        raise FieldError(field, f"expected a list of messages, got {_shown(value)}")
    return tuple(_message(message, f"{field}[{index}]") for index, message in enumerate(value))


def _message(value: Any, field: str) -> Message:
    if not isinstance(value, dict) or "role" not in value or "content" not in value:
        hint = "; rename from/value to role/content" if isinstance(value, dict) and "from" in value else ""
        raise FieldError(field, f'expected {{"role": ..., "content": ...}}, got {_shown(value)}{hint}')
    if value["role"] not in CHAT_ROLES:
        raise FieldError(f"{field}.role", f"got {value['role']!r}, expected one of {', '.join(CHAT_ROLES)}")
    if value.get("tool_calls"):
        raise FieldError(f"{field}.tool_calls", "tool calls are not read; write them into the content")
    if not isinstance(value["content"], str):
        raise FieldError(f"{field}.content", f"expected text, got {_shown(value['content'])}")
    if not value["content"].strip() and value["role"] != "system":
        raise FieldError(f"{field}.content", "is empty; expected text")
    message: Message = {"role": value["role"], "content": value["content"]}
    thought = _thought(value, field)
    return {**message, "reasoning_content": thought} if thought else message


def _thought(message: Mapping[str, Any], field: str) -> str:
    """The thought of a message in a field of its own, or nothing. Raises `FieldError`."""
    named = [name for name in THOUGHTS if message.get(name)]
    if not named:
        return ""
    thought = message[named[0]]
    if not isinstance(thought, str) or message["role"] != "assistant":
        raise FieldError(f"{field}.{named[0]}", f"expected a text, of the assistant; got {_shown(thought)}")
    return thought


def check_prompt(prompt: Text, field: str) -> None:
    """Raise `FieldError` if the system message is not first, or the last message needs no answer."""
    if isinstance(prompt, str):
        return
    for index, message in enumerate(prompt):
        if message["role"] in ("system", "developer") and index:
            raise FieldError(
                f"{field}[{index}].role", f"got {message['role']!r} after other messages, expected it first"
            )
    if prompt[-1]["role"] not in ("user", "tool"):
        raise FieldError(
            f"{field}[{len(prompt) - 1}].role", f"got {prompt[-1]['role']!r} before an answer, expected user or tool"
        )


def check_answer(answer: Text, field: str) -> None:
    """Raise `FieldError` if the answer does not begin and end with the assistant, or has a system message."""
    if isinstance(answer, str):
        return
    for index in (0, len(answer) - 1):
        if answer[index]["role"] != "assistant":
            raise FieldError(f"{field}[{index}].role", f"got {answer[index]['role']!r}, expected assistant")
    for index, message in enumerate(answer):
        if message["role"] in ("system", "developer"):
            raise FieldError(f"{field}[{index}].role", f"got {message['role']!r} inside an answer")


def check_same_kind(prompt: Text, answer: Text, field: str) -> None:
    if isinstance(prompt, str) != isinstance(answer, str):
        kind = "plain text" if isinstance(prompt, str) else "messages"
        raise FieldError(field, f"is {_shown(answer)}, expected {kind} as in the prompt")


def characters(text: Text) -> int:
    return len(text) if isinstance(text, str) else sum(len(message["content"]) for message in text)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
