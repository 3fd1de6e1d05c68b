r"""Roots in exact algebra: `\sqrt{12} = 2\sqrt{3}`, `\sqrt{x^3} = x\sqrt{x}`; nested roots are their own generators.

Variables are taken as positive. `algebra` calls this module for a root and for a power with a fractional exponent.
"""

import math
from fractions import Fraction

from verifiers.math.limits import MAX_BITS, TooMuch
from verifiers.math.proof.polynomials import (
    CONSTANT,
    TRIAL_LIMIT,
    UNIT,
    Poly,
    Quotient,
    Unsupported,
    content_of,
    factorize,
    render,
)
from verifiers.math.proof.quotient_algebra import QuotientAlgebra


def root(algebra: QuotientAlgebra, radicand: Quotient, index: int) -> Quotient:
    top, bottom = radicand
    if bottom != UNIT:  # the root of a/b is the root of a*b^(k-1) over b
        top = algebra.multiply(top, algebra.poly_power(bottom, index - 1))
    return algebra.divide((poly_root(algebra, top, index), UNIT), (bottom, UNIT))


def poly_root(algebra: QuotientAlgebra, poly: Poly, index: int) -> Poly:
    if not poly:
        return {}
    content = content_of(poly)
    if len(poly) == 1:
        ((monomial, coefficient),) = poly.items()
        result = rational_root(algebra, coefficient, index)
        algebra.assumed_positive |= monomial != CONSTANT
        for generator, exponent in monomial:
            if generator in algebra.relations:
                return nested_root(algebra, poly, index)
            whole, rest = divmod(exponent, index)
            factor: list[tuple[str, int]] = [(generator, whole)] if whole else []
            result = algebra.multiply(result, {tuple(factor): Fraction(1)})
            if rest:
                key = f"root{index}({generator})"
                algebra.relations[key] = (index, {((generator, 1),): Fraction(1)})
                algebra.dependent.add(key)
                result = algebra.multiply(result, {((key, rest),): Fraction(1)})
        return result
    primitive = {monomial: value / content for monomial, value in poly.items()}
    if index % 2 and min(primitive.items())[1] < 0:
        content, primitive = -content, {monomial: -value for monomial, value in primitive.items()}
    return algebra.multiply(rational_root(algebra, content, index), nested_root(algebra, primitive, index))


def nested_root(algebra: QuotientAlgebra, poly: Poly, index: int) -> Poly:
    key = f"root{index}({render(poly)})"
    algebra.relations[key] = (index, poly)
    algebra.dependent.add(key)
    return {((key, 1),): Fraction(1)}


def rational_root(algebra: QuotientAlgebra, value: Fraction, index: int) -> Poly:
    result: Poly = UNIT
    if value < 0:
        if index % 2:
            result = {CONSTANT: Fraction(-1)}
        elif index == 2:
            result = {(("i", 1),): Fraction(1)}
        else:
            raise Unsupported("an even root of a negative number")
        value = -value
    radicand = value.numerator * value.denominator ** (index - 1)
    if radicand.bit_length() > MAX_BITS:
        raise TooMuch(f"an integer of more than {MAX_BITS} bits")
    result = algebra.multiply(result, {CONSTANT: Fraction(1, value.denominator)})
    for prime, times in factorize(radicand):
        whole, rest = divmod(times, index)
        if whole:
            result = algebra.multiply(result, {CONSTANT: Fraction(prime) ** whole})
        if rest:
            common = math.gcd(rest, index)
            degree = index // common
            key = f"root{degree}({prime})"
            algebra.relations[key] = (degree, {CONSTANT: Fraction(prime)})
            if degree != 2 or prime > TRIAL_LIMIT**2:  # a large cofactor may be composite
                algebra.dependent.add(key)
            result = algebra.multiply(result, {((key, rest // common),): Fraction(1)})
    return result
