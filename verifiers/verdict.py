"""What a verifier says about a completion, and what a verifier is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from verifiers.values import Json

Status = Literal["correct", "wrong", "no_answer", "bad_gold", "timeout", "error", "partial", "scored"]


@dataclass(frozen=True)
class Verdict:
    """A score and the reason for it.

    `score` lies in [0, 1], or is `None` where nothing can be said about the completion because the grader failed or the
    ground truth is broken: such a rollout trains nobody. `extracted` is the answer that was read out of the completion,
    `detail` one sentence with the reason, `seconds` the time that the check took, `parts` the scores of the parts of a
    composition (or of the tests that passed). `weights` says what parts count for where they are normalized apart
    (`combine: apart`): any finite number by the name of a part, 1 for a part that is not named.

    A verdict with status `scored` comes from a learned judge: nothing was checked, and `score` is any real number,
    which says what a completion is worth compared with another and not whether it is right.
    """

    score: float | None
    status: Status
    extracted: str | None = None
    detail: str = ""
    seconds: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)


# What `verify_batch` checks: (completion, answer), or (completion, answer, context).
Pair = tuple[str, Json] | tuple[str, Json, Mapping[str, object]]
# What names a verifier: "math", {"name": "math", "mode": "lenient"} or {"weighted_sum": {"math": 1.0, "format": 0.2}}.
Spec = str | Mapping[str, Any]


class Verifier(Protocol):
    """Anything that can be called like this.

    `context` holds what else is known about the problem: `prompt`, `problem_id`, all `columns` of its row, and each
    column by its own name. A verifier may name what it needs of these, and do without `**context`. `answer` is text, or
    what the data hold: a number, true or false, a list, a dict.
    """

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict: ...
