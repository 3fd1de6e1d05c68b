r"""Are two expressions equal? Exact algebra is asked first, then numbers; what neither decides is left to sympy."""

from fractions import Fraction

from verifiers.math.limits import TooMuch
from verifiers.math.proof.algebra import Algebra
from verifiers.math.proof.confirm import can_be_confirmed
from verifiers.math.proof.polynomials import Undefined, Unsupported
from verifiers.math.proof.probe import NoValue, differ, evaluate
from verifiers.math.text.numbers import MIN_ROUNDED_DIGITS, decimal_places, is_rounding_of, significant
from verifiers.math.tree.nodes import Node
from verifiers.math.tree.shapes import variables

MAX_WORK = 15_000  # of all algebra for one answer: a long list needs many comparisons


class Equality:
    """All comparisons of one answer. They hold if every pair in `pending` is equal, which only sympy can tell."""

    def __init__(self) -> None:
        self.pending: list[tuple[Node, Node]] = []
        self.current = Algebra()
        self.work = 0  # of the algebras before the current one

    def algebra(self) -> Algebra:
        """A fresh algebra. Raises `TooMuch` if those before it have done too much work in total."""
        self.work += self.current.work
        if self.work > MAX_WORK:
            raise TooMuch("too many comparisons")
        self.current = Algebra()
        return self.current

    def equal(self, ours: Node, truth: Node) -> bool:
        """Whether two expressions are equal, provided that every pair in `pending` is."""
        algebra = self.algebra()
        try:
            decided = algebra.equal(ours, truth)
        except (Unsupported, TooMuch):
            decided = None
        except Undefined:
            return False
        if decided is True:
            guarded = algebra.assumed_positive or algebra.dependent
            return not (guarded and variables(ours)) or differ(ours, truth) is not True
        if decided is False:
            return approximates(ours, truth) or approximates(truth, ours)
        apart = differ(ours, truth)
        if apart is None:
            return same_key(ours, truth)
        if apart:
            return approximates(ours, truth) or approximates(truth, ours)
        if approximates(ours, truth) or approximates(truth, ours):
            return True
        if not can_be_confirmed(ours, truth):
            return same_key(ours, truth)
        self.pending.append((ours, truth))
        return True

    def proportion(self, ours: Node, truth: Node) -> Fraction | None:
        """The constant factor between the differences of two relations; 0 if there is none, `None` if unknown."""
        algebra = self.algebra()
        try:
            left = algebra.difference(ours.args[1], ours.args[2])
            right = algebra.difference(truth.args[1], truth.args[2])
        except (Unsupported, Undefined, TooMuch):
            return None
        if not left or not right or left.keys() == right.keys() == {()}:
            return None  # what always or never holds says nothing that could be compared
        if left.keys() != right.keys():
            return Fraction(0)
        leading = min(left)
        factor = left[leading] / right[leading]
        return factor if all(value == factor * right[monomial] for monomial, value in left.items()) else Fraction(0)


def same_key(ours: Node, truth: Node) -> bool:
    algebra = Algebra()
    try:
        return algebra.key(ours) == algebra.key(truth)
    except (Unsupported, TooMuch, Undefined):
        return False


def approximates(decimal: Node, exact: Node) -> bool:
    """Whether a decimal of many digits is the correct rounding of a number that has no finite decimal."""
    if decimal.head == "neg":
        return approximates(decimal.args[0], Node("neg", (exact,)))
    if decimal.head != "num" or variables(exact):
        return False
    if exact.head == "num":
        return is_rounding_of(decimal.args[0], exact.args[0])
    value: Fraction = decimal.args[0]
    places = decimal_places(value)
    if places is None or places < 3 or significant(value) < MIN_ROUNDED_DIGITS:
        return False
    try:
        number = evaluate(exact, {})
    except (NoValue, OverflowError, ZeroDivisionError, ValueError):
        return False
    return abs(number.imag) < 1e-12 and abs(number.real - float(value)) <= 0.51 * 10**-places + 2e-15 * abs(number.real)
