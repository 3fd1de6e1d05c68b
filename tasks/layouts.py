"""Recognizes how a row is laid out: where its prompt and its answers are, and whether they are chats or plain text.

    {"prompt", ANSWER}                        texts stay plain: no chat template
    {"question", ANSWER}                      texts are a question and its answer: a chat
    {"instruction", "input", ANSWER}          the same; `input` may be empty or absent (Alpaca)
    {"system" or "system_prompt", ...}        beside any of these: the system message (Orca)
    {"messages"} or {"conversations"}         a whole conversation (ShareGPT's keys too)
    {ANSWER}                                  a whole conversation in each answer; its beginning is the prompt

An answer is `completion`, `output`, `response` or `answer`, or what a caller names (`chosen` and `rejected`). Where one
text of a row is a list of messages, its other texts become messages. A text that begins with "\\n\\nHuman:" is a
transcript (Anthropic's HH) and becomes messages too. `Reading` names other columns and overrules what texts become.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tasks.columns import plain, value_at
from tasks.messages import (
    READ_KEYS,
    check_answer,
    check_prompt,
    messages_field,
    text_field,
    transcript,
)
from tasks.problem import Message
from tasks.table import FieldError, Row, Text, shown

SYSTEMS = ("system", "system_prompt")
CONVERSATIONS = ("messages", "conversations", "conversation")
ANSWERS = ("completion", "output", "response", "answer")
# The names that parsers read; `data.columns` maps them to the columns of a file.
NAMES = (
    "prompt", "system", "messages", "completion", "text", "chosen", "rejected", "completions", "ratings", "label",
    "margin", "score_chosen", "score_rejected",
)  # fmt: skip
HH, ANSWERS_NOW = "\n\nHuman:", "\n\nAssistant:"
# Plain answers that begin with the whole prompt repeat it if it is at least this long.
LEAST_REPEATED = 16
# Number of rows that are looked at to settle what the texts of a table become.
LOOKED_AT = 1000


@dataclass(frozen=True)
class Reading:
    """How to read rows.

    `columns` maps names of `NAMES` to columns of the file, nested ones by dots (`*`: every entry of a list). `texts`
    says what texts become: as recognized, always plain, or always messages.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    texts: Literal["auto", "plain", "chat"] = "auto"


AS_RECOGNIZED = Reading()


@dataclass(frozen=True)
class Found:
    """A prompt with its answers, all plain or all chats; `layout` names the columns in words, `unread` the others."""

    prompt: Text
    answers: tuple[Text, ...]
    layout: str
    unread: tuple[str, ...]


def renamed(row: Row, columns: Mapping[str, str]) -> Row:
    """The row with each name of `columns` for the value that is there. Raises `FieldError` for a missing column."""
    if not columns:
        return row
    used = {column.split(".")[0] if column not in row else column for column in columns.values()}
    others = {name: value for name, value in row.items() if name not in used and name not in columns}
    return others | {name: named_value(row, column, name) for name, column in columns.items()}


def named_value(row: Row, column: str, name: str) -> Any:
    """The value that `data.columns` gives `name`. Raises `FieldError` if there is none."""
    outside, star, inside = column.partition(".*")
    try:
        value = value_at(row, outside)
    except KeyError as error:
        raise FieldError(column, f"data.columns.{name} names it, but {error.args[0]}") from None
    if not star:
        return value
    entries = plain(value)
    if not isinstance(entries, list):
        raise FieldError(outside, f"expected a list, as data.columns.{name} says, got {shown(value)}")
    return [named_value({"entry": entry}, f"entry{inside}", name) for entry in entries]


def settled(rows: Sequence[Row], reading: Reading) -> Reading:
    """The reading of all rows of a table: if some have a system message in a column, the texts of all are messages."""
    if reading.texts != "auto":
        return reading
    for index in range(min(len(rows), LOOKED_AT)):
        try:
            row = renamed(rows[index], reading.columns)
        except FieldError:
            continue
        if any(name in row for name in SYSTEMS):
            return replace(reading, texts="chat")
    return reading


def whole_conversation(row: Row) -> tuple[str, tuple[Message, ...]] | None:
    """The name and the messages of a row that is one conversation, with its system message in front."""
    name = next((name for name in CONVERSATIONS if row.get(name) is not None), None)
    if name is None:
        return None
    return name, with_system(messages_field(row, name), system_of(row), name)


