"""Functions as verifiers: plain, async, or over a whole batch. What a plugin returns becomes a Verdict here.

A plugin writes no timeout and catches nothing: `verify_batch` runs it in a worker process under a deadline, and
whatever it raises becomes a verdict with `score=None`, because a broken grader says nothing of a completion.
"""

import inspect
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import get_args

from verifiers.verdict import Status, Verdict


def as_verdict(value: object) -> Verdict:
    """A sound Verdict as it is; a bool or a number in [0, 1] as a score. Anything else is the grader's own failure."""
    if isinstance(value, Verdict):
        fault = fault_of(value)
        return failed(fault[:300]) if fault else value
    if isinstance(value, (bool, int, float)) and math.isfinite(value) and 0 <= value <= 1:
        score = float(value)
        return Verdict(score, "correct" if score == 1.0 else "wrong" if score == 0.0 else "partial")
    return failed(f"a verifier returns a Verdict, a bool or a number in [0, 1]: got {value!r}"[:300])


def fault_of(verdict: Verdict) -> str:
    """What a verdict holds that it may not, in one sentence; empty for a sound one. A reward of nan would end a run."""
    if verdict.status not in get_args(Status):
        return f"a Verdict's status is one of {', '.join(get_args(Status))}: got {verdict.status!r}"
    for name in ("extracted", "detail"):
        text = getattr(verdict, name)
        if not (isinstance(text, str) or (text is None and name == "extracted")):
            return f"a Verdict's {name} is text: got {text!r}"
    score = verdict.score
    if score is None:
        return ""
    real = isinstance(score, Real) and math.isfinite(score)
    if not real or not (0 <= score <= 1 or verdict.status == "scored"):
        return f"a Verdict's score is a number in [0, 1] or None: got {score!r}"
    return ""


def failed(detail: str, *, seconds: float = 0.0) -> Verdict:
    """The verdict of a grader that broke: no score, so that nobody is trained on it."""
    return Verdict(None, "error", detail=detail, seconds=seconds)


def finished(call: Coroutine[object, object, object]) -> object:
    """What an async function returns in the end."""
    import asyncio  # a third of the time that importing this package would take; only async plugins need it

    return asyncio.run(call)


@dataclass(frozen=True)
class FunctionVerifier:
    """One completion at a time through `function(completion, answer, **context)`, plain or async.

    `spec` is the name by which a worker process finds the function again; without one the function itself must be
    picklable. Never raises.
    """

    function: Callable[..., object]
    spec: str = ""

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        started = time.perf_counter()
        try:
            value = self.function(completion, answer, **context)
            if inspect.iscoroutine(value):
                value = finished(value)
            verdict = as_verdict(value)
        except Exception as problem:
            verdict = failed(f"{type(problem).__name__}: {problem}"[:300])
        return verdict if verdict.seconds else replace(verdict, seconds=time.perf_counter() - started)


@dataclass(frozen=True)
class BatchVerifier:
    """Many completions at once through `function(completions, answers) -> values`; one call of it serves one chunk.

    A plugin says `my_verifier = BatchVerifier(score_many)`. `chunk` is the most pairs that one call gets.
    """

    function: Callable[[Sequence[str], Sequence[str]], Sequence[object]]
    chunk: int = 32

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return self.verify_chunk([(completion, answer)])[0]

    def verify_chunk(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        """One call of the function. Never raises: a failure is the verdict of every pair of the chunk."""
        started = time.perf_counter()
        try:
            value: object = self.function([pair[0] for pair in pairs], [pair[1] for pair in pairs])
            if inspect.iscoroutine(value):
                value = finished(value)
            verdicts = [as_verdict(one) for one in value]  # type: ignore[attr-defined]
            if len(verdicts) != len(pairs):
                verdicts = [
                    failed(f"the batch function got {len(pairs)} pairs and returned {len(verdicts)} values")
                ] * len(pairs)
        except Exception as problem:
            verdicts = [failed(f"{type(problem).__name__}: {problem}"[:300])] * len(pairs)
        seconds = (time.perf_counter() - started) / max(1, len(pairs))
        return [verdict if verdict.seconds else replace(verdict, seconds=seconds) for verdict in verdicts]
