"""Functions of exact algebra: trigonometric functions, logarithms, binomial coefficients, factorials.

Each is written in generators that have known relations, so that identities become equalities of polynomials: sine and
cosine of a multiple of an angle in those of the angle, the logarithm of a product as a sum, `(n+1)!` as `(n+1) n!`.
`algebra` calls this module for each function.
"""

import contextlib
import math
from fractions import Fraction

from verifiers.math.limits import TooMuch
from verifiers.math.proof.polynomials import (
    CONSTANT,
    UNIT,
    Monomial,
    Poly,
    Quotient,
    Undefined,
    Unsupported,
    accumulate,
    add,
    exact_function,
    factorize,
    render,
)
from verifiers.math.proof.quotient_algebra import QuotientAlgebra
from verifiers.math.proof.roots import rational_root
from verifiers.math.tree.nodes import Node, walk

MAX_FALLING = 8  # factors by which a binomial coefficient or a shifted factorial is written out
MAX_MULTIPLE = 10  # multiples of an angle that are written out
CIRCULAR = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
PI: Monomial = ((r"\pi", 1),)
EXACT_SINES = {
    Fraction(0): (Fraction(0), 1), Fraction(1, 6): (Fraction(1, 2), 1), Fraction(1, 4): (Fraction(1, 2), 2),
    Fraction(1, 3): (Fraction(1, 2), 3), Fraction(1, 2): (Fraction(1), 1),
}  # fmt: skip


def function(algebra: QuotientAlgebra, name: str, args: tuple[Node, ...]) -> Quotient:
    if name in CIRCULAR and len(args) == 1:
        return trigonometric(algebra, name, algebra.quotient(args[0]))
    if name == "arccos" and len(args) == 1:
        half_turn: Quotient = {PI: Fraction(1, 2)}, UNIT
        return algebra.sum(half_turn, algebra.quotient(Node("neg", (Node("fn", ("arcsin", args[0])),))))
    if name == "log" and len(args) == 2:
        return algebra.divide(
            logarithm(algebra, algebra.quotient(args[0])), logarithm(algebra, algebra.quotient(args[1]))
        )
    quotients = [algebra.quotient(argument) for argument in args]
    if name == "binom" and len(args) == 2:
        return binomial(algebra, quotients[0], quotients[1])
    if name == "factorial" and len(args) == 1:
        return factorial(algebra, quotients[0])
    values = [algebra.rational(quotient) for quotient in quotients]
    if all(value is not None for value in values):
        exact = exact_function(name, [value for value in values if value is not None])
        if exact is not None:
            return {CONSTANT: exact} if exact else {}, UNIT
    if name == "abs" and len(args) == 1:
        top, bottom = quotients[0]
        if top and min(top.items())[1] < 0:
            top = {monomial: -value for monomial, value in top.items()}
        key = f"abs({algebra.key_of((top, bottom))})"
        if bottom == UNIT:
            algebra.relations.setdefault(key, (2, algebra.multiply(top, top)))
        algebra.dependent.add(key)
        return {((key, 1),): Fraction(1)}, UNIT
    return algebra.opaque(f"{name}({','.join(algebra.key_of(quotient) for quotient in quotients)})")


def binomial(algebra: QuotientAlgebra, top: Quotient, bottom: Quotient) -> Quotient:
    """`n(n-1)/2` for `n` over 2, and `n!/(k!(n-k)!)` for `n` over `k`."""
    values = algebra.rational(top), algebra.rational(bottom)
    if values[0] is not None and values[1] is not None:
        exact = exact_function("binom", [values[0], values[1]])
        if exact is not None:
            return {CONSTANT: exact}, UNIT
    elif values[1] is not None and values[1].denominator == 1 and 0 <= values[1] <= MAX_FALLING:
        product: Quotient = (UNIT, UNIT)
        for step in range(int(values[1])):
            factor = algebra.sum(top, ({CONSTANT: Fraction(-step)} if step else {}, UNIT))
            product = algebra.product(product, factor)
        return algebra.divide(product, ({CONSTANT: Fraction(math.factorial(int(values[1])))}, UNIT))
    elif values[1] is None and (values[0] is None or (values[0] >= 0 and values[0].denominator == 1)):
        rest = algebra.sum(top, ({monomial: -value for monomial, value in bottom[0].items()}, bottom[1]))
        below = algebra.product(factorial(algebra, bottom), factorial(algebra, rest))
        return algebra.divide(factorial(algebra, top), below)
    return algebra.opaque(f"binom({algebra.key_of(top)},{algebra.key_of(bottom)})")


def factorial(algebra: QuotientAlgebra, argument: Quotient) -> Quotient:
    """`(n+1)!` as `(n+1) n!`."""
    value = algebra.rational(argument)
    exact = exact_function("factorial", [value]) if value is not None else None
    if exact is not None:
        return {CONSTANT: exact}, UNIT
    shift = argument[0].get(CONSTANT, Fraction(0))
    if value is not None or argument[1] != UNIT or shift.denominator != 1 or not 1 <= abs(shift) <= MAX_FALLING:
        return algebra.opaque(f"factorial({algebra.key_of(argument)})")
    base = {monomial: factor for monomial, factor in argument[0].items() if monomial != CONSTANT}
    product: Poly = UNIT
    for step in range(1, int(shift) + 1) if shift > 0 else range(int(shift) + 1, 1):
        product = algebra.multiply(product, add(base, {CONSTANT: Fraction(step)} if step else {}))
    plain = algebra.opaque(f"factorial({render(base)})")
    return (algebra.multiply(plain[0], product), UNIT) if shift > 0 else (plain[0], product)


