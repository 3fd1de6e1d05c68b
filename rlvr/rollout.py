"""Sampling and verifying: prompts in, groups with rewards out. Verifying runs while sampling goes on."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from rlvr.config import VerifyConfig
from rlvr.engines.base import Generator
from rlvr.errors import GraderError, WeightSyncError
from rlvr.models.chat import Chat
from rlvr.types import Group, Rollout, Sampling
from tasks import Problem
from verifiers import Verdict, Verifier, get_verifier, verify_batch

Grade = Callable[[Problem, Sequence[Rollout]], list[Verdict]]
# Threads that hand finished groups to the verifier's processes; they wait, they do not compute.
GRADER_THREADS = 4


def make_grade(config: VerifyConfig) -> Grade:
    """The function that turns completions of a problem into verdicts, in processes that can be killed."""
    known: dict[str, Verifier] = {}

    def grade(problem: Problem, rollouts: Sequence[Rollout]) -> list[Verdict]:
        spec = config.verifier or problem.verifier
        name = str(spec)
        if name not in known:
            known[name] = get_verifier(spec)
        pairs = [(rollout.text, problem.answer, problem.context) for rollout in rollouts]
        return verify_batch(pairs, known[name], workers=config.workers, timeout_seconds=config.timeout_seconds)

    return grade


def collect(
    problems: Sequence[Problem],
    n: int,
    sampling: Sampling,
    seeds: Sequence[int],
    generator: Generator,
    chat: Chat,
    grade: Grade,
    version: int | None = None,
) -> list[Group]:
    """Draw `n` completions of each problem and have them verified.

    A reward is the verdict's score; where the grader failed it stays `None`. With `version` given, a completion that
    other weights wrote raises `WeightSyncError`.
    """
    prompts = [chat.problem_ids(problem, sampling.max_tokens) for problem in problems]
    grading = {}
    with ThreadPoolExecutor(GRADER_THREADS) as graders:
        for index, rollouts in generator.generate(prompts, n, sampling, seeds):
            check_version(rollouts, version)
            said = [replace(rollout, text=chat.text(rollout.completion_ids)) for rollout in rollouts]
            grading[index] = (said, graders.submit(grade, problems[index], said))
    groups = []
    for index, problem in enumerate(problems):
        rollouts, verdicts = grading[index]
        graded = zip(rollouts, verdicts.result(), strict=True)
        groups.append(
            Group(
                problem, tuple(replace(rollout, verdict=verdict, reward=verdict.score) for rollout, verdict in graded)
            )
        )
    return groups


def check_version(rollouts: Sequence[Rollout], version: int | None) -> None:
    for rollout in rollouts:
        if version is not None and rollout.policy_version != version:
            raise WeightSyncError(
                f"the generator wrote with weights of version {rollout.policy_version}, expected {version}: a weight "
                "sync did not arrive. Start the same command again; the last checkpoint is from before"
            )


def check_graders(groups: Sequence[Group], max_failed_share: float) -> float:
    """The share of rollouts whose grader failed. Raises `GraderError` above `max_failed_share`, with a reason seen."""
    verdicts = [rollout.verdict for group in groups for rollout in group.rollouts if rollout.verdict is not None]
    failed = [verdict for verdict in verdicts if verdict.score is None]
    share = len(failed) / max(1, len(verdicts))
    if share > max_failed_share:
        raise GraderError(
            f"the verifier failed on {share:.0%} of this step's completions (first: {failed[0].status}: "
            f"{failed[0].detail or 'no reason given'}); expected at most {max_failed_share:.0%}. Fix the verifier, or "
            "raise verify.max_failed_share"
        )
    return share
