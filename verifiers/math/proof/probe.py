"""Numeric values of expressions at a few fixed points: a cheap proof that two are different.

Floating-point arithmetic in constant time; what would overflow, or has no value at a point, raises `NoValue`. A match
proves nothing: it only makes two expressions candidates for sympy.
"""

import cmath
import math
from collections.abc import Callable

from verifiers.math.tree.nodes import Node, symbols_of, walk

RELATIVE_TOLERANCE = 1e-9
# Positive, then of both signs: identities that hold for positive numbers only must not fail the first,
# and must agree at the second wherever both sides are real.
POINTS = ((0.737, 1.0), (1.618, 1.0), (0.431, -1.0))


class NoValue(Exception):
    """The expression cannot be evaluated here."""


def differ(left: Node, right: Node) -> bool | None:
    """Whether two expressions certainly differ; `None` if no point could tell."""
    names = sorted(symbols_of(left) | symbols_of(right))
    if len(names) > 12:
        return None
    compared = 0
    for base, sign in POINTS:
        values = {
            name: complex(base + 0.2713 * index + 0.0317 * index * index) * (sign if index % 2 == 0 else 1)
            for index, name in enumerate(names)
        }
        try:
            ours, theirs = evaluate(left, values), evaluate(right, values)
        except (NoValue, OverflowError, ZeroDivisionError, ValueError):
            continue
        if not (cmath.isfinite(ours) and cmath.isfinite(theirs)):
            continue
        if sign < 0 and (abs(ours.imag) > 1e-9 or abs(theirs.imag) > 1e-9):
            continue
        compared += 1
        if abs(ours - theirs) > RELATIVE_TOLERANCE * max(abs(ours), abs(theirs), 1e-6):
            return True
        if not names:
            break
    return False if compared else None


def is_nonzero(node: Node) -> bool:
    """Whether an expression has a value other than zero at one fixed point."""
    names = sorted({one.args[0] for one in walk(node) if one.head == "sym"})
    try:
        value = evaluate(node, {name: complex(0.61 + 0.17 * place) for place, name in enumerate(names)})
    except (NoValue, OverflowError, ZeroDivisionError, ValueError):
        return False
    return abs(value) > 1e-9


def evaluate(node: Node, values: dict[str, complex]) -> complex:
    """The value of an expression. Raises `NoValue`, or an arithmetic error."""
    head, args = node
    if head == "num":
        return complex(args[0].numerator / args[0].denominator)
    if head == "sym":
        if args[0] in CONSTANT_VALUES:
            return CONSTANT_VALUES[args[0]]
        if args[0] not in values or args[0] == "...":
            raise NoValue(args[0])
        return values[args[0]]
    if head == "add":
        return sum((evaluate(term, values) for term in args), 0j)
    if head == "mul":
        return evaluate(args[0], values) * evaluate(args[1], values)
    if head == "neg":
        return -evaluate(args[0], values)
    if head == "div":
        return evaluate(args[0], values) / evaluate(args[1], values)
    if head == "percent":
        return evaluate(args[0], values) / 100
    if head == "degree":
        return evaluate(args[0], values) * math.pi / 180
    if head == "pow":
        exponent = args[1]
        power = evaluate(exponent, values)
        base = evaluate(args[0], values)
        if exponent.head == "div" and all(part.head == "num" for part in exponent.args):
            denominator = (exponent.args[0].args[0] / exponent.args[1].args[0]).denominator
            if denominator % 2 and denominator > 1:  # x^{2/3} is the square of the real cube root
                return raised(real_root(base, denominator), power * denominator)
        return raised(base, power)
    if head == "root":
        index = evaluate(args[1], values)
        base = evaluate(args[0], values)
        if index.imag == 0 and index.real == int(index.real) and int(index.real) % 2:
            return real_root(base, int(index.real))
        return raised(base, 1 / index)
    if head == "fn":
        name = args[0]
        if name not in FUNCTION_VALUES:
            raise NoValue(name)
        return FUNCTION_VALUES[name](*(evaluate(argument, values) for argument in args[1:]))
    raise NoValue(head)


def raised(base: complex, exponent: complex) -> complex:
    if base == 0:
        if exponent.real <= 0:
            raise NoValue("zero to the power of zero or less")
        return 0j
    if abs(exponent) * abs(cmath.log(base)) > 600:
        raise NoValue("a number too large")
    if exponent.imag == 0 and exponent.real == int(exponent.real) and abs(exponent.real) <= 1_000:
        return complex(base ** int(exponent.real))
    return cmath.exp(exponent * cmath.log(base))


def real_root(base: complex, index: int) -> complex:
    """An odd root, which is real for real numbers: the cube root of -8 is -2."""
    if base.imag == 0 and base.real < 0:
        return -raised(-base, complex(1 / index))
    return raised(base, complex(1 / index))


def _real(function: Callable[[float], float]) -> Callable[[complex], complex]:
    def applied(value: complex) -> complex:
        if abs(value.imag) > 1e-12:
            raise NoValue("not a real number")
        return complex(function(value.real))

    return applied


def _factorial(value: complex) -> complex:
    if value.imag or not 0 <= value.real <= 170:
        raise NoValue("a factorial too large")
    return complex(math.gamma(value.real + 1))


def _binomial(top: complex, bottom: complex) -> complex:
    return _factorial(top) / (_factorial(bottom) * _factorial(top - bottom))


def _trigonometric(function: Callable[[complex], complex]) -> Callable[[complex], complex]:
    def applied(value: complex) -> complex:
        if abs(value.real) > 1e6 or abs(value.imag) > 50:
            raise NoValue("an angle too large to have digits")
        return function(value)

    return applied


def _log(value: complex, base: complex) -> complex:
    return cmath.log(value) / cmath.log(base)


CONSTANT_VALUES = {r"\pi": complex(math.pi), "e": complex(math.e), "i": 1j}
FUNCTION_VALUES: dict[str, Callable[..., complex]] = {
    "sin": _trigonometric(cmath.sin),
    "cos": _trigonometric(cmath.cos),
    "tan": _trigonometric(cmath.tan),
    "cot": _trigonometric(lambda value: 1 / cmath.tan(value)),
    "sec": _trigonometric(lambda value: 1 / cmath.cos(value)),
    "csc": _trigonometric(lambda value: 1 / cmath.sin(value)),
    "arcsin": cmath.asin,
    "arccos": cmath.acos,
    "arctan": cmath.atan,
    "sinh": _trigonometric(cmath.sinh),
    "cosh": _trigonometric(cmath.cosh),
    "tanh": _trigonometric(cmath.tanh),
    "log": _log,
    "abs": lambda value: complex(abs(value)),
    "norm": lambda value: complex(abs(value)),
    "floor": _real(math.floor),
    "ceil": _real(math.ceil),
    "factorial": _factorial,
    "binom": _binomial,
    "max": lambda *values: complex(max(value.real for value in values)),
    "min": lambda *values: complex(min(value.real for value in values)),
}
