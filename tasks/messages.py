"""Reads chat messages as data sets hold them, and checks where prompts and answers begin and end.

    {"role": "user", "content": "text"}                              as chat templates read them
    {"role": "user", "content": [{"type": "text", "text": "text"}]}  a list of parts; their texts are joined
    {"from": "human", "value": "text"}                               ShareGPT

Parquet gives every message all keys that any message has; those without a value count as absent. A thought
(`reasoning_content`, `reasoning` or `thinking`) stays on its message as `reasoning_content`. Left out: images, tool
calls outside the content, turns of the assistant that are not to be learned (`weight: 0`).
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from tasks.columns import plain
from tasks.problem import Message
from tasks.table import FieldError, Row, Text, shown

CHAT_ROLES = ("system", "developer", "user", "assistant", "tool")
# The roles of ShareGPT's `from`.
SPEAKERS = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
}
CALLS = ("tool_calls", "function_call")
THOUGHTS = ("reasoning_content", "thinking", "reasoning")
READ_KEYS = {"role", "content", "from", "value", *CALLS, *THOUGHTS}
# Anthropic's HH: "\n\nHuman: ...\n\nAssistant: ...".
TRANSCRIPT = re.compile(r"(?:\A|\n\n)(Human|Assistant):")


def text_field(row: Row, field: str) -> Text:
    """The field as plain text or as chat messages. Raises `FieldError`."""
    value = plain(row.get(field))
    if isinstance(value, str) and not is_encoded(value):
        if not value.strip():
            raise FieldError(field, "is empty; expected text or a list of messages")
        return value
    if value is None:
        raise FieldError(field, f"is missing{' (null)' if field in row else ''}; expected text or a list of messages")
    return messages_field(row, field)


def messages_field(row: Row, field: str) -> tuple[Message, ...]:
    """The field as chat messages; a single one need not be in a list. Raises `FieldError`."""
    value = plain(row.get(field))
    value = json.loads(value) if isinstance(value, str) and is_encoded(value) else value
    value = [value] if isinstance(value, Mapping) else value
    if not isinstance(value, list | tuple) or not len(value):
        raise FieldError(field, f"expected a list of messages, got {shown(value)}")
    return tuple(message_of(message, f"{field}[{index}]") for index, message in enumerate(value))


def is_encoded(text: str) -> bool:
    """Whether a text is a list of messages in JSON, as some tables hold it."""
    if not text.lstrip().startswith("[{"):
        return False
    try:
        messages = json.loads(text)
    except ValueError:
        return False
    return all(isinstance(message, dict) and (message.keys() & {"role", "from"}) for message in messages)


def message_of(value: Any, field: str) -> Message:
    """One message. Raises `FieldError` for what it holds and cannot be kept."""
    if not isinstance(value, Mapping):
        raise FieldError(field, f'expected {{"role": ..., "content": ...}}, got {shown(value)}')
    given = {key: plain(item) for key, item in value.items() if item is not None}
    if any(given.get(key) for key in CALLS) or given.get("from") == "function_call":
        name = next((key for key in CALLS if given.get(key)), "from")
        raise FieldError(f"{field}.{name}", "tool calls are not read; write them into the content")
    if "role" not in given and "from" in given:
        if given["from"] not in SPEAKERS:
            raise FieldError(f"{field}.from", f"got {given['from']!r}, expected one of {', '.join(SPEAKERS)}")
        role, name = SPEAKERS[given["from"]], "value"
    else:
        role, name = given.get("role", ""), "content"
    if not role or name not in value:
        raise FieldError(field, f'expected {{"role": ..., "content": ...}}, got {shown(value)}')
    if role not in CHAT_ROLES:
        raise FieldError(f"{field}.role", f"got {role!r}, expected one of {', '.join(CHAT_ROLES)}")
    if role == "assistant" and given.get("weight", 1) == 0:  # others are never learned (OpenHermes gives them a weight)
        raise FieldError(
            f"{field}.weight", "is 0, but every turn of an answer is learned; cut the conversation before this turn"
        )
    content = joined(given.get(name), f"{field}.{name}")
    if not content.strip() and role != "system":
        raise FieldError(f"{field}.{name}", "is empty; expected text")
    named = next((key for key in THOUGHTS if given.get(key)), "")
    thought = given.get(named, "")
    if named and (not isinstance(thought, str) or role != "assistant"):
        raise FieldError(f"{field}.{named}", f"expected a text, of the assistant; got {shown(thought)}")
    message: Message = {"role": role, "content": content}
    if thought.strip():
        message["reasoning_content"] = thought
    return message


def joined(content: Any, field: str) -> str:
    """The text of a content, which may be a list of parts. Raises `FieldError` for a part that is no text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise FieldError(field, f"expected text, got {shown(content)}")
    texts = []
    for index, part in enumerate(content):
        text = part.get("text") if isinstance(part, Mapping) else part
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, Mapping) else None
            raise FieldError(f"{field}[{index}]", f"expected a part of text, got {shown(kind or part)}")
        texts.append(text)
    return "".join(texts)


def transcript(text: str) -> tuple[Message, ...]:
    """The messages of a text with turns of `Human:` and `Assistant:`; an empty last turn only asks for an answer."""
    _, *parts = TRANSCRIPT.split(text)
    turns = list(zip(parts[::2], parts[1::2], strict=True))
    if turns and turns[-1][0] == "Assistant" and not turns[-1][1].strip():
        turns.pop()
    return tuple(
        {"role": "user" if speaker == "Human" else "assistant", "content": content.strip()}
        for speaker, content in turns
    )


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
    if not answer:
        raise FieldError(field, "is empty after the prompt; expected an answer")
    for index in (0, len(answer) - 1):
        if answer[index]["role"] != "assistant":
            raise FieldError(f"{field}[{index}].role", f"got {answer[index]['role']!r}, expected assistant")
    for index, message in enumerate(answer):
        if message["role"] in ("system", "developer"):
            raise FieldError(f"{field}[{index}].role", f"got {message['role']!r} inside an answer")
        if not message["content"].strip():
            raise FieldError(f"{field}[{index}].content", "is empty; expected text")
