"""What stands around a question: named prompts out of papers, formats of one's own, worked examples before it.

A format is a text with columns of the row in braces: `{question}` is the question, `{level}` and `{extra_info.index}`
are columns. Braces around anything else stay as they are, so `\\boxed{}` needs no care; `{{x}}` is the text `{x}`.

Left out: formats for models without a chat template, which belong to the model (`model.chat_template`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tasks.columns import Row, value_at
from tasks.problem import Message, Messages
from verifiers.values import as_text

FIELD = re.compile(r"\{\{([^{}]*)\}\}|\{([A-Za-z_][\w\-]*(?:\.[\w\-]+)*)\}")


@dataclass(frozen=True)
class Prompt:
    """The text of the user's message, and a system message or none."""

    user: str = "{question}"
    system: str = ""


PROMPTS: dict[str, Prompt] = {
    "plain": Prompt(),
    # The template of DeepSeek-R1-Zero (DeepSeek-AI, 2025, arXiv:2501.12948, table 1). Its tags are checked by the
    # verifier `format`.
    "r1": Prompt(
        system=(
            "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The "
            "assistant first thinks about the reasoning process in the mind and then provides the user with the "
            "answer. The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> "
            "tags, respectively, i.e., <think> reasoning process here </think> <answer> answer here </answer>."
        )
    ),
    # Qwen2.5-Math's prompt for reasoning in words (Yang et al., 2024, arXiv:2409.12122, and its repository).
    "boxed": Prompt(system="Please reason step by step, and put your final answer within \\boxed{}."),
    # The form of GSM8K's own solutions (Cobbe et al., 2021, arXiv:2110.14168).
    "gsm8k": Prompt(user="{question}\nReason step by step, and end with a line that holds #### and the final number."),
}


def find_prompt(text: str) -> Prompt:
    """The prompt of a name, or a format. Raises `ValueError` for a text that is neither."""
    if text in PROMPTS:
        return PROMPTS[text]
    if not any(field for _, field in FIELD.findall(text)):
        raise ValueError(
            f"prompt: got {text!r}, expected one of {', '.join(PROMPTS)}, or a format that holds {{question}} or "
            "another column in braces"
        )
    return Prompt(user=text)


def filled(text: str, row: Row, question: str) -> str:
    """A format with the columns of a row. Raises `ValueError` for a field that the row does not have."""

    def value(field: re.Match[str]) -> str:
        literal, name = field.groups()
        if name is None:
            return f"{{{literal}}}"
        if name == "question":
            return question
        try:
            return as_text(value_at(row, name))
        except KeyError as error:
            raise ValueError(
                f"the format names the column {name!r}; {error.args[0]}. Write {{{{{name}}}}} for the text itself"
            ) from None

    return FIELD.sub(value, text)


def with_question(messages: Messages, wrap: Callable[[str], str]) -> Messages:
    """The messages with the text of the last one of the user wrapped."""
    last = max(place for place, message in enumerate(messages) if message["role"] == "user")
    changed: Message = {**messages[last], "content": wrap(messages[last]["content"])}
    return (*messages[:last], changed, *messages[last + 1 :])


def has_system(messages: Messages) -> bool:
    return messages[0]["role"] in ("system", "developer")


def with_turns(messages: Messages, turns: Sequence[Message]) -> Messages:
    """The messages with worked examples in front, behind the system message if there is one."""
    start = 1 if has_system(messages) else 0
    return (*messages[:start], *turns, *messages[start:])


def example_turns(question: str, answer: str) -> tuple[Message, Message]:
    return {"role": "user", "content": question}, {"role": "assistant", "content": answer}


def checked_examples(examples: Sequence[Mapping[str, str]]) -> None:
    """Raise `ValueError` for an example that is not a question with an answer."""
    for number, example in enumerate(examples):
        if set(example) != {"question", "answer"}:
            raise ValueError(f"examples[{number}]: got {', '.join(example) or 'nothing'}, expected question and answer")


def named_in(text: str) -> set[str]:
    """The columns that a prompt's name or format mentions."""
    return {name for _, name in FIELD.findall(PROMPTS[text].user if text in PROMPTS else text) if name}
