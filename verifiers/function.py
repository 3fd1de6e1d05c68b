"""Functions as verifiers: plain, async, or for a whole batch. What a plugin returns becomes a Verdict here.

A plugin sets no timeout and catches no exceptions: `verify_batch` runs it in a worker process under a deadline, and
whatever it raises becomes a verdict with `score=None`, because a broken grader says nothing about a completion.
"""

import inspect
import math
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import get_args

from verifiers.context import accepted, as_lists, context_of
from verifiers.settings import fits
from verifiers.values import Json
from verifiers.verdict import Pair, Spec, Status, Verdict


def as_verdict(value: object) -> Verdict:
    """A valid Verdict as it is; a bool or a number in [0, 1] as a score. Anything else is the grader's own failure."""
    if isinstance(value, Verdict):
        fault = fault_of(value)
        return failed(fault[:300]) if fault else value
    if isinstance(value, (bool, int, float)) and math.isfinite(value) and 0 <= value <= 1:
        score = float(value)
        return Verdict(score, "correct" if score == 1.0 else "wrong" if score == 0.0 else "partial")
    return failed(f"a verifier returns a Verdict, a bool or a number in [0, 1]: got {value!r}"[:300])


def fault_of(verdict: Verdict) -> str:
    """What is invalid about a verdict, in one sentence; empty for a valid one. A reward of nan would end a run."""
    if verdict.status not in get_args(Status):
        return f"a Verdict's status is one of {', '.join(get_args(Status))}: got {verdict.status!r}"
    for name in ("extracted", "detail"):
        text = getattr(verdict, name)
        if not (isinstance(text, str) or (text is None and name == "extracted")):
            return f"a Verdict's {name} is text: got {text!r}"
    if not fits(verdict.weights, Mapping[str, float]):
        return f"a Verdict's weights are finite numbers by the names of parts: got {verdict.weights!r}"
    score = verdict.score
    if score is None:
        return ""
    real = isinstance(score, Real) and math.isfinite(score)
    if not real or not (0 <= score <= 1 or verdict.status == "scored"):
        return f"a Verdict's score is a number in [0, 1] or None: got {score!r}"
    return ""


def failed(detail: str, *, seconds: float = 0.0) -> Verdict:
    """The verdict of a grader that failed: no score, so that nobody is trained on it."""
    return Verdict(None, "error", detail=detail, seconds=seconds)


def finished(call: Coroutine[object, object, object]) -> object:
    """What an async function returns when it is done."""
    import asyncio  # a third of the time that importing this package would take; only async plugins need it

    return asyncio.run(call)


@dataclass(frozen=True)
class FunctionVerifier:
    """Calls `function(completion, answer, **context)`, plain or async, for one completion at a time.

    Of the context it gets what it names, and all of it if it has a `**context` (see `verifiers.context`).

    `spec` describes the function, so that a worker process finds it again; without one the function itself must be
    picklable. Never raises.
    """

    function: Callable[..., object]
    spec: Spec = ""

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        started = time.perf_counter()
        try:
            value = self.function(completion, answer, **accepted(self.function, context))
            if inspect.iscoroutine(value):
                value = finished(value)
            verdict = as_verdict(value)
        except Exception as error:
            verdict = failed(f"{type(error).__name__}: {error}"[:300])
        return verdict if verdict.seconds else replace(verdict, seconds=time.perf_counter() - started)


@dataclass(frozen=True)
class BatchVerifier:
    """Calls `function(completions, answers) -> values` for many completions at once, one call for each chunk.

    Of the context it gets what it names, or all of it through `**context`: `prompts`, `problem_ids`, `columns`, and
    each column by its name, as lists with an entry for each completion. A plugin says
    `my_verifier = BatchVerifier(score_many)`. `chunk` is the largest number of pairs in one call.
    """

    function: Callable[..., object]
    chunk: int = 32

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self.verify_chunk([(completion, answer, context)])[0]

    def verify_chunk(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """One call of the function. Never raises: if the call fails, every pair of the chunk gets that verdict."""
        started = time.perf_counter()
        try:
            value: object = self.function(
                [pair[0] for pair in pairs],
                [pair[1] for pair in pairs],
                **accepted(self.function, as_lists(list(map(context_of, pairs)))),
            )
            if inspect.iscoroutine(value):
                value = finished(value)
            verdicts = [as_verdict(one) for one in value]  # type: ignore[attr-defined]
            if len(verdicts) != len(pairs):
                verdicts = [
                    failed(f"the batch function got {len(pairs)} pairs and returned {len(verdicts)} values")
                ] * len(pairs)
        except Exception as error:
            verdicts = [failed(f"{type(error).__name__}: {error}"[:300])] * len(pairs)
        seconds = (time.perf_counter() - started) / max(1, len(pairs))
        return [verdict if verdict.seconds else replace(verdict, seconds=seconds) for verdict in verdicts]
