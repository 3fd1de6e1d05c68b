"""Demonstrations: prompts with the completions to imitate, in the row formats of the hub.

    {"messages": [{"role": ..., "content": ...}, ...]}     the completion starts with the first assistant message
    {"prompt": [messages], "completion": [messages]}       conversational
    {"prompt": "text", "completion": "text"}               plain text, without a chat template

Left out: text without a prompt, tool calls outside the content, images.
"""

from dataclasses import dataclass

from tasks.table import (
    FieldError,
    Row,
    Rows,
    Table,
    Text,
    check_answer,
    check_prompt,
    check_same_kind,
    messages_field,
    open_rows,
    text_field,
)


@dataclass(frozen=True)
class Conversation:
    """A prompt and its completion. Of a chat completion only the assistant's turns are trained on."""

    prompt: Text
    completion: Text


def read_conversations(source: str, split: str = "train", subset: str | None = None) -> Rows[Conversation]:
    """The conversations of a hub dataset or a local file. Raises `ValueError`, for a broken row when it is read."""
    return Table(source, open_rows(source, split, subset), parse_conversation)


def parse_conversation(row: Row) -> Conversation:
    """One row in any of the formats. Raises `FieldError`."""
    if row.get("messages") is not None:
        messages = messages_field(row, "messages")
        first = next((i for i, message in enumerate(messages) if message["role"] == "assistant"), None)
        if not first:
            raise FieldError("messages", "expected an assistant turn after the prompt, got none")
        check_prompt(messages[:first], "messages")
        if messages[-1]["role"] != "assistant":
            raise FieldError(
                f"messages[{len(messages) - 1}].role", f"got {messages[-1]['role']!r}, expected assistant at the end"
            )
        check_answer(messages[first:], "messages")
        return Conversation(messages[:first], messages[first:])
    if row.get("completion") is not None or row.get("prompt") is not None:
        prompt, completion = text_field(row, "prompt"), text_field(row, "completion")
        check_same_kind(prompt, completion, "completion")
        check_prompt(prompt, "prompt")
        check_answer(completion, "completion")
        return Conversation(prompt, completion)
    raise FieldError(
        "messages", f"is missing; expected messages, or prompt and completion; the row has: {', '.join(row)}"
    )
