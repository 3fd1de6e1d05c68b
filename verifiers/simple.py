"""The small verifiers, which check one thing each: `exact`, `numeric`, `choice`, `format`, `regex`.

All but `regex` take time in proportion to the text and run in the calling process. A regular expression can take
exponential time, so `regex` runs in a worker under the deadline like any plugin.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from verifiers.accepted import any_accepted
from verifiers.math import Mode, extract_answer, number_of, same_choice, undress
from verifiers.thought import NEVER_ENDS, said
from verifiers.values import Json
from verifiers.verdict import Pair, Verdict, Verifier

Check = Callable[[str, str], Verdict]


def check_here(check: Check, pairs: Sequence[Pair]) -> list[Verdict]:
    """Check all pairs in the calling process: for verifiers that cannot take long."""

    def timed(texts: Sequence[Pair]) -> list[Verdict]:
        verdicts = []
        for completion, answer, *_ in texts:
            started = time.perf_counter()
            verdict = check(completion, answer)
            verdicts.append(replace(verdict, seconds=time.perf_counter() - started))
        return verdicts

    return any_accepted(pairs, timed)


def check_verdicts(verifier: Verifier, pairs: Sequence[Pair]) -> list[Verdict]:
    """As `check_here`, for a verifier that reads ground truths other than text itself."""
    verdicts = []
    for completion, answer, *_ in pairs:
        started = time.perf_counter()
        verdict = verifier(completion, answer)
        verdicts.append(replace(verdict, seconds=time.perf_counter() - started))
    return verdicts


def check_one(check: Check, completion: str, answer: Json) -> Verdict:
    """The verdict on one completion; any answer of a list is right."""
    return any_accepted([(completion, answer)], lambda texts: [check(pair[0], pair[1]) for pair in texts])[0]


def right_or_wrong(correct: bool, extracted: str, detail: str) -> Verdict:
    return Verdict(float(correct), "correct" if correct else "wrong", extracted, detail)


@dataclass(frozen=True)
class ExactVerifier:
    """The whole completion behind its thought equals the ground truth, apart from white space around it and, with
    `ignore_case`, case."""

    ignore_case: bool = False

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return check_one(self._check, completion, answer)

    def _check(self, completion: str, answer: str) -> Verdict:
        behind_thought = said(completion)
        if behind_thought is None:
            return Verdict(0.0, "no_answer", detail=NEVER_ENDS)
        ours, truth = behind_thought.strip(), answer.strip()
        same = ours == truth or (self.ignore_case and ours.casefold() == truth.casefold())
        return right_or_wrong(same, ours[:200], "the same text" if same else "another text")

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        return check_here(self._check, pairs)


@dataclass(frozen=True)
class NumericVerifier:
    """The answer of a completion is a number within a tolerance of the ground truth.

    `|ours - truth| <= absolute + relative * |truth|`, in exact arithmetic. A percent sign is ignored where both sides
    have one, and applied where only one side has it. The number is read as the `math` verifier reads it.
    """

    absolute: float = 0.0
    relative: float = 1e-6
    mode: Mode = "lenient"

    def __post_init__(self) -> None:
        if self.absolute < 0 or self.relative < 0:
            raise ValueError(f"expected absolute >= 0 and relative >= 0: got {self.absolute} and {self.relative}")

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return check_one(self._check, completion, answer)

    def _check(self, completion: str, answer: str) -> Verdict:
        truth = number_of(undress(answer))
        if truth is None:
            return Verdict(None, "bad_gold", detail=f"the ground truth is not a number: {answer!r}"[:200])
        extraction = extract_answer(completion, self.mode)
        if not extraction.candidates:
            return Verdict(0.0, "no_answer", detail=extraction.detail)
        for candidate in extraction.candidates:
            ours = number_of(undress(candidate))
            if ours is not None:
                break
        else:
            return Verdict(0.0, "wrong", extraction.candidates[0][:200], "the answer is not a number")
        value, goal = ours.value, truth.value
        if ours.percent != truth.percent:
            value, goal = (value / 100, goal) if ours.percent else (value, goal / 100)
        tolerance = Fraction(self.absolute) + Fraction(self.relative) * abs(goal)
        near = abs(value - goal) <= tolerance
        return right_or_wrong(near, candidate, "within the tolerance" if near else "outside the tolerance")

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        return check_here(self._check, pairs)


CHOSEN_LETTER = re.compile(r"(?<![A-Za-z0-9])\(?([A-Z])\)?(?![A-Za-z0-9'])", re.ASCII)


@dataclass(frozen=True)
class ChoiceVerifier:
    """The letter of a multiple choice: boxed, in `<answer>`, announced, or the only letter of a short completion."""

    letters: str = "ABCDEFGHIJ"

    def __post_init__(self) -> None:
        if not re.fullmatch("[A-Z]+", self.letters):
            raise ValueError(f"expected capital letters, such as letters: ABCD: got {self.letters!r}")

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return check_one(self._check, completion, answer)

    def _check(self, completion: str, answer: str) -> Verdict:
        truth = undress(answer).strip("()").upper()
        if len(truth) != 1 or truth not in self.letters:
            return Verdict(None, "bad_gold", detail=f"the ground truth is not one of {self.letters}: {answer!r}"[:200])
        extraction = extract_answer(completion, "standard")
        for candidate in extraction.candidates:
            chosen = same_choice(undress(candidate), truth)
            if chosen is not None:
                return right_or_wrong(chosen, candidate[:200], "the same choice" if chosen else "another choice")
            letters = set(CHOSEN_LETTER.findall(candidate)) & set(self.letters)
            if len(letters) == 1:
                (letter,) = letters
                return right_or_wrong(letter == truth, letter, "the only letter of the answer")
        return Verdict(0.0, "no_answer", detail=extraction.detail or "the answer names no single letter")

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        return check_here(self._check, pairs)


@dataclass(frozen=True)
class FormatVerifier:
    """The completion consists of these tags in this order, each of them once and not empty.

    By default `<think>...</think><answer>...</answer>`. With `prefilled`, the prompt already ends with the first
    opening tag. Text outside the tags is an error, white space is not. The ground truth is not read.
    """

    tags: tuple[str, ...] = ("think", "answer")
    prefilled: bool = False

    def __post_init__(self) -> None:
        if not self.tags or not all(self.tags) or len(set(self.tags)) < len(self.tags):
            raise ValueError(f"expected different names of tags, such as tags: [think, answer]: got {list(self.tags)}")

    def __call__(self, completion: str, answer: Json = "", **context: object) -> Verdict:
        text = completion.strip()
        if self.prefilled and not text.startswith(f"<{self.tags[0]}>"):
            text = f"<{self.tags[0]}>" + text
        position = 0
        for tag in self.tags:
            opening, closing = f"<{tag}>", f"</{tag}>"
            if text.count(opening) != 1 or text.count(closing) != 1:
                counts = f"it is opened {text.count(opening)} and closed {text.count(closing)} times"
                return right_or_wrong(False, "", f"<{tag}> must occur once: {counts}")
            start, end = text.index(opening), text.index(closing)
            if text[position:start].strip():
                return right_or_wrong(False, "", f"text outside the tags, before <{tag}>")
            if not text[start + len(opening) : end].strip():
                return right_or_wrong(False, "", f"<{tag}> is empty or out of order")
            position = end + len(closing)
        if text[position:].strip():
            return right_or_wrong(False, "", "text after the last tag")
        return right_or_wrong(True, "", "all tags in order")

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        return check_here(lambda completion, _: self(completion), [(pair[0], "") for pair in pairs])


@dataclass(frozen=True)
class RegexVerifier:
    """The ground truth is a regular expression that matches somewhere in the completion; with `full`, all of it.

    A completion whose thought never ends matches nothing.
    """

    full: bool = False

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return check_one(self._check, completion, answer)

    def _check(self, completion: str, answer: str) -> Verdict:
        if not answer:
            return Verdict(None, "bad_gold", detail="the ground truth is empty: every completion would match")
        try:
            pattern = re.compile(answer, re.DOTALL)
        except (re.error, OverflowError, RecursionError) as error:
            return Verdict(None, "bad_gold", detail=f"the ground truth is not a regular expression: {error}"[:200])
        if said(completion) is None:
            return Verdict(0.0, "no_answer", detail=NEVER_ENDS)
        match = pattern.fullmatch(completion) if self.full else pattern.search(completion)
        if match is None:
            return Verdict(0.0, "wrong", detail="the pattern does not match")
        return Verdict(1.0, "correct", match.group()[:200], "the pattern matches")
