"""Verifiers made of verifiers: a weighted sum, all of them, a gate, and a penalty for length.

A part that failed (`score=None`) makes the whole fail: an unknown score cannot be added up. `parts` of the verdict
holds the score of each part by name. `of` reads what a configuration says about a composition, and makes its parts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

from verifiers.batch import verify_batch
from verifiers.function import failed
from verifiers.names import inside, nearest, refusal
from verifiers.registry import as_verifier, find_verifier, get_verifier
from verifiers.settings import construct, fits
from verifiers.values import Json
from verifiers.verdict import Pair, Status, Verdict, Verifier

Part = str | Verifier
Made = TypeVar("Made")


@dataclass(frozen=True)
class WeightedSum:
    """`sum(weight * score) / sum(weight)`. `weights` maps verifier names (or names of `parts`) to positive weights.

    Its verdicts carry the weights as given, for objectives that normalize each part by itself (`combine: apart`).
    """

    weights: Mapping[str, float]
    parts: Mapping[str, Part] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.weights or not all(fits(weight, float) and weight > 0 for weight in self.weights.values()):
            raise ValueError(f"expected at least one part, and positive weights: got {dict(self.weights)}")
        unweighted = [name for name in self.parts if name not in self.weights]
        if unweighted:
            raise ValueError(f"the part {unweighted[0]!r} has no weight: {nearest(unweighted[0], self.weights)}")
        require_known(self.parts.get(name, name) for name in self.weights)

    @classmethod
    def of(cls, value: object, key: str) -> Self:
        """`{math: 1.0}`, or `{layout: {weight: 0.2, verifier: {name: format, ...}}}` for a part with settings."""
        weights, parts = {}, {}
        for name, part in entries(value, key, "{math: 1.0, format: 0.2}").items():
            here = inside(key, name)
            weight, spec, spec_key = part, name, here
            if isinstance(part, Mapping):
                if set(part) != {"weight", "verifier"}:
                    keys = ", ".join(map(str, part)) or "no keys"
                    raise refusal(here, f"got {keys}, expected a weight, or {{weight: ..., verifier: ...}}")
                weight, spec, spec_key = part["weight"], part["verifier"], inside(here, "verifier")
            if not fits(weight, float) or weight <= 0:
                raise refusal(here, f"got the weight {weight!r}, expected a number above 0")
            weights[name], parts[name] = float(weight), get_verifier(spec, spec_key)
        return cls(weights, parts)

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        total = sum(self.weights.values())

        def combine(verdicts: Mapping[str, Verdict], scores: Mapping[str, float]) -> Verdict:
            return scored(sum(self.weights[name] * score for name, score in scores.items()) / total, verdicts)

        parts = {name: self.parts.get(name, name) for name in self.weights}
        return combined(parts, pairs, combine, workers, timeout_seconds, weights=dict(self.weights))


@dataclass(frozen=True)
class AllOf:
    """Correct only where every part is: the lowest score counts. `parts` maps names to verifiers or their names."""

    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        if not isinstance(self.parts, Mapping) or not self.parts:
            example = '{"math": "math", "format": "format"}'
            raise ValueError(f"expected parts by name, such as {example}: got {self.parts!r}")
        require_known(self.parts.values())

    @classmethod
    def of(cls, value: object, key: str) -> Self:
        """`[math, format]`, or `{answer: math, layout: {name: format, ...}}` to name the parts."""
        if isinstance(value, list | tuple):
            if not value or not all(isinstance(name, str) for name in value) or len(set(value)) < len(value):
                way_out = "give a part with settings a name of its own: {layout: {name: format, ...}}"
                raise refusal(key, f"got {list(value)!r}, expected different verifiers' names; {way_out}")
            value = {name: name for name in value}
        parts = entries(value, key, "[math, format]")
        return cls({name: get_verifier(spec, inside(key, name)) for name, spec in parts.items()})

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        def combine(verdicts: Mapping[str, Verdict], scores: Mapping[str, float]) -> Verdict:
            return scored(min(scores.values()), verdicts)

        return combined(self.parts, pairs, combine, workers, timeout_seconds)


@dataclass(frozen=True)
class Gate:
    """`then` counts only where `first` is fully correct; else the score is 0, with the reason of `first`."""

    first: Part = "format"
    then: Part = "math"

    def __post_init__(self) -> None:
        require_known((self.first, self.then))

    @classmethod
    def of(cls, value: object, key: str) -> Self:
        """`{first: format, then: math}`."""
        return made(cls, entries(value, key, "{first: format, then: math}"), ("first", "then"), key)

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        def combine(verdicts: Mapping[str, Verdict], scores: Mapping[str, float]) -> Verdict:
            first, then = verdicts["first"], verdicts["then"]
            if scores["first"] < 1.0:
                return replace(first, score=0.0, status="wrong", detail=f"gate: {first.detail}")
            return then

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

    @classmethod
    def of(cls, value: object, key: str) -> Self:
        """`{verifier: math, free_chars: 4000, max_chars: 16000, penalty: 0.5}`."""
        return made(cls, entries(value, key, "{verifier: math, max_chars: 8000}"), ("verifier",), key)

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        verdicts = verify_batch(pairs, as_verifier(self.verifier), workers=workers, timeout_seconds=timeout_seconds)
        return [self._shortened(verdict, len(pair[0])) for verdict, pair in zip(verdicts, pairs, strict=True)]

    def _shortened(self, verdict: Verdict, chars: int) -> Verdict:
        over = min(1.0, max(0.0, (chars - self.free_chars) / (self.max_chars - self.free_chars)))
        if verdict.score is None or not verdict.score or not over:
            return verdict
        score = verdict.score * (1 - self.penalty * over)
        parts = {**verdict.parts, "before length penalty": verdict.score}
        return replace(verdict, score=score, status=status_of(score), detail=f"{chars} characters", parts=parts)


def entries(value: object, key: str, example: str) -> Mapping[str, Any]:
    """What a configuration says about a composition. Raises `ValueError` where it is no mapping, or empty."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(name, str) for name in value):
        raise refusal(key, f"got {value!r}, expected something like {example}")
    return value


