"""From completions to verdicts: a grader runs a verifier in processes that can be killed."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from rlvr.config import LEARNED, VerifyConfig
from rlvr.errors import GraderError
from rlvr.types import Group, Rollout
from tasks import Problem
from verifiers import Verdict, Verifier, get_verifier, verify_batch, with_threshold
from verifiers.verdict import Pair

# Returns the verdicts of a problem's completions, in their order.
Grader = Callable[[Problem, Sequence[Rollout]], list[Verdict]]
# What this thread is grading: more than a part of a composition is told.
GRADED: ContextVar[tuple[Problem, Sequence[Rollout]]] = ContextVar("graded")
# How many different reasons of failures are named.
SHOWN_REASONS = 3


@dataclass(frozen=True)
class LearnedPart:
    """A reward model where a verifier is expected. It scores in this process, while verifiers check in theirs.

    Without a model, for checks before there is one, every score is 0.
    """

    grader: Grader | None = None

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        raise TypeError("a reward model scores the completions of a problem at once")

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        if self.grader is None:
            return [Verdict(0.0, "scored")] * len(pairs)
        problem, rollouts = GRADED.get()
        return self.grader(problem, rollouts)


def make_grader(config: VerifyConfig, learned: Grader | None = None) -> Grader:
    """The grader of `verify.verifier`, or of the verifier that each problem names. `learned` is the reward model."""
    known: dict[str, Verifier] = {}
    others: Mapping[str, Verifier] = {LEARNED: LearnedPart(learned)} if learned is not None else {}

    def grade(problem: Problem, rollouts: Sequence[Rollout]) -> list[Verdict]:
        spec = config.verifier or problem.verifier
        name = str(spec)
        if name not in known:
            known[name] = get_verifier(spec, others=others)
        pairs = [(rollout.text, problem.answer, problem.context) for rollout in rollouts]
        graded = GRADED.set((problem, rollouts))
        verdicts = verify_batch(pairs, known[name], workers=config.workers, timeout_seconds=config.timeout_seconds)
        GRADED.reset(graded)
        return [with_threshold(verdict, config.solved_at) for verdict in verdicts]

    return grade


def failures(groups: Sequence[Group]) -> str | None:
    """`3 of 96 graders failed: ...` with the reasons, the most frequent first; `None` if none failed."""
    verdicts = [rollout.verdict for group in groups for rollout in group.rollouts if rollout.verdict is not None]
    reasons = Counter(reason_of(verdict) for verdict in verdicts if verdict.score is None)
    if not reasons:
        return None
    shown = [f"{reason} ({count})" if len(reasons) > 1 else reason for reason, count in reasons.most_common()]
    further = [f"{len(shown) - SHOWN_REASONS} more"] if len(shown) > SHOWN_REASONS else []
    return f"{reasons.total()} of {len(verdicts)} graders failed: {'; '.join([*shown[:SHOWN_REASONS], *further])}"


def reason_of(verdict: Verdict) -> str:
    return f"{verdict.status}: {verdict.detail or 'no reason given'}"


def check_graders(groups: Sequence[Group], max_failed_share: float) -> None:
    """Raise `GraderError` with one reason if the grader failed on more than `max_failed_share` of the rollouts."""
    verdicts = [rollout.verdict for group in groups for rollout in group.rollouts if rollout.verdict is not None]
    failed = [verdict for verdict in verdicts if verdict.score is None]
    share = len(failed) / max(1, len(verdicts))
    if share > max_failed_share:
        if all(verdict.status == "not_applicable" for verdict in failed):
            raise GraderError(
                f"the verifier does not apply to {share:.0%} of this step's completions (first: "
                f"{failed[0].detail or 'no reason given'}), which therefore have no reward; expected at most "
                f"{max_failed_share:.0%}. Add a part that judges them ({{weighted_sum: ...}}), leave their problems "
                "out, or raise verify.max_failed_share"
            )
        raise GraderError(
            f"the verifier failed on {share:.0%} of this step's completions (first: {reason_of(failed[0])}); "
            f"expected at most {max_failed_share:.0%}. Fix the verifier, or raise verify.max_failed_share"
        )
