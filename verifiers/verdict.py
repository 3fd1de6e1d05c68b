"""What a verifier says about a completion, whether that solves its problem, and what a verifier is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from verifiers.values import Json

Status = Literal["correct", "wrong", "no_answer", "bad_gold", "timeout", "error", "partial", "scored", "not_applicable"]


@dataclass(frozen=True)
class Verdict:
    """A score and the reason for it.

    `score` is the reward: any finite number, also a negative one. It is `None` where nothing can be said about the
    completion because the grader failed or the ground truth is broken: such a rollout trains nobody. `extracted` is the
    answer that was read out of the completion, `detail` one sentence with the reason, `seconds` the time that the check
    took, `parts` the scores of the parts of a composition (or of the tests that passed). `weights` says what parts
    count for where they are normalized apart (`combine: decoupled`): any finite number by the name of a part, 1 for a
    part that is not named.

    `solved` says whether the completion solves its problem, where the score does not tell: see `is_solved`. A verdict
    with status `scored` comes from a judge whose score says what a completion is worth compared with another, and not
    whether it is right. One with status `not_applicable` has no score because the verifier does not judge problems like
    this one; a weighted sum leaves such a part out.
    """

    score: float | None
    status: Status
    extracted: str | None = None
    detail: str = ""
    seconds: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    solved: bool | None = None


def is_solved(verdict: Verdict) -> bool | None:
    """Whether a completion solves its problem; `None` where the verdict does not tell. Every share of solved problems,
    and every filter that asks for solved ones, uses this rule.

    `solved` decides where the verifier, or a threshold (`verify.solved_at`), has set it. Else a score of 1 solves and
    one below 1 does not. A score above 1 solves if the status is `correct`. The status `scored` never tells.
    """
    if verdict.score is None or verdict.solved is not None:
        return verdict.solved
    if verdict.status == "scored":
        return None
    return verdict.score == 1 or (verdict.score > 1 and verdict.status == "correct")


def with_threshold(verdict: Verdict, solved_at: float | None) -> Verdict:
    """The verdict, solved where its score is at least `solved_at`; as it is without a threshold or a score."""
    if solved_at is None or verdict.score is None:
        return verdict
    return replace(verdict, solved=verdict.score >= solved_at)


def status_of(score: float) -> Status:
    """The status of a bare score: above 1 the scale is unknown, and so is what would be correct."""
    return "correct" if score == 1 else "wrong" if score <= 0 else "partial" if score < 1 else "scored"


# What `verify_batch` checks: (completion, answer), or (completion, answer, context).
Pair = tuple[str, Json] | tuple[str, Json, Mapping[str, object]]
# What names a verifier: "math", {"name": "math", "mode": "lenient"} or {"weighted_sum": {"math": 1.0, "format": 0.2}}.
Spec = str | Mapping[str, Any]


class Verifier(Protocol):
    """Anything that can be called like this.

    It returns a `Verdict`, or a bare score: a bool or any finite number (`function.as_verdict`).

    `context` holds what else is known about the problem: `prompt`, `problem_id`, all `columns` of its row, and each
    column by its own name. A verifier may name what it needs of these, and do without `**context`. `answer` is text, or
    what the data hold: a number, true or false, a list, a dict.
    """

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict: ...
