"""Chat templates: how messages are written as text, and what a template writes around the words of an answer.

A template is the author's own program (Jinja). What it does is found out by running it on a short conversation, not by
reading it. Left out: tools and documents as arguments of their own (`chat_template_kwargs` passes them on), images.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from rlvr.errors import DataError, ModelError
from rlvr.models.thoughts import opening_of, with_thought
from rlvr.models.tokenizer import first_added, leading_ids
from tasks import Message
from verifiers.names import nearest

# Only the words of the messages: for prompts that are written out in the data.
PLAIN = (
    "{% for message in messages %}{% if not loop.first and message['role'] != 'assistant' %}{{ '\\n\\n' }}{% endif %}"
    "{{ message['content'] }}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
)
# The prompt of DeepSeek-R1-Zero (Guo et al., 2025, arXiv:2501.12948, table 1). A system message takes its place.
R1_ZERO = (
    "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}{% else %}"
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant "
    "first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning "
    "process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., <think> "
    "reasoning process here </think> <answer> answer here </answer>.{% endif %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %} Assistant: {{ message['content'] | trim }}{{ eos_token }}"
    "{% elif message['role'] != 'system' %} User: {{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} Assistant:{% endif %}"
)
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# Templates by name, for models that bring none.
TEMPLATES: Mapping[str, str] = {"plain": PLAIN, "r1_zero": R1_ZERO, "chatml": CHATML}

NO_TEMPLATE = (
    "the tokenizer of {} has no chat template, but problems are chats; expected one in its tokenizer_config.json or "
    "chat_template.jinja. Name one in model.chat_template (" + ", ".join(TEMPLATES) + ", or a .jinja file), or use an "
    "instruction-tuned model"
)

# Arguments of `apply_chat_template` that are set here.
RESERVED = ("messages", "conversation", "chat_template", "add_generation_prompt", "tokenize", "continue_final_message")
# What a template is tried on: words that no template changes.
QUESTION, ANSWER = "Sayonething", "Answersoitis"


@dataclass(frozen=True)
class Frame:
    """What a template writes around the words of an answer.

    `opening` is the beginning of an answer that the prompt already holds (`"<think>\\n"`). Behind the last answer the
    template writes `closing`, the end token `end` (or none) and `trailing`.
    """

    opening: str = ""
    closing: str = ""
    end: str = ""
    trailing: str = ""


@dataclass(frozen=True)
class Template:
    """How the template of a tokenizer is used.

    Every call gets `values`. `merge_system` writes a system message into the first user's turn, `in_parts` gives the
    contents as lists of parts. `header` is what the template writes before an answer, but not at the end of a prompt.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    merge_system: bool = False
    in_parts: bool = False
    header: str = ""

    def render(self, tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], opens: bool = False) -> str:
        """The text of a conversation; with `opens` up to where the assistant goes on.

        Raises `DataError` if the template refuses the messages or leaves one of them out.
        """
        source = source_of(tokenizer)
        if not source:
            raise ModelError(NO_TEMPLATE.format("the model"))
        shaped = [with_thought(message, source) for message in (merged(messages) if self.merge_system else messages)]
        parts = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in shaped] if self.in_parts else None
        try:
            text = str(
                tokenizer.apply_chat_template(
                    parts or shaped, tokenize=False, add_generation_prompt=opens, **self.values
                )
            )
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
            raise DataError(self._refused(tokenizer, messages, error)) from error
        for number, message in enumerate(shaped, start=1):
            if message["role"] not in ("user", "assistant") and not is_written(message["content"], text):
                raise DataError(
                    f"the chat template leaves out message {number}, of the role {message['role']!r}; expected its "
                    f"words in the prompt. {way_out(message['role'])}"
                )
        return text + (self.header if opens else "")

    def _refused(self, tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], error: Exception) -> str:
        roles = ", ".join(message["role"] for message in messages)
        reason = " ".join(str(error).split()).rstrip(".")
        hint = "Leave the row out, or name another template in model.chat_template"
        if messages[0]["role"] == "system" and not self.merge_system:
            hint = way_out("system")
        return f"the chat template refuses these messages ({roles}): {reason}. {hint}"


AS_IT_IS, NO_FRAME = Template(), Frame()


def way_out(role: str) -> str:
    if role == "system":
        return (
            "Write it at the beginning of the first user's turn with model.merge_system=true, leave it out, or name "
            "another template in model.chat_template"
        )
    return "Use a role that the template knows, or name another template in model.chat_template"


