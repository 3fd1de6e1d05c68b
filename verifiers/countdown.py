"""The `countdown` verifier: an expression of given numbers that has a given value.

The ground truth is `{"numbers": [...], "target": ...}` (or `nums`), as an object or as JSON text. The expression is
read by a parser of its own, with exact fractions: nothing is ever evaluated as a program.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from verifiers.math import extract_answer
from verifiers.simple import check_verdicts, right_or_wrong
from verifiers.values import Json, parse_json
from verifiers.verdict import Pair, Verdict

LONGEST = 500  # characters of an expression
DEEPEST = 50  # brackets and signs inside each other
SPELLINGS = {
    "\\times": "*", "\\cdot": "*", "\\div": "/", "\\left": "", "\\right": "", "\\,": "", "\\ ": "", "\\(": "",
    "\\)": "", "\\[": "", "\\]": "", "`": "", "×": "*", "·": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-",
    "[": "(", "]": ")", "$": "",
}  # fmt: skip
FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
TOKEN = re.compile(r"\s*(\d+|[-+*/()])")


@dataclass(frozen=True)
class CountdownVerifier:
    """An expression in `<answer>`, in a box, or announced, that uses each number at most once and has the target value.

    Allowed are whole numbers, `+ - * /` and brackets; `expression = value` is read as the expression. With `use_all`
    every number must be used.
    """

    use_all: bool = False

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        try:
            numbers, target = read_puzzle(answer)
        except ValueError as error:
            return Verdict(None, "bad_gold", detail=str(error)[:200])
        extraction = extract_answer(completion, "marked")
        if not extraction.candidates:
            return Verdict(0.0, "no_answer", detail=extraction.detail)
        text = extraction.candidates[0]
        try:
            expression, claimed = expression_of(text)
            used, value = evaluated(expression)
        except ValueError as error:
            return right_or_wrong(False, text[:200], str(error)[:200])
        surplus = Counter(used) - Counter(numbers)
        if surplus:
            return right_or_wrong(False, text[:200], f"uses {min(surplus)}, which is not given so often")
        if self.use_all and Counter(numbers) - Counter(used):
            return right_or_wrong(False, text[:200], "does not use all numbers")
        if claimed not in (None, value):
            return right_or_wrong(False, text[:200], f"the value is {value}, and not {claimed}")
        right = value == target
        return right_or_wrong(right, text[:200], f"the value is {value}" + ("" if right else f", and not {target}"))

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        return check_verdicts(self, pairs)


def read_puzzle(answer: Json) -> tuple[list[int], Fraction]:
    """The numbers and the target. Raises `ValueError`."""
    puzzle = parse_json(answer) if isinstance(answer, str) else answer
    expected = 'the ground truth must be {"numbers": [...], "target": ...}'
    if not isinstance(puzzle, dict):
        raise ValueError(f"{expected}: got {answer!r}")
    numbers, target = puzzle.get("numbers", puzzle.get("nums")), puzzle.get("target")
    if not isinstance(numbers, list) or not numbers or target is None:
        raise ValueError(f"{expected}: got {answer!r}")
    try:
        return [int(str(number)) for number in numbers], Fraction(str(target))
    except ValueError:
        raise ValueError(f"{expected}, with numbers: got {answer!r}") from None


def expression_of(text: str) -> tuple[str, Fraction | None]:
    """The expression in an answer, in plain signs, and what it is said to equal, if anything. Raises `ValueError`."""
    if len(text) > LONGEST:
        raise ValueError(f"the expression has more than {LONGEST} characters")
    for spelling, sign in SPELLINGS.items():
        text = text.replace(spelling, sign)
    while (plain := FRACTION.sub(r"((\1)/(\2))", text)) != text:
        text = plain
    sides = [side.strip() for side in text.split("=")]
    values = [side for side in sides if NUMBER.fullmatch(side)]
    if len(sides) == 1:
        return sides[0], None
    if len(sides) > 2 or not values:
        raise ValueError(f"more than one expression: {text!r}")
    value = values[-1]
    return sides[0] if sides[1] == value else sides[1], Fraction(value)


def evaluated(text: str) -> tuple[list[int], Fraction]:
    """The numbers that an expression uses, and its value. Raises `ValueError` for what is no expression."""
    tokens, place = [], 0
    text = text.strip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"no expression of + - * / and brackets: {text!r}")
        tokens.append(match[1])
        place = match.end()
    reader = _Reader(tokens, [])
    value = reader.sum(0)
    if reader.place < len(tokens):
        raise ValueError(f"no complete expression: {text!r}")
    return reader.used, value


@dataclass
class _Reader:
    """Reads tokens from left to right: sums of products of factors."""

    tokens: Sequence[str]
    used: list[int]
    place: int = 0

    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1] if self.place <= len(self.tokens) else ""

    def sum(self, depth: int) -> Fraction:
        value = self.product(depth)
        while self.next() in ("+", "-"):
            value = value + self.product(depth) if self.take() == "+" else value - self.product(depth)
        return value

    def product(self, depth: int) -> Fraction:
        value = self.factor(depth)
        while self.next() in ("*", "/"):
            if self.take() == "*":
                value *= self.factor(depth)
                continue
            divisor = self.factor(depth)
            if not divisor:
                raise ValueError("divides by zero")
            value /= divisor
        return value

    def factor(self, depth: int) -> Fraction:
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} brackets inside each other")
        token = self.take()
        if token == "(":
            value = self.sum(depth + 1)
            if self.take() != ")":
                raise ValueError("a bracket is not closed")
            return value
        if token == "-":
            return -self.factor(depth + 1)
        if token.isdigit():
            self.used.append(int(token))
            return Fraction(int(token))
        raise ValueError(f"expected a number or a bracket, got {token or 'the end'!r}")
