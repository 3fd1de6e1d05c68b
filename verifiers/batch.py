"""Many checks in one call: what trainers use."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from verifiers.context import accepted, context_of
from verifiers.function import BatchVerifier, FunctionVerifier, as_verdict, failed, finished, one_each
from verifiers.pool import Outcome, shared_pool
from verifiers.registry import as_verifier
from verifiers.verdict import Pair, Spec, Verdict, Verifier

PREPARE = "verifiers.batch:prepare"


@runtime_checkable
class ChecksBatches(Protocol):
    """A verifier that checks a batch itself, because it knows which pairs are cheap enough for the calling process."""

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]: ...


def verify_batch(
    pairs: Sequence[Pair],
    verifier: Spec | Verifier = "math",
    *,
    workers: int = 2,
    timeout_seconds: float = 5.0,
) -> list[Verdict]:
    """Check `(completion, answer)` or `(completion, answer, context)` pairs; the verdicts are in their order.

    `verifier` is a verifier, or what `get_verifier` takes for one. What cannot be decided cheaply and safely in this
    process goes to `workers` persistent processes, each check with its own wall-clock deadline of `timeout_seconds`.
    The workers stay alive between calls, so that a training step need not wait for their start. Callable from any
    thread.

    Never raises because of a completion or of what a verifier does: a verifier that raised, died or ran out of time
    gives the verdict `score=None`. (The `math` verifier gives 0.0 with status `timeout` instead: there the completion
    is to blame, not the grader.) Raises `ValueError` for an unknown verifier.
    """
    checker = as_verifier(verifier)
    if isinstance(checker, ChecksBatches):
        return one_each(checker.verify_batch(pairs, workers=workers, timeout_seconds=timeout_seconds), len(pairs))
    pool = shared_pool()
    shipped: object = verifier if isinstance(verifier, str | Mapping) else _shippable(checker)
    if isinstance(checker, BatchVerifier):
        chunks = [pairs[start : start + checker.chunk] for start in range(0, len(pairs), checker.chunk)]
        outcomes = pool.run(
            "verifiers.batch:check_chunk",
            [(shipped, chunk) for chunk in chunks],
            timeout_seconds,
            workers=workers,
            first=(PREPARE, shipped),
        )
        return [
            verdict
            for chunk, outcome in zip(chunks, outcomes, strict=True)
            for verdict in _verdicts_of(outcome, len(chunk))
        ]
    outcomes = pool.run(
        "verifiers.batch:check_one",
        [(shipped, pair) for pair in pairs],
        timeout_seconds,
        workers=workers,
        first=(PREPARE, shipped),
    )
    return [_verdicts_of(outcome, 1)[0] for outcome in outcomes]


def _shippable(checker: Verifier) -> object:
    return checker.spec if isinstance(checker, FunctionVerifier) and checker.spec else checker


def _verdicts_of(outcome: Outcome, count: int) -> list[Verdict]:
    if not outcome.failure:
        return list(outcome.value)  # type: ignore[call-overload]
    if outcome.failure == "timeout":
        return [Verdict(None, "timeout", detail=f"the verifier was {outcome.detail}", seconds=outcome.seconds)] * count
    return [failed(f"the verifier failed: {outcome.detail}", seconds=outcome.seconds)] * count


def prepare(payload: Spec | Verifier) -> None:
    """In a worker: load a verifier, which may import for a while, before a deadline runs."""
    as_verifier(payload)


def check_one(payload: tuple[Spec | Verifier, Pair]) -> list[Verdict]:
    """In a worker: one pair through a verifier that is described or sent as an object."""
    checker, pair = as_verifier(payload[0]), payload[1]
    value: object = checker(pair[0], pair[1], **accepted(checker, context_of(pair)))
    return [as_verdict(finished(value) if inspect.iscoroutine(value) else value)]


def check_chunk(payload: tuple[Spec | BatchVerifier, Sequence[Pair]]) -> list[Verdict]:
    """In a worker: a chunk of pairs through a batch verifier."""
    checker = as_verifier(payload[0])
    if not isinstance(checker, BatchVerifier):
        raise TypeError(f"expected a BatchVerifier, got {type(checker).__name__}")
    return checker.verify_chunk(payload[1])
