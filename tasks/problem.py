"""A problem: one dataset item as a prompt and a ground truth."""

import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, Self, TypedDict

from verifiers.values import Json, json_text, parse_json
from verifiers.verdict import Spec


class Message(TypedDict):
    """One chat message, in the form that chat templates read. The assistant's may have a thought of its own."""

    role: str
    content: str
    reasoning_content: NotRequired[str]
    thinking: NotRequired[str]


# A conversation or a part of one, oldest message first.
Messages = tuple[Message, ...]
# What a verifier is called with in any case; a column of such a name is in `columns` only.
RESERVED = ("completion", "answer", "prompt", "problem_id", "columns")


@dataclass(frozen=True)
class Problem:
    """A prompt and its ground truth.

    Only the verifier reads `answer`, which is text or whatever JSON the data hold: a number (digit for digit), true or
    false, a list of accepted answers, tests of a program. `solution` is a worked solution for supervised fine-tuning,
    if the dataset has one. `cohort` names the part of the data that the problem belongs to (domain, difficulty, user
    segment); rewards are reported by cohort. `columns` is the whole row, for verifiers that read more of it.
    """

    id: str
    prompt: Messages
    answer: Json
    verifier: Spec = "math"
    source: str = ""
    cohort: str = ""
    solution: str | None = None
    columns: Mapping[str, Json] = field(default_factory=dict)

    @property
    def context(self) -> dict[str, object]:
        """What a verifier receives besides the completion and the answer: each column by its name where that can be
        the name of an argument, all of them as `columns`, the prompt as the policy reads it, and the problem's id."""
        named = {name: value for name, value in self.columns.items() if is_argument(name)}
        return {**named, "prompt": self.prompt, "problem_id": self.id, "columns": self.columns}

    def state(self) -> dict[str, Any]:
        """The problem as JSON that keeps every digit; `of` is the inverse."""
        texts = {"answer": json_text(self.answer), "columns": json_text(self.columns)}
        return {**vars(self), "prompt": list(self.prompt), **texts}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The problem of a state, or of its fields, as they were saved before answers could be anything but text."""
        known = {**values, "prompt": tuple(values["prompt"])}
        if isinstance(values.get("columns"), str):
            known |= {"answer": parse_json(values["answer"]), "columns": parse_json(values["columns"])}
        return cls(**known)


def is_argument(name: str) -> bool:
    """Whether a column reaches a verifier as a keyword argument of its own."""
    return name.isidentifier() and not keyword.iskeyword(name) and name not in RESERVED


def question_problem(id: str, question: str, answer: Json, columns: Mapping[str, Json] | None = None) -> Problem:
    """A problem whose prompt is one question of the user."""
    return Problem(id, ({"role": "user", "content": question},), answer, columns=columns or {})
