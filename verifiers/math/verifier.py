"""The `math` verifier: extract the candidates for the answer, compare each with the ground truth, then ask sympy.

Extraction and comparison run in the calling process, in bounded time. Only pairs that exact algebra cannot prove and
numbers do not refute go to sympy, in a worker process under a deadline.
"""

import functools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from verifiers.accepted import any_accepted
from verifiers.math.extract.answer import Extraction, Mode, extract_answer
from verifiers.math.extract.endings import is_mere_prose
from verifiers.math.rules import Decision, decide, with_rule
from verifiers.math.text.dressing import undress
from verifiers.math.tree.reading import is_readable
from verifiers.pool import Outcome, WorkerPool, shared_pool
from verifiers.values import Json
from verifiers.verdict import Pair, Status, Verdict

CONFIRM_CPU_SECONDS = 0.4  # of processor time for one answer; sympy needs a few milliseconds where it can tell at all
CONFIRM_SECONDS = 5.0  # of wall-clock time: reached only on a machine that hardly runs the worker at all
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

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer)], workers=1, timeout_seconds=CONFIRM_SECONDS)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int = 2, timeout_seconds: float = 5.0) -> list[Verdict]:
        """The verdicts of `(completion, answer)` pairs, in order. What cannot be settled in time is not correct."""
        return any_accepted(pairs, lambda texts: self._verify(texts, workers, timeout_seconds))

    def _verify(self, pairs: Sequence[Pair], workers: int, timeout_seconds: float) -> list[Verdict]:
        warm_up(os.getpid())
        verdicts: list[Verdict] = []
        waiting: list[tuple[int, Decision]] = []
        for index, (completion, answer, *_) in enumerate(pairs):
            started = time.perf_counter()
            verdict, decision = self._check(completion, answer)
            seconds = time.perf_counter() - started
            verdicts.append(Verdict(verdict.score, verdict.status, verdict.extracted, verdict.detail, seconds))
            if decision is not None:
                waiting.append((index, decision))
        if waiting:
            self._confirm(waiting, verdicts, workers, min(timeout_seconds, CONFIRM_SECONDS))
        return verdicts

    def _check(self, completion: str, answer: str) -> tuple[Verdict, Decision | None]:
        """The verdict so far, and its decision if that still needs sympy."""
        if not isinstance(completion, str) or not isinstance(answer, str):
            types = f"{type(completion).__name__} and {type(answer).__name__}"
            return Verdict(None, "error", detail=f"completion and answer must be strings: got {types}"), None
        try:
            truth = truth_of(answer)
            if not truth:
                return Verdict(None, "bad_gold", detail="the ground truth is empty"), None
            extraction = extract_answer(completion, self.mode)
            if not extraction.candidates:
                return Verdict(0.0, "no_answer", detail=extraction.detail), None
            return self._compare(extraction, truth)
        except Exception as problem:  # a verifier never takes a training run down; this is a bug worth a report
            return Verdict(None, "error", detail=f"{type(problem).__name__}: {problem}"[:300]), None

    def _compare(self, extraction: Extraction, truth: str) -> tuple[Verdict, Decision | None]:
        """Compare the candidates with the ground truth, the most literal first, until one is right or says enough."""
        if len(extraction.parts) > 1:
            decisions = [decide(undress(part), truth, ordered=self.ordered_lists) for part in extraction.parts]
            if all(decision.same for decision in decisions):
                return verdict_of(extraction.candidates[0], merged(decisions))
        refusal: Decision | None = None
        for candidate in extraction.candidates:
            text = undress(candidate)
            decision = decide(text, truth, ordered=self.ordered_lists)
            if decision.same:
                return verdict_of(candidate, decision)
            refusal = refusal or decision
            if is_readable(text):
                break  # a looser reading is for sentences, not for answers that say something else
        assert refusal is not None
        first = extraction.candidates[0]
        if extraction.source == "bare" and is_mere_prose(first):
            return Verdict(0.0, "no_answer", detail="prose without an answer"), None
        return verdict_of(first, refusal)

    def _confirm(
        self, waiting: list[tuple[int, Decision]], verdicts: list[Verdict], workers: int, timeout_seconds: float
    ) -> None:
        """Ask sympy about the pending pairs; the smallest decisions first."""
        waiting = sorted(waiting, key=lambda one: len(repr(one[1].pending)))
        jobs = [list(decision.pending) for _, decision in waiting]
        outcomes = confirm_pool().run(
            CONFIRM_TASK,
            jobs,
            timeout_seconds,
            cpu_seconds=CONFIRM_CPU_SECONDS,
            workers=workers,
            total_seconds=BATCH_CONFIRM_SECONDS,
        )
        for (index, decision), outcome in zip(waiting, outcomes, strict=True):
            verdicts[index] = settled(verdicts[index], decision.rule, outcome)


def verdict_of(candidate: str, decision: Decision) -> tuple[Verdict, Decision | None]:
    """The verdict on a candidate, and its decision where that still needs sympy."""
    pending = decision if decision.pending else None
    return Verdict(float(decision.same), "correct" if decision.same else "wrong", candidate, decision.detail), pending


def merged(decisions: Sequence[Decision]) -> Decision:
    """One decision for an answer that is marked several times and right each time."""
    rules = dict.fromkeys(decision.rule for decision in decisions)
    pending = tuple(pair for decision in decisions for pair in decision.pending)
    return Decision(True, "one answer, marked several times", "; ".join(rules), pending)


def settled(verdict: Verdict, rule: str, outcome: Outcome) -> Verdict:
    """The verdict after sympy has answered, or has not."""
    score = 0.0
    status: Status = "wrong"
    if outcome.value is True:
        score, status, reason = 1.0, "correct", "equal, confirmed by sympy"
    elif not outcome.failure:
        reason = "numerically close, but not proved equal"
    elif outcome.failure == "unstarted":  # nothing that the completion could be blamed for
        return Verdict(None, "error", verdict.extracted, outcome.detail, verdict.seconds + outcome.seconds)
    elif outcome.failure == "timeout":
        status, reason = "timeout", f"sympy was {outcome.detail}: not proved equal"
    else:
        reason = f"sympy could not tell: {outcome.detail}"
    return Verdict(score, status, verdict.extracted, with_rule(reason, rule), verdict.seconds + outcome.seconds)


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
        closed = answer + "}" * (answer.count("{") - answer.count("}"))
        extraction = extract_answer(closed, "standard")
        if extraction.candidates:
            return undress(extraction.candidates[-1 if extraction.source == "bare" else 0])
    return undress(answer)
