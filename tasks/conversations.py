"""Demonstrations: prompts with the completions to imitate, in the row formats of the hub.

    {"messages": [{"role": ..., "content": ...}, ...]}     the completion starts with the first assistant message
    {"conversations": [{"from": ..., "value": ...}, ...]}  the same (ShareGPT)
    {"prompt": [messages], "completion": [messages]}       conversational
    {"prompt": "text", "completion": "text"}               plain text, without a chat template
    {"instruction", "input", "output"}                     a chat (Alpaca), with a system message if there is one
    {"question", "answer"}                                 a chat
    {"text": "text"}                                       text that has its template already: all of it is learned

`tasks.layouts` has the details. Left out: tool calls outside the content, images.
"""

from dataclasses import dataclass, field
from functools import partial

from tasks.layouts import (
    ANSWERS,
    AS_RECOGNIZED,
    SYSTEMS,
    Reading,
    askers,
    find,
    listed,
    renamed,
    settled,
    unread,
    whole_conversation,
    words,
)
from tasks.messages import check_answer, check_prompt, messages_field, text_field
from tasks.problem import Message
from tasks.table import FieldError, Row, Rows, Table, Text, open_rows


@dataclass(frozen=True)
class Conversation:
    """A prompt and its completion. Of a chat completion only the assistant's turns are trained on; without a prompt
    (an empty text) the completion is the whole text. `layout` says how the row was read, `unread` what was not."""

    prompt: Text
    completion: Text
    layout: str = field(default="", compare=False, repr=False)
    unread: tuple[str, ...] = field(default=(), compare=False, repr=False)


def read_conversations(
    source: str, split: str = "train", subset: str | None = None, reading: Reading = AS_RECOGNIZED
) -> Rows[Conversation]:
    """The conversations of a hub dataset or a local file. Raises `ValueError`, for a broken row when it is read."""
    rows = open_rows(source, split, subset)
    return Table(source, rows, partial(parse_conversation, reading=settled(rows, reading)))


def parse_conversation(row: Row, reading: Reading = AS_RECOGNIZED) -> Conversation:
    """One row in any of the formats. Raises `FieldError`."""
    row, named = renamed(row, reading.columns), reading.columns.keys()
    whole = whole_conversation(row)
    if whole is not None and not named & {"prompt", "completion", "text"}:
        return _split(*whole, row)
    answer = next((name for name in ANSWERS if row.get(name) is not None), None)
    if (answer is not None or row.get("prompt") is not None) and "text" not in named:
        if answer is None:
            raise FieldError(
                "completion",
                f"is missing; expected the answer to the prompt in one of {', '.join(ANSWERS)}; the row has: "
                f"{', '.join(row)}. Name its column in data.columns",
            )
        if not askers(row) and listed(row[answer]):
            return _split(answer, messages_field(row, answer), row)
        found = find(row, [answer], reading)
        return Conversation(found.prompt, found.answers[0], found.layout, found.unread)
    if row.get("text") is not None and ("text" in named or not askers(row)):
        text = text_field(row, "text")
        if not isinstance(text, str):
            raise FieldError("text", "expected text, got messages; name them in data.columns.messages")
        return Conversation("", text, "text, as it is: all of it is learned", unread(row, ["text"]))
    raise FieldError(
        "messages",
        f"is missing; expected messages, or prompt and completion; the row has: {', '.join(row)}. Name the columns in "
        "data.columns",
    )


def _split(name: str, messages: tuple[Message, ...], row: Row) -> Conversation:
    first = next((i for i, message in enumerate(messages) if message["role"] == "assistant"), None)
    if first is None:
        raise FieldError(name, "expected an assistant turn after the prompt, got none")
    if not first:
        raise FieldError(f"{name}[0].role", "got 'assistant' before any question, expected user or system first")
    check_prompt(messages[:first], name)
    last = messages[-1]["role"]
    if last != "assistant":
        raise FieldError(f"{name}[{len(messages) - 1}].role", f"got {last!r}, expected assistant at the end")
    check_answer(messages[first:], name)
    systems = [column for column in SYSTEMS if column in row][:1]
    names = [*systems, name]
    return Conversation(messages[:first], messages[first:], words(names), unread(row, names))
