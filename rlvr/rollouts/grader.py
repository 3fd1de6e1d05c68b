"""From completions to verdicts: a grader runs a verifier in processes that can be killed."""

from collections.abc import Callable, Sequence

from rlvr.config import VerifyConfig
from rlvr.errors import GraderError
from rlvr.types import Group, Rollout
from tasks import Problem
from verifiers import Verdict, Verifier, get_verifier, verify_batch

# Returns the verdicts of a problem's completions, in their order.
Grader = Callable[[Problem, Sequence[Rollout]], list[Verdict]]


def make_grader(config: VerifyConfig) -> Grader:
    """The grader of `verify.verifier`, or of the verifier that each problem names."""
    known: dict[str, Verifier] = {}

    def grade(problem: Problem, rollouts: Sequence[Rollout]) -> list[Verdict]:
        spec = config.verifier or problem.verifier
        name = str(spec)
        if name not in known:
            known[name] = get_verifier(spec)
        pairs = [(rollout.text, problem.answer, problem.context) for rollout in rollouts]
        return verify_batch(pairs, known[name], workers=config.workers, timeout_seconds=config.timeout_seconds)

    return grade


def check_graders(groups: Sequence[Group], max_failed_share: float) -> None:
    """Raise `GraderError` with one reason if the grader failed on more than `max_failed_share` of the rollouts."""
    verdicts = [rollout.verdict for group in groups for rollout in group.rollouts if rollout.verdict is not None]
    failed = [verdict for verdict in verdicts if verdict.score is None]
    share = len(failed) / max(1, len(verdicts))
    if share > max_failed_share:
        raise GraderError(
            f"the verifier failed on {share:.0%} of this step's completions (first: {failed[0].status}: "
            f"{failed[0].detail or 'no reason given'}); expected at most {max_failed_share:.0%}. Fix the verifier, or "
            "raise verify.max_failed_share"
        )
