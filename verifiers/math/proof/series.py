r"""Sums and products over a running variable: `\sum_{k=1}^{10} k`.

With integer limits, a sum of rational numbers is computed, and a short sum of anything else is written out. All other
sums and products, integrals and limits become opaque generators: equal ones have equal keys, whatever their variable is
called.
"""

import contextlib
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

from verifiers.math.limits import MAX_BITS, MAX_EXPONENT, TooMuch
from verifiers.math.proof.polynomials import CONSTANT, UNIT, Quotient, Unsupported, exact_function
from verifiers.math.proof.quotient_algebra import QuotientAlgebra
from verifiers.math.tree.nodes import Node, bound_variable, number, substituted, symbol, walk

MAX_SUMMED_TERMS = 1_000
MAX_WRITTEN_TERMS = 12
MAX_NESTED = 3  # sums in one another that are computed
MAX_VISITS = 8_000  # of nodes, in all terms of one sum and of the sums in it


def series(algebra: QuotientAlgebra, node: Node) -> Quotient:
    name, lower, upper, body = node.args
    variable = bound_variable(node) if name in ("sum", "prod") else ""
    if not variable:
        return algebra.opaque(f"big {name}" + ",".join(algebra.key(part) for part in node.args[1:]))
    exact = rational_value(node)
    if exact is not None:
        return {CONSTANT: exact} if exact else {}, UNIT
    first, last = integer(algebra, lower.args[2]), integer(algebra, upper)
    if first is None or last is None or not 0 <= last - first < MAX_WRITTEN_TERMS:
        algebra.bound += 1  # a name of its own for each sum within a sum
        renamed = substituted(body, variable, symbol(f"bound {algebra.bound}"))
        key = ",".join(algebra.key(part) for part in (lower.args[2], upper, renamed))
        algebra.bound -= 1
        return algebra.opaque(f"big {name},{key}")
    total: Quotient = ({}, UNIT) if name == "sum" else (UNIT, UNIT)
    size = sum(1 for _ in walk(body))
    for value in range(first, last + 1):
        algebra.spend(size)
        term = algebra.quotient(substituted(body, variable, number(value)))
        total = algebra.sum(total, term) if name == "sum" else algebra.product(total, term)
    return total


def integer(algebra: QuotientAlgebra, bound: Node) -> int | None:
    with contextlib.suppress(Unsupported):
        value = algebra.rational(algebra.quotient(bound))
        return int(value) if value is not None and value.denominator == 1 else None
    return None


@lru_cache(maxsize=1_024)
def rational_value(node: Node) -> Fraction | None:
    """The value of a sum or product of rational numbers; `None` if it has no value or takes too much work."""
    if sum(one.head == "big" for one in walk(node)) > MAX_NESTED:
        return None
    try:
        return _Evaluation().value(node, {})
    except (Unsupported, TooMuch, ZeroDivisionError):
        return None


class _Evaluation:
    """Exact values of expressions whose variables have rational values. Counts the nodes that it visits."""

    def __init__(self) -> None:
        self.visits = 0

    def value(self, node: Node, values: Mapping[str, Fraction]) -> Fraction:
        self.visits += 1
        if self.visits > MAX_VISITS:
            raise TooMuch("a sum of too many parts")
        head, args = node
        if head == "num":
            return Fraction(args[0])
        if head == "sym" and args[0] in values:
            return values[args[0]]
        if head == "big":
            return self.total(node, values)
        if head == "fn":
            exact = exact_function(args[0], [self.value(one, values) for one in args[1:]])
            if exact is not None:
                return small(exact)
        if head not in ("add", "mul", "neg", "div", "pow"):
            raise Unsupported(head)
        parts = [self.value(one, values) for one in args]
        if head == "add":
            return small(sum(parts, Fraction(0)))
        if head == "neg":
            return -parts[0]
        left, right = parts
        if head == "pow":
            if right.denominator != 1 or abs(right) > MAX_EXPONENT or bits(left) * abs(right) > MAX_BITS:
                raise Unsupported("a power that is no small rational number")
            if left == right == 0:
                raise Unsupported("zero to the power of zero")
            return Fraction(left ** int(right))
        return small(left * right if head == "mul" else left / right)

    def total(self, node: Node, values: Mapping[str, Fraction]) -> Fraction:
        name, lower, upper, body = node.args
        variable = bound_variable(node)
        if name not in ("sum", "prod") or not variable:
            raise Unsupported(name)
        first, last = self.value(lower.args[2], values), self.value(upper, values)
        if first.denominator * last.denominator != 1 or not 0 <= last - first < MAX_SUMMED_TERMS:
            raise Unsupported("no range of integers, or a long one")
        total = Fraction(int(name == "prod"))
        for running in range(int(first), int(last) + 1):
            term = self.value(body, {**values, variable: Fraction(running)})
            total = small(total + term if name == "sum" else total * term)
        return total


def small(value: Fraction) -> Fraction:
    """A value of bounded size. Raises `TooMuch` for any other."""
    if bits(value) > MAX_BITS:
        raise TooMuch(f"an integer of more than {MAX_BITS} bits")
    return value


def bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())