def is_written(content: str, text: str) -> bool:
    """Whether a template wrote these words, perhaps as JSON."""
    words = content.strip()
    return words in text or json.dumps(words)[1:-1] in text or json.dumps(words, ensure_ascii=False)[1:-1] in text


def merged(messages: Sequence[Message]) -> list[Message]:
    """The messages with the system message at the beginning of the first user's turn."""
    if messages[0]["role"] != "system" or len(messages) < 2 or messages[1]["role"] != "user":
        return list(messages)
    system, first, *rest = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]


def reads(source: str, name: str) -> bool:
    """Whether a template mentions this variable."""
    return re.search(rf"\b{re.escape(name)}\b", source) is not None


def source_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """The text of the tokenizer's template, or nothing."""
    return tokenizer.chat_template if isinstance(tokenizer.chat_template, str) else ""


def set_template(tokenizer: PreTrainedTokenizerBase, named: str | None, where: str) -> None:
    """Give the tokenizer the template that is asked for: a name, the path of a file, or the text itself.

    A tokenizer with several templates keeps the one of that name, or its default. Raises `ModelError`.
    """
    own = tokenizer.chat_template
    several: Mapping[str, str] = own if isinstance(own, dict) else {}
    if named is None:
        if several and "default" not in several:
            raise ModelError(
                f"the tokenizer of {where} has the chat templates {', '.join(several)} and none is the default; name "
                "one in model.chat_template"
            )
        tokenizer.chat_template = several["default"] if several else own
        return
    text = template_text(named, several)
    adds_first = named in TEMPLATES and tokenizer.bos_token_id in leading_ids(tokenizer)
    tokenizer.chat_template = "{{ bos_token }}" + text if adds_first else text


def template_text(named: str, own: Mapping[str, str] | None = None) -> str:
    """The template of this name, in this file, or this text itself. Raises `ModelError`."""
    known = {**TEMPLATES, **(own or {})}
    if named in known:
        return known[named]
    if "{{" in named or "{%" in named:
        return named
    path = Path(named).expanduser()
    if "\n" not in named and path.is_file():
        return path.read_text(encoding="utf-8")
    raise ModelError(
        f"model.chat_template: got {named!r}, expected the path of a .jinja file that exists, the text of a template "
        f"(with {{{{ ... }}}}), or a name; {nearest(named, known)}"
    )


def check_template(named: str) -> None:
    """Refuse the path of a template that is not there. Names can only be checked with the tokenizer: it may have some.

    Raises `ModelError`.
    """
    if "{{" not in named and "{%" not in named and (named.endswith(".jinja") or "/" in named):
        template_text(named)


def check_values(source: str, values: Mapping[str, Any]) -> None:
    """Refuse values that the template does not read. Raises `ModelError`."""
    for name in values:
        if name in RESERVED:
            raise ModelError(f"model.chat_template_kwargs: {name!r} is set by rlvr itself; leave it out")
        if not reads(source, name):
            raise ModelError(
                f"model.chat_template_kwargs: the chat template does not read {name!r}, so it would change nothing; "
                "expected a variable of the template, such as enable_thinking. Leave it out, or correct its name"
            )


def tried(tokenizer: PreTrainedTokenizerBase, template: Template, where: str) -> tuple[Template, Frame]:
    """The template as it must be used, and what it writes around an answer. Raises `ModelError` if it writes none."""
    question: tuple[Message, ...] = ({"role": "user", "content": QUESTION},)
    asked: tuple[Message, ...] = (*question, {"role": "assistant", "content": ANSWER})
    problem = "it leaves out the words of the assistant"
    for in_parts in (False, True):
        shaped = replace(template, in_parts=in_parts)
        try:
            opened, closed = shaped.render(tokenizer, question, opens=True), shaped.render(tokenizer, asked)
        except DataError as error:
            problem = problem if in_parts else str(error)
            continue
        before, found, behind = closed.rpartition(ANSWER)
        if not found:
            continue
        header = before[len(opened) :] if before.startswith(opened) else ""
        if opened != shaped.render(tokenizer, question) or not first_added(tokenizer, header)[1]:
            header = ""  # the template knows where an answer begins: what it writes there is the answer's own
        closing, end, trailing = first_added(tokenizer, behind)
        frame = Frame(closing=closing, end=end, trailing=trailing) if end else Frame(trailing=behind)
        return replace(shaped, header=header), replace(frame, opening=opening_of(opened + header))
    raise ModelError(f"the chat template of {where} cannot write a question and its answer: {problem}")
