"""What a verifier says of a completion."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Status = Literal["correct", "wrong", "no_answer", "bad_gold", "timeout", "error", "partial", "scored"]


@dataclass(frozen=True)
class Verdict:
    """A finding and its reason.

    `score` lies in [0, 1], or is `None` where nothing can be said of the completion because the grader failed or the
    ground truth is broken: such a rollout trains nobody. `extracted` is the answer that was read out of the completion,
    `detail` one sentence of why, `seconds` the time that checking took, `parts` the scores of the parts of a
    composition (or of the tests that passed).

    A verdict of status `scored` is a learned judge's: nothing was checked, and `score` is any real number, which says
    what a completion is worth beside another and not whether it is right.
    """

    score: float | None
    status: Status
    extracted: str | None = None
    detail: str = ""
    seconds: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)


# What `verify_batch` checks: (completion, answer), or (completion, answer, context).
Pair = tuple[str, str] | tuple[str, str, Mapping[str, object]]


class Verifier(Protocol):
    """Anything that can be called so. `context` holds what else is known of the problem (its prompt, its id)."""

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict: ...
