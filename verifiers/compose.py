"""Verifiers made of verifiers: a weighted sum, all of them, a gate, and a penalty for length.

A part that failed (`score=None`) makes the whole fail: what is not known cannot be added up. `parts` of the verdict
holds the score of each part by name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from verifiers.batch import verify_batch
from verifiers.function import failed
from verifiers.registry import find_verifier, get_verifier
from verifiers.verdict import Pair, Status, Verdict, Verifier

Part = str | Verifier


@dataclass(frozen=True)
class WeightedSum:
    """`sum(weight * score) / sum(weight)`. `weights` maps verifier names (or names of `parts`) to positive weights."""

    weights: Mapping[str, float]
    parts: Mapping[str, Part] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.weights or any(weight <= 0 for weight in self.weights.values()):
            raise ValueError(f"the weights of a sum are positive and at least one: got {dict(self.weights)}")
        require_known(self.parts.get(name, name) for name in self.weights)

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        total = sum(self.weights.values())

        def combine(found: Mapping[str, Verdict], scores: Mapping[str, float]) -> Verdict:
            return scored(sum(self.weights[name] * score for name, score in scores.items()) / total, found)

        return combined(
            {name: self.parts.get(name, name) for name in self.weights}, pairs, combine, workers, timeout_seconds
        )


@dataclass(frozen=True)
class AllOf:
    """Correct only where every part is: the lowest score counts. `parts` maps names to verifiers or their names."""

    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        if not isinstance(self.parts, Mapping) or not self.parts:
            example = '{"math": "math", "format": "format"}'
            raise ValueError(f"expected parts by name, such as {example}: got {self.parts!r}")
        require_known(self.parts.values())

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        def combine(found: Mapping[str, Verdict], scores: Mapping[str, float]) -> Verdict:
            return scored(min(scores.values()), found)

        return combined(self.parts, pairs, combine, workers, timeout_seconds)


@dataclass(frozen=True)
class Gate:
    """`then` counts only where `first` is fully correct; else the score is 0, with the reason of `first`."""

    first: Part = "format"
    then: Part = "math"

    def __post_init__(self) -> None:
        require_known((self.first, self.then))

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        def combine(found: Mapping[str, Verdict], scores: Mapping[str, float]) -> Verdict:
            if scores["first"] < 1.0:
                return replace(found["first"], score=0.0, status="wrong", detail=f"gate: {found['first'].detail}")
            return found["then"]

        return combined({"first": self.first, "then": self.then}, pairs, combine, workers, timeout_seconds)


@dataclass(frozen=True)
class LengthPenalty:
    """The score of `verifier`, lowered linearly for completions of more than `free_chars` characters.

    At `max_chars` and beyond, `penalty` (a part of the score, 0 to 1) is taken off in full. A wrong answer stays at 0.
    """

    verifier: Part = "math"
    free_chars: int = 4_000
    max_chars: int = 16_000
    penalty: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.free_chars < self.max_chars or not 0 <= self.penalty <= 1:
            raise ValueError(
                f"expected 0 <= free_chars < max_chars and 0 <= penalty <= 1: got {self.free_chars}, {self.max_chars}, "
                f"{self.penalty}"
            )
        require_known((self.verifier,))

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        verdicts = verify_batch(pairs, resolve(self.verifier), workers=workers, timeout_seconds=timeout_seconds)
        return [self._shortened(verdict, len(pair[0])) for verdict, pair in zip(verdicts, pairs, strict=True)]

    def _shortened(self, verdict: Verdict, chars: int) -> Verdict:
        over = min(1.0, max(0.0, (chars - self.free_chars) / (self.max_chars - self.free_chars)))
        if verdict.score is None or not verdict.score or not over:
            return verdict
        score = verdict.score * (1 - self.penalty * over)
        parts = {**verdict.parts, "before length penalty": verdict.score}
        return replace(verdict, score=score, status=status_of(score), detail=f"{chars} characters", parts=parts)


def require_known(parts: Iterable[Part]) -> None:
    """Raise ValueError where a part is a name that stands for nothing: now, and not in the first batch.

    `module:name` is left for then: a module may name what it defines further down.
    """
    for part in parts:
        if isinstance(part, str) and ":" not in part:
            find_verifier(part)


def resolve(part: Part) -> Verifier:
    return get_verifier(part) if isinstance(part, str) else part


def combined(
    parts: Mapping[str, Part],
    pairs: Sequence[Pair],
    combine: Callable[[Mapping[str, Verdict], Mapping[str, float]], Verdict],
    workers: int,
    timeout_seconds: float,
) -> list[Verdict]:
    """Every part over the whole batch, then `combine` row by row. A failed part fails its row."""
    columns = {
        name: verify_batch(pairs, resolve(part), workers=workers, timeout_seconds=timeout_seconds)
        for name, part in parts.items()
    }
    verdicts = []
    for row in range(len(pairs)):
        found = {name: column[row] for name, column in columns.items()}
        scores = {name: verdict.score for name, verdict in found.items() if verdict.score is not None}
        seconds = sum(verdict.seconds for verdict in found.values())
        broken = next((name for name in found if name not in scores), None)
        verdict = combine(found, scores) if broken is None else failed(f"{broken}: {found[broken].detail}")
        verdicts.append(replace(verdict, seconds=seconds, parts=scores))
    return verdicts


def scored(score: float, found: Mapping[str, Verdict]) -> Verdict:
    extracted = next((verdict.extracted for verdict in found.values() if verdict.extracted), None)
    detail = "; ".join(f"{name}: {verdict.detail}" for name, verdict in found.items())
    return Verdict(score, status_of(score), extracted, detail)


def status_of(score: float) -> Status:
    return "correct" if score == 1.0 else "wrong" if score == 0.0 else "partial"
