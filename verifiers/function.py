"""Functions as verifiers: plain, async, or for a whole batch. What a plugin returns becomes a Verdict here.

A plugin sets no timeout and catches no exceptions: `verify_batch` runs it in a worker process under a deadline, and
whatever it raises becomes a verdict with `score=None`, because a broken grader says nothing about a completion.
"""

import inspect
import math
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Complex, Real
from typing import SupportsFloat, SupportsIndex, get_args

from verifiers.context import accepted, as_lists, context_of
from verifiers.values import Json
from verifiers.verdict import Pair, Spec, Status, Verdict, status_of

STATUSES = get_args(Status)


def as_verdict(value: object) -> Verdict:
    """A valid Verdict with plain floats in it; a bare score, which is a bool or any finite number, as a Verdict.

    Numbers may be of any type: of Python, numpy or torch (without dimensions), fractions and decimals. Anything else,
    nan and infinity are the grader's own failure.
    """
    if isinstance(value, Verdict):
        return checked(value)
    score = finite(value)
    if score is None:
        return failed(f"a verifier returns a Verdict, a bool or a finite number: got {value!r}"[:300])
    return Verdict(score, status_of(score))


def finite(value: object) -> float | None:
    """A finite number of any numeric type as a float; `None` for everything else."""
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, SupportsFloat | SupportsIndex):
        return None
    if isinstance(value, Complex) and not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except Exception:  # an array of several numbers, an integer beyond all floats, or whatever a type of one's own does
        return None
    return number if math.isfinite(number) else None


def checked(verdict: Verdict) -> Verdict:
    """The verdict with its numbers as floats, which every file can hold; a failure where it is invalid."""
    score, seconds = finite(verdict.score), finite(verdict.seconds)
    parts, weights = finite_values(verdict.parts), finite_values(verdict.weights)
    solved = truth_value(verdict.solved)
    fault = ""
    if verdict.status not in STATUSES:
        fault = f"a Verdict's status is one of {', '.join(STATUSES)}: got {verdict.status!r}"
    elif not isinstance(verdict.extracted, str | None):
        fault = f"a Verdict's extracted is text: got {verdict.extracted!r}"
    elif not isinstance(verdict.detail, str):
        fault = f"a Verdict's detail is text: got {verdict.detail!r}"
    elif score is None and verdict.score is not None:
        fault = f"a Verdict's score is a finite number or None: got {verdict.score!r}"
    elif parts is None:
        fault = f"a Verdict's parts are finite numbers by the names of parts: got {verdict.parts!r}"
    elif weights is None:
        fault = f"a Verdict's weights are finite numbers by the names of parts: got {verdict.weights!r}"
    elif solved is None and verdict.solved is not None:
        fault = f"a Verdict's solved is true, false or None: got {verdict.solved!r}"
    if fault:
        return failed(fault[:300])
    assert parts is not None
    assert weights is not None
    return replace(verdict, score=score, seconds=seconds or 0.0, parts=parts, weights=weights, solved=solved)


def finite_values(values: object) -> dict[str, float] | None:
    """Finite numbers by name as floats; `None` where the names are not text or a value is no finite number."""
    if not isinstance(values, Mapping):
        return None
    numbers = {name: number for name, value in values.items() if (number := finite(value)) is not None}
    return numbers if len(numbers) == len(values) and all(isinstance(name, str) for name in numbers) else None


def truth_value(value: object) -> bool | None:
    """A bool, also one of numpy or torch; `None` for everything that is neither 0 nor 1."""
    number = finite(value)
    return bool(number) if number in (0.0, 1.0) else None


def one_each(values: object, count: int) -> list[Verdict]:
    """The verdict of each of `count` completions out of what was returned for all of them: a list, an array, a tensor.
    What does not hold one value for each is a failure of all."""
    if not isinstance(values, Iterable) or isinstance(values, str | Mapping):
        return [failed(f"expected a list with a value for each of {count} completions: got {values!r}"[:300])] * count
    verdicts = [as_verdict(value) for value in values]
    if len(verdicts) != count:
        return [failed(f"expected a value for each of {count} completions: got {len(verdicts)} values")] * count
    return verdicts


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
            verdicts = one_each(value, len(pairs))
        except Exception as error:
            verdicts = [failed(f"{type(error).__name__}: {error}"[:300])] * len(pairs)
        seconds = (time.perf_counter() - started) / max(1, len(pairs))
        return [verdict if verdict.seconds else replace(verdict, seconds=seconds) for verdict in verdicts]
