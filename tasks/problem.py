"""The first of the four nouns: one dataset item."""

from dataclasses import dataclass
from typing import TypedDict


class Message(TypedDict):
    """One chat message, in the form that chat templates read."""

    role: str
    content: str


# A conversation or a part of one, oldest message first.
Messages = tuple[Message, ...]


@dataclass(frozen=True)
class Problem:
    """A prompt and its ground truth.

    `answer` is read by the verifier and by nobody else; for code it is the tests, as JSON. `solution` is a worked
    solution for supervised fine-tuning, where the dataset has one. `cohort` names the part of the data that a problem
    belongs to (domain, difficulty, user segment): rewards are reported by cohort.
    """

    id: str
    prompt: Messages
    answer: str
    verifier: str = "math"
    source: str = ""
    cohort: str = ""
    solution: str | None = None

    @property
    def context(self) -> dict[str, object]:
        """What a verifier is told besides the completion and the answer."""
        return {"prompt": self.prompt, "problem_id": self.id}


def question_problem(id: str, question: str, answer: str) -> Problem:
    """The problem of one question without further ado."""
    return Problem(id, ({"role": "user", "content": question},), answer)