def find(row: Row, answers: Sequence[str], reading: Reading = AS_RECOGNIZED, column: str = "") -> Found:
    """The prompt of a row and its answers, the values of `answers`; `column` is theirs if it holds all of them.

    Raises `FieldError`.
    """
    asking = askers(row)
    asker = next((name for name in asking if name not in SYSTEMS), answers[0])
    names = [*asking, *([column] if column else answers)]
    prompt, system = prompt_of(row), system_of(row)
    texts = [text_field(row, name) for name in answers]
    pieces = texts if prompt is None else [prompt, *texts]
    if prompt is None and len(texts) == 1 and isinstance(texts[0], str) and not is_chat(texts[0], reading):
        raise FieldError("prompt", "is missing; expected text or a list of messages")
    if not wants_chat(row, pieces, reading):
        if system or not all(isinstance(piece, str) for piece in pieces):
            raise FieldError(asker, "data.texts is plain, but the row holds messages or a system message")
        told, plain_texts, form = plainly(prompt, [str(text) for text in texts])
        return Found(told, tuple(plain_texts), words(names) + form, unread(row, names))
    form = ", as messages" if all(isinstance(piece, str) for piece in pieces) else ""
    if isinstance(prompt, str) and prompt.startswith(HH):
        texts = [text.lstrip() if isinstance(text, str) and not text.startswith(HH) else text for text in texts]
    chats = [as_chat(text, "assistant") for text in texts]
    asked = () if prompt is None else as_chat(prompt, "user")
    if all(chat[0]["role"] != "assistant" for chat in chats):
        begun = common_beginning(chats, answers) if len(chats) > 1 or not asked else up_to(asked, chats[0])
        chats = [chat[len(begun) :] for chat in chats]
        asked = joined_prompts(asked, begun, asker) if asked else begun
        form += "; the beginning of the conversation is the prompt"
    if not asked:
        raise FieldError("prompt", "is missing; expected text or a list of messages")
    asked = with_system(asked, system, asker)
    check_prompt(asked, asker)
    for name, chat in zip(answers, chats, strict=True):
        check_answer(chat, name)
    return Found(asked, tuple(chats), words(names) + form, unread(row, names))


def wants_chat(row: Row, pieces: Sequence[Text], reading: Reading) -> bool:
    """Whether the texts of a row are messages, or become some."""
    if reading.texts != "auto":
        return reading.texts == "chat"
    other_names = row.get("prompt") is None and any(name not in SYSTEMS for name in askers(row))
    has_system = any(name in row for name in SYSTEMS)
    return other_names or has_system or any(is_chat(piece, reading) for piece in pieces)


def plainly(prompt: Text | None, texts: list[str]) -> tuple[str, list[str], str]:
    """A plain prompt, its answers, and in words how they were found."""
    form = ", as plain text without a chat template"
    if prompt is None:
        asked, texts = split_texts(texts)
        return asked, texts, f"{form}; their common beginning is the prompt"
    asked = str(prompt)
    if len(asked) >= LEAST_REPEATED and all(text.startswith(asked) and text[len(asked) :].strip() for text in texts):
        return asked, [text[len(asked) :] for text in texts], f"{form}; the answers repeat the prompt, once is enough"
    return asked, texts, form


def askers(row: Row) -> list[str]:
    """The columns that ask: the system message's and those of the prompt."""
    systems = [name for name in SYSTEMS if name in row][:1]
    if row.get("prompt") is not None:
        return [*systems, "prompt"]
    if row.get("instruction") is not None:
        return [*systems, *(name for name in ("history", "instruction", "input") if name in row)]
    others = [name for name in ("question", "input") if row.get(name) is not None]
    others += [name for name in CONVERSATIONS if asks(row.get(name))]
    return systems + others[:1]


def asks(messages: Any) -> bool:
    """Whether a conversation waits for an answer."""
    last = listed(messages)[-1:]
    return bool(last) and (last[0].get("role") or last[0].get("from")) in ("user", "human")


def prompt_of(row: Row) -> Text | None:
    """The prompt before its system message; `None` if no column holds one. Raises `FieldError`."""
    names = [name for name in askers(row) if name not in SYSTEMS]
    if not names:
        return None
    if "instruction" not in names:
        return text_field(row, names[0])
    instruction, more = text_field(row, "instruction"), plain(row.get("input"))
    if not isinstance(instruction, str) or not isinstance(more, str | None):
        raise FieldError("instruction", f"expected texts in instruction and input, got {shown(row['instruction'])}")
    question = f"{instruction}\n\n{more}" if more and more.strip() else instruction
    turns = plain(row.get("history"))
    if not turns:
        return question
    told: list[Message] = []
    for index, turn in enumerate(turns):
        pair = plain(turn)
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise FieldError(f"history[{index}]", f"expected a question and its answer, got {shown(turn)}")
        told += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return (*told, {"role": "user", "content": question})


