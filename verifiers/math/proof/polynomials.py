"""Polynomials as dicts from monomials to Fractions, and exact arithmetic of numbers. `algebra` gives them meaning."""

import math
from fractions import Fraction

from verifiers.math.limits import MAX_BITS, TooMuch

TRIAL_LIMIT = 1_000  # the largest divisor that is tried

Monomial = tuple[tuple[str, int], ...]
Poly = dict[Monomial, Fraction]
Quotient = tuple[Poly, Poly]

CONSTANT: Monomial = ()
UNIT: Poly = {CONSTANT: Fraction(1)}


class Unsupported(Exception):
    """The expression has a part that this algebra does not know."""


class Undefined(Exception):
    """The expression has no value: a division by zero."""


def accumulate(poly: Poly, monomial: Monomial, value: Fraction) -> None:
    total = poly.get(monomial, 0) + value
    if total:
        poly[monomial] = total
    else:
        poly.pop(monomial, None)


def add(left: Poly, right: Poly, sign: int = 1) -> Poly:
    total = dict(left)
    for monomial, value in right.items():
        accumulate(total, monomial, sign * value)
    return total


def merge(left: Monomial, right: Monomial) -> Monomial:
    if not left:
        return right
    if not right:
        return left
    exponents = dict(left)
    for generator, exponent in right:
        exponents[generator] = exponents.get(generator, 0) + exponent
    return tuple(sorted((generator, exponent) for generator, exponent in exponents.items() if exponent))


def content_of(poly: Poly) -> Fraction:
    """The greatest rational number that leaves integer coefficients without a common factor."""
    tops = math.gcd(*(value.numerator for value in poly.values()))
    bottoms = math.lcm(*(value.denominator for value in poly.values()))
    if bottoms.bit_length() > MAX_BITS:
        raise TooMuch(f"an integer of more than {MAX_BITS} bits")
    return Fraction(tops, bottoms)


def render_monomial(monomial: Monomial) -> str:
    return "*".join(f"{generator}^{exponent}" for generator, exponent in monomial)


def render(poly: Poly) -> str:
    return "+".join(f"{value}*{render_monomial(monomial)}" for monomial, value in sorted(poly.items())) or "0"


def factorize(integer: int) -> list[tuple[int, int]]:
    """The prime factors that trial division finds; the rest counts as a prime, or as the square of one."""
    factors: list[tuple[int, int]] = []
    candidate = 2
    while candidate * candidate <= integer and candidate < TRIAL_LIMIT:
        times = 0
        while integer % candidate == 0:
            integer //= candidate
            times += 1
        if times:
            factors.append((candidate, times))
        candidate += 1 if candidate == 2 else 2
    if integer > 1:
        whole = math.isqrt(integer)
        factors.append((whole, 2) if whole * whole == integer else (integer, 1))
    return factors


def exact_function(name: str, values: list[Fraction]) -> Fraction | None:
    """A function of rational numbers that has a rational value and is small; `None` otherwise."""
    if name in ("max", "min"):
        return max(values) if name == "max" else min(values)
    integers = [int(value) for value in values if value.denominator == 1]
    if len(values) == 1:
        (value,) = values
        if name in ("abs", "norm"):
            return abs(value)
        if name == "floor":
            return Fraction(math.floor(value))
        if name == "ceil":
            return Fraction(math.ceil(value))
        if name == "factorial" and integers and 0 <= integers[0] <= 150:
            return Fraction(math.factorial(integers[0]))
    if len(integers) == len(values) == 2:
        top, bottom = integers
        if name == "binom" and 0 <= bottom <= top <= 400:
            return Fraction(math.comb(top, bottom))
    if integers and len(integers) == len(values) and name in ("gcd", "lcm"):
        return Fraction(math.gcd(*integers) if name == "gcd" else math.lcm(*integers))
    return None
