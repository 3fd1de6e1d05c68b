"""A problem: one dataset item as a prompt and a ground truth."""

from dataclasses import dataclass
from typing import NotRequired, TypedDict


class Message(TypedDict):
    """One chat message, in the form that chat templates read. The assistant's may have a thought of its own."""

    role: str
    content: str
    reasoning_content: NotRequired[str]
    thinking: NotRequired[str]


# A conversation or a part of one, oldest message first.
Messages = tuple[Message, ...]


@dataclass(frozen=True)
class Problem:
    """A prompt and its ground truth.

    Only the verifier reads `answer`; for code it holds the tests, as JSON. `solution` is a worked solution for
    supervised fine-tuning, if the dataset has one. `cohort` names the part of the data that the problem belongs to
    (domain, difficulty, user segment); rewards are reported by cohort.
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
        """What a verifier receives besides the completion and the answer."""
        return {"prompt": self.prompt, "problem_id": self.id}


def question_problem(id: str, question: str, answer: str) -> Problem:
    """A problem whose prompt is one question of the user."""
    return Problem(id, ({"role": "user", "content": question},), answer)
