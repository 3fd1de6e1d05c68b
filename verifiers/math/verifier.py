"""The `math` verifier: extract, then ask ever stronger questions until one decides."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from verifiers.math.extract import Mode, extract
from verifiers.math.numbers import Number, read_number
from verifiers.math.text import flat, undress
from verifiers.verdict import Verdict


@dataclass(frozen=True)
class MathVerifier:
    """Checks a completion against a ground truth in LaTeX or plain text. Never raises and never hangs.

    `mode` says which text counts as an answer: `marked` (boxed, ####, <answer>, "the answer is"), `standard` (also a
    completion that is nothing but an answer), `lenient` (also the last formula or number).
    """

    mode: Mode = "standard"

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return self.verify_batch([(completion, answer)], workers=1, timeout_seconds=1.0)[0]

    def verify_batch(self, pairs: Sequence[tuple[str, str]], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        """The verdicts of `(completion, answer)` pairs, in order."""
        return [self._check(completion, answer) for completion, answer in pairs]

    def _check(self, completion: str, answer: str) -> Verdict:
        started = time.perf_counter()
        truth = (
            extract(answer, "standard").candidates
            if len(answer) > 40 or "\\boxed" in answer or "####" in answer
            else (answer,)
        )
        if not truth or not truth[0].strip():
            return Verdict(None, "bad_gold", detail="the ground truth is empty", seconds=time.perf_counter() - started)
        extraction = extract(completion, self.mode)
        if not extraction.candidates:
            seconds = time.perf_counter() - started
            return Verdict(0.0, "no_answer", detail=extraction.detail, seconds=seconds)
        for candidate in extraction.candidates:
            detail = _same(undress(candidate), undress(truth[0]))
            if detail:
                return Verdict(1.0, "correct", candidate, detail, time.perf_counter() - started)
        seconds = time.perf_counter() - started
        return Verdict(0.0, "wrong", extraction.candidates[0], "not the same as the ground truth", seconds)


def _same(ours: str, truth: str) -> str:
    if ours == truth or (flat(ours) == flat(truth) != ""):
        return "the same text"
    left, right = read_number(ours), read_number(truth)
    if left is not None and right is not None and _numbers_agree(left, right):
        return "the same number"
    return ""


def _numbers_agree(left: Number, right: Number) -> bool:
    if left.percent == right.percent:
        return left.value == right.value
    plain, percent = (right, left) if left.percent else (left, right)
    return plain.value in (percent.value, percent.value / 100)
