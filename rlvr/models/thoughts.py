"""The thought in front of an answer: in a field of its own or between tags, opened by the policy or by its prompt."""

import re

from rlvr.errors import DataError
from tasks import Message

TAGS = "think|thinking|thought|reasoning"
# A tag at the end of a prompt that opens a thought.
OPENED = re.compile(rf"(?:<(?:{TAGS})>|\[THINK\])\s*\Z")
# A tag at the end of a prompt that closes one, and a thought at the beginning of an answer.
CLOSED = re.compile(rf"(?:</(?:{TAGS})>|\[/THINK\])\s*\Z")
BEGUN = re.compile(rf"\s*(?:<(?:{TAGS})>|\[THINK\])")


def thought_of(message: Message) -> str:
    """The thought in a field of its own, or nothing."""
    return message.get("reasoning_content") or message.get("thinking") or ""


def with_thought(message: Message, source: str) -> Message:
    """The message with its thought where the template looks for it: in a field, or in front of the words.

    Raises `DataError` if the template has no place for a thought.
    """
    plain, thought = bare(message), thought_of(message)
    if not thought:
        return plain
    if has_field(source, "reasoning_content"):
        return {**plain, "reasoning_content": thought}
    if has_field(source, "thinking"):
        return {**plain, "thinking": thought}
    if "</think>" in source:
        return spelled_out(message)
    raise DataError(
        "a message has its thought in a field of its own (reasoning_content), and the chat template has no place for "
        "thoughts; expected a template that reads the field or knows </think>. Write the thought into the content, "
        "drop the field, or name another template in model.chat_template"
    )


def spelled_out(message: Message) -> Message:
    """The message with its thought in front of the words, between `<think>` and `</think>`."""
    plain, thought = bare(message), thought_of(message)
    return {**plain, "content": f"<think>\n{thought.strip()}\n</think>\n\n{plain['content']}"} if thought else plain


def bare(message: Message) -> Message:
    """The message without further fields."""
    return {"role": message["role"], "content": message["content"]}


def has_field(source: str, name: str) -> bool:
    """Whether a template asks messages for this field. (Some have a variable of the same name, which is a switch.)"""
    return (
        re.search(rf"""(?:\.|\[\s*['"]|get\(\s*['"]|['"](?=\w+['"]\s+in\b)){re.escape(name)}\b""", source) is not None
    )


def opening_of(prompt: str) -> str:
    """The tag at the end of a prompt that opens a thought, with the space behind it, or nothing."""
    opened = OPENED.search(prompt)
    return opened[0] if opened else ""


def closes(prompt: str) -> bool:
    """Whether a prompt ends with the end of a thought, so that none is left to write."""
    return CLOSED.search(prompt) is not None


def begins_with_thought(text: str) -> bool:
    return BEGUN.match(text) is not None


def says(written: str, text: str) -> bool:
    """Whether all words and thoughts of `text` were written, in whatever tags."""
    return all(part.strip() in written for part in re.split(r"</?think>", text))


def holds(written: str, text: str) -> bool:
    """Whether all of `text` was written: its words, its thoughts and the tags behind them."""
    return says(written, text) and written.count("</think>") >= text.count("</think>")


def opens(written: str, opening: str) -> bool:
    """Whether a text begins with the tag that its prompt already holds."""
    return bool(opening) and written.lstrip().startswith(opening.strip())


def closing_tag(opening: str) -> str:
    """The tag that closes a thought."""
    return opening.strip().replace("<", "</").replace("[", "[/")


def without_opening(text: str, opening: str) -> str:
    """What is left to write of a text behind a prompt that ends with `opening`."""
    tag = opening.strip()
    if not opens(text, opening):
        return text
    rest = text.lstrip()[len(tag) :]
    space = opening[opening.index(tag) + len(tag) :]
    return rest.removeprefix(space)