def made(kind: Callable[..., Made], settings: Mapping[str, Any], parts: Sequence[str], key: str) -> Made:
    """The composition with these settings, of which `parts` describe verifiers."""
    values = {
        name: get_verifier(value, inside(key, name)) if name in parts else value for name, value in settings.items()
    }
    return construct(kind, values, key, "this composition")


def require_known(parts: Iterable[Part]) -> None:
    """Raise `ValueError` for a part that names no verifier: now, and not in the first batch.

    `module:name` is loaded with the first batch: a module may name what it defines further down.
    """
    for part in parts:
        if isinstance(part, str) and ":" not in part:
            find_verifier(part)


def combined(
    parts: Mapping[str, Part],
    pairs: Sequence[Pair],
    combine: Callable[[Mapping[str, Verdict], Mapping[str, float]], Verdict],
    workers: int,
    timeout_seconds: float,
    weights: Mapping[str, float] | None = None,
) -> list[Verdict]:
    """Every part over the whole batch, then `combine` row by row. A failed part fails its row."""
    columns = {
        name: verify_batch(pairs, as_verifier(part), workers=workers, timeout_seconds=timeout_seconds)
        for name, part in parts.items()
    }
    whole = []
    for row in range(len(pairs)):
        verdicts = {name: column[row] for name, column in columns.items()}
        scores = {name: verdict.score for name, verdict in verdicts.items() if verdict.score is not None}
        seconds = sum(verdict.seconds for verdict in verdicts.values())
        broken = next((name for name in verdicts if name not in scores), None)
        verdict = combine(verdicts, scores) if broken is None else failed(f"{broken}: {verdicts[broken].detail}")
        whole.append(replace(verdict, seconds=seconds, parts=scores, weights=weights or {}))
    return whole


def scored(score: float, verdicts: Mapping[str, Verdict]) -> Verdict:
    extracted = next((verdict.extracted for verdict in verdicts.values() if verdict.extracted), None)
    detail = "; ".join(f"{name}: {verdict.detail}" for name, verdict in verdicts.items())
    return Verdict(score, status_of(score), extracted, detail)


def status_of(score: float) -> Status:
    return "correct" if score == 1.0 else "wrong" if score == 0.0 else "partial"
