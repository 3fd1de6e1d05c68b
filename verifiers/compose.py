"""Verifiers made of verifiers: a weighted sum or mean, all of them, a gate, and a penalty for length.

A part that failed (`score=None`) makes the whole fail: an unknown score cannot be added up. A part that does not apply
to a problem (`not_applicable`) is left out. `parts` of the verdict holds the score of each part by name. `of` reads
what a configuration says about a composition, and makes its parts.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

from verifiers.batch import verify_batch
from verifiers.function import failed
from verifiers.names import inside, nearest, refusal
from verifiers.registry import NO_OTHERS, as_verifier, find_verifier, get_verifier
from verifiers.settings import construct, fits
from verifiers.values import Json
from verifiers.verdict import Pair, Status, Verdict, Verifier, is_solved

Part = str | Verifier
Made = TypeVar("Made")
Verdicts = Mapping[str, Verdict]


@dataclass(frozen=True)
class WeightedSum:
    """`sum(weight * score)`. `weights` maps verifier names (or names of `parts`) to weights of any sign.

    A part of weight 0 is reported and changes nothing. A completion is solved where every part of positive weight is,
    without those in `silent` and those whose scores do not tell (`is_solved`). Its verdicts carry the weights as given,
    for objectives that normalize each part by itself (`combine: decoupled`).
    """

    weights: Mapping[str, float]
    parts: Mapping[str, Part] = field(default_factory=dict)
    silent: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_weights(self.weights, self.parts, self.silent, lambda weight: True, "finite weights")
        if not any(self.weights.values()):
            raise ValueError(f"every weight is 0, so every score would be: got {dict(self.weights)}")

    @classmethod
    def of(cls, value: object, key: str, others: Mapping[str, Verifier] = NO_OTHERS) -> Self:
        """`{math: 1.0, repeats: -0.5}`, or `{layout: {weight: 0.2, verifier: {name: format, ...}}}` for a part with
        settings; there `solves: false` makes it a silent one."""
        return weighted(cls, value, key, others, lambda weight: True, "a finite number")

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        def combine(verdicts: Verdicts, scores: Mapping[str, float]) -> Verdict:
            score = sum(self.weights[name] * score for name, score in scores.items())
            return scored(score, verdicts, all_solved(self._judges(verdicts)))

        parts = {name: self.parts.get(name, name) for name in self.weights}
        return combined(parts, pairs, combine, workers, timeout_seconds, weights=dict(self.weights))

    def _judges(self, verdicts: Verdicts) -> list[bool | None]:
        return [
            is_solved(verdict)
            for name, verdict in verdicts.items()
            if self.weights[name] > 0 and name not in self.silent
        ]


@dataclass(frozen=True)
class WeightedMean:
    """`sum(weight * score) / sum(weight)` with positive weights: the scale of the score is that of its parts.

    Else as `WeightedSum`.
    """

    weights: Mapping[str, float]
    parts: Mapping[str, Part] = field(default_factory=dict)
    silent: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_weights(self.weights, self.parts, self.silent, lambda weight: weight > 0, "positive weights")

    @classmethod
    def of(cls, value: object, key: str, others: Mapping[str, Verifier] = NO_OTHERS) -> Self:
        """As `WeightedSum.of`."""
        return weighted(cls, value, key, others, lambda weight: weight > 0, "a number above 0 (weighted_sum takes any)")

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        def combine(verdicts: Verdicts, scores: Mapping[str, float]) -> Verdict:
            total = sum(self.weights[name] for name in scores)
            score = sum(self.weights[name] * score for name, score in scores.items()) / total
            judges = [is_solved(verdict) for name, verdict in verdicts.items() if name not in self.silent]
            return scored(score, verdicts, all_solved(judges))

        parts = {name: self.parts.get(name, name) for name in self.weights}
        return combined(parts, pairs, combine, workers, timeout_seconds, weights=dict(self.weights))


@dataclass(frozen=True)
class AllOf:
    """Solved only where every part is: the lowest score counts. `parts` maps names to verifiers or their names."""

    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        if not isinstance(self.parts, Mapping) or not self.parts:
            example = '{"math": "math", "format": "format"}'
            raise ValueError(f"expected parts by name, such as {example}: got {self.parts!r}")
        require_known(self.parts.values())

    @classmethod
    def of(cls, value: object, key: str, others: Mapping[str, Verifier] = NO_OTHERS) -> Self:
        """`[math, format]`, or `{answer: math, layout: {name: format, ...}}` to name the parts."""
        if isinstance(value, list | tuple):
            if not value or not all(isinstance(name, str) for name in value) or len(set(value)) < len(value):
                way_out = "give a part with settings a name of its own: {layout: {name: format, ...}}"
                raise refusal(key, f"got {list(value)!r}, expected different verifiers' names; {way_out}")
            value = {name: name for name in value}
        parts = entries(value, key, "[math, format]")
        return cls({name: get_verifier(spec, inside(key, name), others) for name, spec in parts.items()})

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        def combine(verdicts: Verdicts, scores: Mapping[str, float]) -> Verdict:
            judges = [is_solved(verdict) for verdict in verdicts.values()]
            return scored(min(scores.values()), verdicts, all_solved(judges, silence_counts=True))

        return combined(self.parts, pairs, combine, workers, timeout_seconds)


@dataclass(frozen=True)
class Gate:
    """`then` counts only where `first` opens; else the score is `otherwise`, with the reason of `first`.

    It opens where `first` is solved, or, with `opens_at`, where its score is at least that. Where `first` does not
    apply, the gate is open.
    """

    first: Part = "format"
    then: Part = "math"
    otherwise: float = 0.0
    opens_at: float | None = None

    def __post_init__(self) -> None:
        require_known((self.first, self.then))

    @classmethod
    def of(cls, value: object, key: str, others: Mapping[str, Verifier] = NO_OTHERS) -> Self:
        """`{first: format, then: math}`."""
        return made(cls, entries(value, key, "{first: format, then: math}"), ("first", "then"), key, others)

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        def combine(verdicts: Verdicts, scores: Mapping[str, float]) -> Verdict:
            first, then = verdicts.get("first"), verdicts.get("then")
            is_open = first is None or self._opens(first)
            if is_open is None:
                return failed(f"gate: nothing says whether a score of {scores['first']:g} opens it; set opens_at")
            if first is not None and not is_open:
                return replace(
                    first, score=float(self.otherwise), status="wrong", detail=f"gate: {first.detail}", solved=False
                )
            return not_applicable("then: not applicable") if then is None else then

        return combined({"first": self.first, "then": self.then}, pairs, combine, workers, timeout_seconds)

    def _opens(self, first: Verdict) -> bool | None:
        if self.opens_at is None or first.score is None:
            return is_solved(first)
        return first.score >= self.opens_at


@dataclass(frozen=True)
class LengthPenalty:
    """The score of `verifier`, lowered linearly for completions of more than `free_chars` characters.

    At `max_chars` and beyond, `penalty` (a part of the score, 0 to 1) is taken off in full. A score of 0 or less stays
    as it is: a part of it would make long completions better. What was solved stays solved. The parts of its verdicts
    are those of `verifier` (or its score), and what was taken off.
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
    def of(cls, value: object, key: str, others: Mapping[str, Verifier] = NO_OTHERS) -> Self:
        """`{verifier: math, free_chars: 4000, max_chars: 16000, penalty: 0.5}`."""
        return made(cls, entries(value, key, "{verifier: math, max_chars: 8000}"), ("verifier",), key, others)

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer, context)], workers=1, timeout_seconds=5.0)[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        verdicts = verify_batch(pairs, as_verifier(self.verifier), workers=workers, timeout_seconds=timeout_seconds)
        return [self._shortened(verdict, len(pair[0])) for verdict, pair in zip(verdicts, pairs, strict=True)]

    def _shortened(self, verdict: Verdict, chars: int) -> Verdict:
        if verdict.score is None:
            return verdict
        over = min(1.0, max(0.0, (chars - self.free_chars) / (self.max_chars - self.free_chars)))
        score = verdict.score * (1 - self.penalty * over) if verdict.score > 0 else verdict.score
        whole = {"before length penalty": verdict.score}
        parts = {**(verdict.parts or whole), "length penalty": score - verdict.score}
        if score == verdict.score:
            return replace(verdict, parts=parts)
        solved = is_solved(verdict)
        status = outcome_of(score, solved)
        return replace(verdict, score=score, status=status, detail=f"{chars} characters", parts=parts, solved=solved)


def check_weights(
    weights: Mapping[str, float],
    parts: Mapping[str, Part],
    silent: Sequence[str],
    allowed: Callable[[float], bool],
    expected: str,
) -> None:
    """Raise `ValueError` for weights that are not allowed, and for parts without a weight or a verifier."""
    if not weights or not all(fits(weight, float) and allowed(weight) for weight in weights.values()):
        raise ValueError(f"expected at least one part, and {expected}: got {dict(weights)}")
    unweighted = [name for name in (*parts, *silent) if name not in weights]
    if unweighted:
        raise ValueError(f"the part {unweighted[0]!r} has no weight: {nearest(unweighted[0], weights)}")
    require_known(parts.get(name, name) for name in weights)


def weighted(
    kind: Callable[..., Made],
    value: object,
    key: str,
    others: Mapping[str, Verifier],
    allowed: Callable[[float], bool],
    expected: str,
) -> Made:
    """A weighted sum or mean from what a configuration says."""
    weights, parts, silent = {}, {}, []
    for name, part in entries(value, key, "{math: 1.0, format: 0.2}").items():
        here = inside(key, name)
        weight, spec, spec_key, solves = part, name, here, True
        if isinstance(part, Mapping):
            if not {"weight", "verifier"} <= set(part) <= {"weight", "verifier", "solves"}:
                keys = ", ".join(map(str, part)) or "no keys"
                raise refusal(
                    here, f"got {keys}, expected a weight, or {{weight: ..., verifier: ...}} (and solves: false)"
                )
            weight, spec, spec_key = part["weight"], part["verifier"], inside(here, "verifier")
            solves = part.get("solves", True)
            if not isinstance(solves, bool):
                raise refusal(inside(here, "solves"), f"got {solves!r}, expected true or false")
        if not fits(weight, float) or not allowed(weight):
            raise refusal(here, f"got the weight {weight!r}, expected {expected}")
        weights[name], parts[name] = float(weight), get_verifier(spec, spec_key, others)
        if not solves:
            silent.append(name)
    try:
        return kind(weights, parts, tuple(silent))
    except ValueError as error:
        raise refusal(key, str(error)) from error


def entries(value: object, key: str, example: str) -> Mapping[str, Any]:
    """What a configuration says about a composition. Raises `ValueError` where it is no mapping, or empty."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(name, str) for name in value):
        raise refusal(key, f"got {value!r}, expected something like {example}")
    return value


def made(
    kind: Callable[..., Made],
    settings: Mapping[str, Any],
    parts: Sequence[str],
    key: str,
    others: Mapping[str, Verifier],
) -> Made:
    """The composition with these settings, of which `parts` describe verifiers."""
    values = {
        name: get_verifier(value, inside(key, name), others) if name in parts else value
        for name, value in settings.items()
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
    combine: Callable[[Verdicts, Mapping[str, float]], Verdict],
    workers: int,
    timeout_seconds: float,
    weights: Mapping[str, float] | None = None,
) -> list[Verdict]:
    """Every part over the whole batch, then `combine` row by row, with the verdicts and scores of the parts that apply.

    A failed part fails its row.
    """
    columns = {
        name: verify_batch(pairs, as_verifier(part), workers=workers, timeout_seconds=timeout_seconds)
        for name, part in parts.items()
    }
    whole = []
    for row in range(len(pairs)):
        all_of_them = {name: column[row] for name, column in columns.items()}
        verdicts = {name: verdict for name, verdict in all_of_them.items() if verdict.status != "not_applicable"}
        scores = {name: verdict.score for name, verdict in verdicts.items() if verdict.score is not None}
        seconds = sum(verdict.seconds for verdict in all_of_them.values())
        broken = next((name for name in verdicts if name not in scores), None)
        if broken is not None:
            verdict = failed(f"{broken}: {verdicts[broken].detail}")
        elif not scores:
            verdict = not_applicable(f"none of {', '.join(parts)} applies to this problem")
        else:
            verdict = combine(verdicts, scores)
            if verdict.score is not None and not math.isfinite(verdict.score):
                verdict = failed(f"the sum of the parts is no finite number: {verdict.score}")
        whole.append(replace(verdict, seconds=seconds, parts=scores, weights=weights or {}))
    return whole


def scored(score: float, verdicts: Verdicts, solved: bool | None) -> Verdict:
    extracted = next((verdict.extracted for verdict in verdicts.values() if verdict.extracted), None)
    detail = "; ".join(f"{name}: {verdict.detail}" for name, verdict in verdicts.items())
    return Verdict(score, outcome_of(score, solved), extracted, detail, solved=solved)


def all_solved(judges: Sequence[bool | None], silence_counts: bool = False) -> bool | None:
    """Whether all judges say that a completion is solved; `None` where none says anything.

    With `silence_counts`, one that says nothing leaves it open unless another says no.
    """
    spoken = [judge for judge in judges if judge is not None]
    if False in spoken:
        return False
    return None if not spoken or (silence_counts and len(spoken) < len(judges)) else True


def outcome_of(score: float, solved: bool | None) -> Status:
    """The status of a composition, whose score can have any scale."""
    if solved is None:
        return "scored"
    return "correct" if solved else "wrong" if score <= 0 else "partial"


def not_applicable(detail: str) -> Verdict:
    """The verdict of a verifier that does not judge problems like this one."""
    return Verdict(None, "not_applicable", detail=detail)