def system_of(row: Row) -> str:
    """The text of the system message in a column of its own; empty if there is none. Raises `FieldError`."""
    name = next((name for name in SYSTEMS if row.get(name) is not None), None)
    if name is None:
        return ""
    if not isinstance(row[name], str):
        raise FieldError(name, f"expected text, got {shown(row[name])}")
    return row[name] if row[name].strip() else ""


def with_system(messages: tuple[Message, ...], system: str, field: str) -> tuple[Message, ...]:
    """The messages with a system message in front. Raises `FieldError` if they begin with another one."""
    if not system or (messages and messages[0] == {"role": "system", "content": system}):
        return messages
    if messages and messages[0]["role"] in ("system", "developer"):
        raise FieldError(f"{field}[0]", f"is another system message than the column system: {shown(system)}")
    return ({"role": "system", "content": system}, *messages)


def is_chat(piece: Text, reading: Reading) -> bool:
    return not isinstance(piece, str) or (reading.texts != "plain" and piece.startswith(HH))


def as_chat(text: Text, role: str) -> tuple[Message, ...]:
    """A text as one message of `role`; a transcript as its turns."""
    if not isinstance(text, str):
        return text
    if text.startswith(HH):
        return transcript(text)
    return ({"role": role, "content": text},)


def joined_prompts(asked: tuple[Message, ...], begun: tuple[Message, ...], field: str) -> tuple[Message, ...]:
    """The prompt of whole conversations that begin with `begun`, beside a column that holds `asked`, a part of it.

    Raises `FieldError` if it is none.
    """
    said = [spoken(message) for message in begun]
    for message in asked:
        if message["role"] not in ("system", "developer") and spoken(message) not in said:
            raise FieldError(field, f"is not in the conversations of the answers: {shown(message['content'])}")
    is_system = [messages[0]["role"] in ("system", "developer") for messages in (asked, begun)]
    return (asked[0], *begun) if is_system == [True, False] else begun


def spoken(message: Message) -> tuple[str, str]:
    return message["role"], message["content"].strip()


def up_to(asked: tuple[Message, ...], chat: tuple[Message, ...]) -> tuple[Message, ...]:
    """The beginning of `chat` that ends with the last message of `asked`; without that message, its first turn."""
    said = [spoken(message) for message in chat]
    return chat[: said.index(spoken(asked[-1])) + 1] if spoken(asked[-1]) in said else chat[:1]


def common_beginning(chats: Sequence[tuple[Message, ...]], names: Sequence[str]) -> tuple[Message, ...]:
    """The common beginning of some conversations, up to the last message that is answered. Raises `FieldError`."""
    first = chats[0]
    common = 0
    while common < min(map(len, chats)) and all(chat[common] == first[common] for chat in chats):
        common += 1
    common = min([common, *(len(chat) - 1 for chat in chats)])
    while common and first[common - 1]["role"] not in ("user", "tool"):
        common -= 1  # answers that begin alike: the common words belong to the answers
    if not common:
        raise FieldError("prompt", f"is missing, and {words(names)} have no common beginning to use instead")
    return first[:common]


def split_texts(texts: Sequence[str]) -> tuple[str, list[str]]:
    """The common beginning of plain texts and the rest of each, parted between words. Raises `FieldError`."""
    first = texts[0]
    common = 0
    while common < min(map(len, texts)) and all(text[common] == first[common] for text in texts):
        common += 1
    if first.startswith(HH):
        common = first[:common].rfind(ANSWERS_NOW) + len(ANSWERS_NOW)
    else:
        while common and not first[common - 1].isspace():  # never in the middle of a word
            common -= 1
        while common and first[common - 1].isspace():  # tokenizers attach a space to the word after it
            common -= 1
    if not first[:common].strip():
        raise FieldError("prompt", "is missing, and chosen and rejected have no common beginning to use instead")
    rests = [text[common:] for text in texts]
    for name, rest in zip(("chosen", "rejected"), rests, strict=False):
        if not rest.strip():
            raise FieldError(name, "is empty after the beginning that it shares with the other")
    return first[:common], rests


def words(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def unread(row: Row, names: Sequence[str]) -> tuple[str, ...]:
    """The columns that are not read, and the keys of messages that are not (`messages[].name`)."""
    columns = [name for name, value in row.items() if name not in names and value is not None]
    keys = dict.fromkeys(
        f"{name}[].{key}"
        for name in names
        for message in listed(row.get(name))
        for key, value in message.items()
        if key not in READ_KEYS and key != "weight" and value is not None
    )
    return (*columns, *keys)


def listed(value: Any) -> list[Mapping[str, Any]]:
    value = plain(value)
    items = [value] if isinstance(value, Mapping) else value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping)]