def trigonometric(algebra: QuotientAlgebra, name: str, angle: Quotient) -> Quotient:
    if name in ("sec", "csc"):
        return algebra.divide((UNIT, UNIT), trigonometric(algebra, "cos" if name == "sec" else "sin", angle))
    if name in ("tan", "cot"):
        sine, cosine = trigonometric(algebra, "sin", angle), trigonometric(algebra, "cos", angle)
        return algebra.divide(sine, cosine) if name == "tan" else algebra.divide(cosine, sine)
    parts = unit_angles(algebra, angle)
    if parts is None:
        sine_poly, cosine_poly = generators(algebra, angle)
    else:
        sine_poly, cosine_poly = {}, UNIT
        for unit, times in parts:
            one = exact_circle(algebra, unit) or generators(algebra, (unit, UNIT))
            for _ in range(times):
                sine_poly, cosine_poly = (
                    add(algebra.multiply(sine_poly, one[1]), algebra.multiply(cosine_poly, one[0])),
                    add(algebra.multiply(cosine_poly, one[1]), algebra.multiply(sine_poly, one[0]), -1),
                )
    return (sine_poly if name == "sin" else cosine_poly), UNIT


def collect_angles(algebra: QuotientAlgebra, *nodes: Node) -> None:
    """Record the denominators of all angles, so that `sin x` and `sin (x/2)` share two generators."""
    for node in nodes:
        for one in walk(node):
            if one.head == "fn" and one.args[0] in CIRCULAR and len(one.args) == 2:
                with contextlib.suppress(Unsupported, Undefined, TooMuch):
                    top, bottom = algebra.quotient(one.args[1])
                    for monomial, value in top.items() if bottom == UNIT else ():
                        algebra.angles[monomial] = math.lcm(algebra.angles.get(monomial, 1), value.denominator)


def unit_angles(algebra: QuotientAlgebra, angle: Quotient) -> list[tuple[Poly, int]] | None:
    """An angle as `(unit, times)`; `None` if a part is no small multiple of its unit."""
    top, bottom = angle
    parts: list[tuple[Poly, int]] = []
    for monomial, value in top.items():
        if monomial == PI:
            turn = value % 2
            parts.append(({PI: turn} if turn else {}, 1))
            if turn and exact_circle(algebra, {PI: turn}) is None:
                return None
            continue
        times = value * algebra.angles.get(monomial, 1)
        if times.denominator != 1 or abs(times) > MAX_MULTIPLE:
            return None
        sign = 1 if times > 0 else -1
        parts.append(({monomial: Fraction(sign, algebra.angles.get(monomial, 1))}, abs(int(times))))
    return parts if bottom == UNIT else None


def generators(algebra: QuotientAlgebra, angle: Quotient) -> tuple[Poly, Poly]:
    """Sine and cosine of an angle as two generators whose squares add up to one."""
    top, bottom = angle
    sign = 1
    if top and min(top.items())[1] < 0:
        top = {monomial: -value for monomial, value in top.items()}
        sign = -1
    argument = algebra.key_of((top, bottom))
    sine_key, cosine_key = f"sin({argument})", f"cos({argument})"
    algebra.dependent.update((sine_key, cosine_key))
    algebra.relations.setdefault(sine_key, (2, {CONSTANT: Fraction(1), ((cosine_key, 2),): Fraction(-1)}))
    return {((sine_key, 1),): Fraction(sign)}, {((cosine_key, 1),): Fraction(1)}


def exact_circle(algebra: QuotientAlgebra, angle: Poly) -> tuple[Poly, Poly] | None:
    """Sine and cosine of a multiple of 30 or 45 degrees; `None` for any other angle."""
    if angle.keys() - {PI}:
        return None
    turn = angle.get(PI, Fraction(0))
    sine, cosine = exact_sine(algebra, turn), exact_sine(algebra, turn + Fraction(1, 2))
    return (sine, cosine) if sine is not None and cosine is not None else None


def exact_sine(algebra: QuotientAlgebra, turn: Fraction) -> Poly | None:
    turn %= 2
    sign = 1
    if turn >= 1:
        turn, sign = turn - 1, -1
    exact = EXACT_SINES.get(min(turn, 1 - turn))
    if exact is None:
        return None
    rational, radicand = exact
    if not rational:
        return {}
    return algebra.multiply({CONSTANT: sign * rational}, rational_root(algebra, Fraction(radicand), 2))


def logarithm(algebra: QuotientAlgebra, argument: Quotient) -> Quotient:
    """The natural logarithm; that of a product is a sum."""
    total: Poly = {}
    for poly, sign in ((argument[0], 1), (argument[1], -1)):
        if not poly:
            raise Undefined("the logarithm of zero")
        if len(poly) != 1:
            key = f"ln({render(poly)})"
            algebra.dependent.add(key)
            accumulate(total, ((key, 1),), Fraction(sign))
            continue
        ((monomial, coefficient),) = poly.items()
        if coefficient < 0:
            raise Unsupported("the logarithm of a negative number")
        for integer, direction in ((coefficient.numerator, sign), (coefficient.denominator, -sign)):
            for prime, times in factorize(integer):
                algebra.dependent.add(f"ln({prime})")
                accumulate(total, ((f"ln({prime})", 1),), Fraction(direction * times))
        algebra.assumed_positive |= monomial != CONSTANT
        for generator, exponent in monomial:
            if generator == "e":
                accumulate(total, CONSTANT, Fraction(sign * exponent))
                continue
            scale = Fraction(sign * exponent)
            if generator.startswith("root") and len(algebra.relations[generator][1]) == 1:
                degree, inner = algebra.relations[generator]
                for part, factor in logarithm(algebra, (inner, UNIT))[0].items():
                    accumulate(total, part, factor * scale / degree)
                continue
            algebra.dependent.add(f"ln({generator})")
            accumulate(total, ((f"ln({generator})", 1),), scale)
    return total, UNIT
