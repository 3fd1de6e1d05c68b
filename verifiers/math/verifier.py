"""The `math` verifier: extract, then ask ever stronger questions until one decides.

All but the last question run in the calling process, in bounded time. Only what exact algebra cannot prove and numbers
do not refute goes to sympy, in a worker process under a deadline.
"""

import functools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from verifiers.math.extract.answer import Extraction, Mode, extract
from verifiers.math.extract.endings import is_mere_prose
from verifiers.math.judge import Judgement, is_readable, judge
from verifiers.math.text.dressing import undress
from verifiers.pool import Outcome, WorkerPool, shared_pool
from verifiers.verdict import Pair, Verdict

CONFIRM_CPU_SECONDS = 0.4  # of processor time for one answer; sympy needs a few milliseconds where it can tell at all
CONFIRM_SECONDS = 5.0  # of wall-clock time: only a machine that hardly runs the worker at all comes so far
BATCH_CONFIRM_SECONDS = 2.0  # for all answers of one batch: a flood of hard ones must not hold up a training step
WORKER_MEMORY_MB = 280
CONFIRM_TASK = "verifiers.math.proof.confirm:confirm"
MAX_TRUTH_CHARS = 40  # a longer ground truth may be a whole solution: its answer is extracted too


@dataclass(frozen=True)
class MathVerifier:
    """Checks a completion against a ground truth in LaTeX or plain text. Never raises and never hangs.

    `mode` says which text counts as an answer: `marked` (boxed, ####, <answer>, "the answer is"), `standard` (also a
    last line or sentence that states a value, and a completion that is nothing but an answer), `lenient` (also the last
    formula or number). With `ordered_lists` the order counts in bare lists too: `1, 2` is then not `2, 1`.
    """

    mode: Mode = "standard"
    ordered_lists: bool = False

    def __post_init__(self) -> None:
        warm_up(os.getpid())

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer)], workers=1, timeout_seconds=CONFIRM_SECONDS)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int = 2, timeout_seconds: float = 5.0) -> list[Verdict]:
        """The verdicts of `(completion, answer)` pairs, in order. What cannot be settled in time is not correct."""
        warm_up(os.getpid())
        verdicts: list[Verdict] = []
        waiting: list[tuple[int, Judgement]] = []
        for index, (completion, answer, *_) in enumerate(pairs):
            started = time.perf_counter()
            verdict, judgement = self._decide(completion, answer)
            seconds = time.perf_counter() - started
            verdicts.append(Verdict(verdict.score, verdict.status, verdict.extracted, verdict.detail, seconds))
            if judgement is not None:
                waiting.append((index, judgement))
        if waiting:
            self._confirm(waiting, verdicts, workers, min(timeout_seconds, CONFIRM_SECONDS))
        return verdicts

    def _decide(self, completion: str, answer: str) -> tuple[Verdict, Judgement | None]:
        """What can be said here and now, and the judgement that still needs sympy."""
        if not isinstance(completion, str) or not isinstance(answer, str):
            return Verdict(None, "error", detail=f"completion and answer are strings: got {type(completion).__name__} "
                           f"and {type(answer).__name__}"), None  # fmt: skip
        try:
            truth = truth_of(answer)
            if not truth:
                return Verdict(None, "bad_gold", detail="the ground truth is empty"), None
            found = extract(completion, self.mode)
            if not found.candidates:
                return Verdict(0.0, "no_answer", detail=found.detail), None
            return self._compare(found, truth)
        except Exception as problem:  # a verifier never takes a training run down; this is a bug worth a report
            return Verdict(None, "error", detail=f"{type(problem).__name__}: {problem}"[:300]), None

    def _compare(self, found: Extraction, truth: str) -> tuple[Verdict, Judgement | None]:
        if len(found.parts) > 1:
            judgements = [judge(undress(part), truth, ordered=self.ordered_lists) for part in found.parts]
            if all(judgement.same for judgement in judgements):  # one answer, written several times
                pending = tuple(pair for judgement in judgements for pair in judgement.pending)
                merged = Judgement(True, "equal", pending)
                return Verdict(1.0, "correct", found.candidates[0], "equal"), merged if pending else None
        refusal = ""
        for candidate in found.candidates:
            judgement = judge(undress(candidate), truth, ordered=self.ordered_lists)
            if judgement.same:
                verdict = Verdict(1.0, "correct", candidate, judgement.detail)
                return verdict, judgement if judgement.pending else None
            refusal = refusal or judgement.detail
            if is_readable(undress(candidate)):
                break  # a looser reading is for sentences, not for answers that say something else
        if found.source == "bare" and is_mere_prose(found.candidates[0]):
            return Verdict(0.0, "no_answer", detail="prose without an answer"), None
        return Verdict(0.0, "wrong", found.candidates[0], refusal), None

    def _confirm(
        self, waiting: list[tuple[int, Judgement]], verdicts: list[Verdict], workers: int, timeout_seconds: float
    ) -> None:
        """Settle by sympy what is equal if some pairs are; the smallest first."""
        waiting = sorted(waiting, key=lambda one: len(repr(one[1].pending)))
        jobs = [list(judgement.pending) for _, judgement in waiting]
        outcomes = confirm_pool().run(
            CONFIRM_TASK,
            jobs,
            timeout_seconds,
            cpu_seconds=CONFIRM_CPU_SECONDS,
            workers=workers,
            total_seconds=BATCH_CONFIRM_SECONDS,
        )
        for (index, _), outcome in zip(waiting, outcomes, strict=True):
            verdicts[index] = settled(verdicts[index], outcome)


def settled(verdict: Verdict, outcome: Outcome) -> Verdict:
    """The verdict after sympy has spoken, or has not."""
    seconds = verdict.seconds + outcome.seconds
    if outcome.value is True:
        return Verdict(1.0, "correct", verdict.extracted, "equal, confirmed by sympy", seconds)
    if not outcome.failure:
        return Verdict(0.0, "wrong", verdict.extracted, "numerically close, but not proved equal", seconds)
    if outcome.failure == "unstarted":  # nothing that the completion could be blamed for
        return Verdict(None, "error", verdict.extracted, outcome.detail, seconds)
    if outcome.failure == "timeout":
        return Verdict(0.0, "timeout", verdict.extracted, f"sympy was {outcome.detail}: not proved equal", seconds)
    return Verdict(0.0, "wrong", verdict.extracted, f"sympy could not tell: {outcome.detail}", seconds)


def confirm_pool() -> WorkerPool:
    """The workers of this process that ask sympy."""
    return shared_pool(WORKER_MEMORY_MB, ("verifiers.math.proof.confirm:rehearse",))


@functools.cache
def warm_up(process_id: int) -> None:
    """Begin importing sympy in the background, once: the first hard answer then finds a worker that is ready."""
    confirm_pool().start()


@functools.lru_cache(maxsize=8_192)
def truth_of(answer: str) -> str:
    """The ground truth as an answer: a whole solution is searched for its own."""
    if len(answer) > MAX_TRUTH_CHARS or "\\boxed" in answer or "####" in answer or "$" in answer or "nswer" in answer:
        found = extract(answer + "}" * (answer.count("{") - answer.count("}")), "standard")
        if found.candidates:
            return undress(found.candidates[-1] if found.source == "bare" else found.candidates[0])
    return undress(answer)
