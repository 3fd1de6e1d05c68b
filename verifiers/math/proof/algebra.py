r"""Exact equality of expressions, without sympy: quotients of polynomials with rational coefficients.

A polynomial is a dict from monomials to Fractions; a monomial is a sorted tuple of `(generator, exponent)`. Generators
are variables, constants (`\pi`, `e`, `i`), roots, and functions of canonical arguments. Some have a relation by which
they are reduced: `i^2 = -1`, `sqrt(2)^2 = 2`, `sin(t)^2 = 1 - cos(t)^2`. If the difference of the cross products is the
zero polynomial, that proves the two expressions equal. If it is not, that proves them different only where the
generators are known to be independent. Work is bounded by the limits; beyond them `TooMuch` is raised.

Variables under roots and logarithms are taken as positive; the numeric probe guards the other signs.
"""

from fractions import Fraction
from functools import reduce

from verifiers.math.limits import MAX_BITS, MAX_EXPONENT, TooMuch
from verifiers.math.proof.functions import PI, collect_angles, exact_circle, function
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
    factorize,
    merge,
    render,
    render_monomial,
)
from verifiers.math.proof.roots import root
from verifiers.math.proof.series import series
from verifiers.math.tree.nodes import Node, number

TURN: Monomial = ((r"\pi", 1), ("i", 1))
MAX_TERMS = 300
MAX_PRODUCTS = 6_000
MAX_EXPANDED_POWER = 24


class Algebra:
    """The generators seen so far and their relations. One instance serves one comparison."""

    def __init__(self) -> None:
        self.relations: dict[str, tuple[int, Poly]] = {"i": (2, {CONSTANT: Fraction(-1)})}
        self.dependent: set[str] = set()  # generators that are not known to be independent
        self.angles: dict[Monomial, int] = {}  # what each part of an angle is divided by: trigonometric functions
        self.assumed_positive = False  # whether a variable was taken as positive
        self.work = 0
        self.bound = 0  # how many sums with an unknown range are open

    def equal(self, left: Node, right: Node) -> bool | None:
        """Whether two expressions are equal; `None` if unknown. Raises `Unsupported`, `Undefined` or `TooMuch`."""
        collect_angles(self, left, right)
        difference = self.difference(left, right)
        if not difference:
            return True
        return False if self.independent(difference) else None

    def difference(self, left: Node, right: Node) -> Poly:
        """The numerator of `left - right`."""
        (top, bottom), (other_top, other_bottom) = self.quotient(left), self.quotient(right)
        return add(self.multiply(top, other_bottom), self.multiply(other_top, bottom), -1)

    def opaque(self, key: str) -> Quotient:
        """A generator of which one thing is known: equal keys are equal."""
        self.dependent.add(key)
        return {((key, 1),): Fraction(1)}, UNIT

    def independent(self, poly: Poly) -> bool:
        return not any(generator in self.dependent for monomial in poly for generator, _ in monomial)

    def spend(self, work: int) -> None:
        self.work += work
        if self.work > MAX_PRODUCTS:
            raise TooMuch("the expression expands into too many terms")

    # Polynomials

    def multiply(self, left: Poly, right: Poly) -> Poly:
        if left == UNIT:
            return right
        if right == UNIT:
            return left
        self.spend(len(left) * len(right))
        product: Poly = {}
        for one, coefficient in left.items():
            for other, factor in right.items():
                scaled = coefficient * factor
                if scaled.numerator.bit_length() > MAX_BITS or scaled.denominator.bit_length() > MAX_BITS:
                    raise TooMuch(f"an integer of more than {MAX_BITS} bits")
                merged = merge(one, other)
                if any(exponent > 1 and generator in self.relations for generator, exponent in merged):
                    for monomial, value in self.reduced(merged).items():
                        accumulate(product, monomial, scaled * value)
                else:
                    accumulate(product, merged, scaled)
        if len(product) > MAX_TERMS:
            raise TooMuch("the expression expands into too many terms")
        return product

    def reduced(self, monomial: Monomial) -> Poly:
        for position, (generator, exponent) in enumerate(monomial):
            if generator in self.relations and exponent >= (relation := self.relations[generator])[0]:
                degree, replacement = relation
                rest = list(monomial)
                times, left_over = divmod(exponent, degree)
                if left_over:
                    rest[position] = (generator, left_over)
                else:
                    del rest[position]
                return self.multiply(self.reduced(tuple(rest)), self.poly_power(replacement, times))
        return {monomial: Fraction(1)}

    def poly_power(self, base: Poly, exponent: int) -> Poly:
        if len(base) == 1:
            ((monomial, coefficient),) = base.items()
            bits = max(coefficient.numerator.bit_length(), coefficient.denominator.bit_length())
            if bits > 1 and bits * exponent > MAX_BITS:
                raise TooMuch(f"an integer of more than {MAX_BITS} bits")
            raised = tuple((generator, power * exponent) for generator, power in monomial) if exponent else ()
            if raised and raised[0][1] > 10 * MAX_EXPONENT:
                raise TooMuch("a power of too high a degree")
            return {m: c * coefficient**exponent for m, c in self.reduced(raised).items()}
        if exponent > MAX_EXPANDED_POWER:
            raise TooMuch(f"a sum to the power of {exponent}")
        result = UNIT
        for _ in range(exponent):
            result = self.multiply(result, base)
        return result

    # Quotients

    def quotient(self, node: Node) -> Quotient:
        """An expression as numerator and denominator."""
        head, args = node
        if head == "num":
            return {CONSTANT: args[0]} if args[0] else {}, UNIT
        if head == "sym":
            if args[0] in (r"\infty", "..."):
                raise Unsupported(args[0])
            return {((args[0], 1),): Fraction(1)}, UNIT
        if head == "add":
            return reduce(self.sum, (self.quotient(term) for term in args))
        if head == "mul":
            return self.product(self.quotient(args[0]), self.quotient(args[1]))
        if head == "neg":
            top, bottom = self.quotient(args[0])
            return {monomial: -value for monomial, value in top.items()}, bottom
        if head == "div":
            return self.divide(self.quotient(args[0]), self.quotient(args[1]))
        if head == "pow":
            return self.power(args[0], args[1])
        if head == "root":
            index = self.rational(self.quotient(args[1]))
            if index is None or index.denominator != 1 or not 2 <= index <= 12:
                raise Unsupported("a root of an unusual index")
            return root(self, self.quotient(args[0]), int(index))
        if head == "percent":
            return self.divide(self.quotient(args[0]), ({CONSTANT: Fraction(100)}, UNIT))
        if head == "degree":
            top, bottom = self.quotient(args[0])
            return self.multiply(top, {((r"\pi", 1),): Fraction(1, 180)}), bottom
        if head == "fn":
            return function(self, args[0], args[1:])
        if head == "big":
            return series(self, node)
        raise Unsupported(head)

    def sum(self, left: Quotient, right: Quotient) -> Quotient:
        if left[1] == right[1]:
            return add(left[0], right[0]), left[1]
        top = add(self.multiply(left[0], right[1]), self.multiply(right[0], left[1]))
        return top, self.multiply(left[1], right[1])

    def product(self, left: Quotient, right: Quotient) -> Quotient:
        return self.multiply(left[0], right[0]), self.multiply(left[1], right[1])

    def divide(self, left: Quotient, right: Quotient) -> Quotient:
        if not right[0]:
            raise Undefined("a division by zero")
        top, bottom = self.multiply(left[0], right[1]), self.multiply(left[1], right[0])
        if len(bottom) == 1 and CONSTANT in bottom:
            scale = bottom[CONSTANT]
            return {monomial: value / scale for monomial, value in top.items()}, UNIT
        return top, bottom

    def rational(self, quotient: Quotient) -> Fraction | None:
        """The value of a quotient that is a rational number."""
        top, bottom = quotient
        if not top:
            return Fraction(0)
        if len(top) == 1 and len(bottom) == 1 and CONSTANT in top and CONSTANT in bottom:
            return top[CONSTANT] / bottom[CONSTANT]
        return None

    def integer_power(self, base: Quotient, exponent: int) -> Quotient:
        if abs(exponent) > 10 * MAX_EXPONENT:
            raise TooMuch(f"the power {exponent}")
        if exponent < 0:
            return self.divide((UNIT, UNIT), self.integer_power(base, -exponent))
        return self.poly_power(base[0], exponent), self.poly_power(base[1], exponent)

    def power(self, base_node: Node, exponent_node: Node) -> Quotient:
        exponent = self.quotient(exponent_node)
        value = self.rational(exponent)
        if value is not None:
            base = self.quotient(base_node)
            if value.denominator == 1:
                if value <= 0 and not base[0]:
                    raise Undefined("zero to the power of zero or less")
                return self.integer_power(base, int(value))
            if value.denominator > 12:
                raise Unsupported("a root of an unusual index")
            return self.integer_power(root(self, base, value.denominator), value.numerator)
        return self.exponential(base_node, exponent)

    def exponential(self, base_node: Node, exponent: Quotient) -> Quotient:
        """A power with a variable in the exponent: `2^{n+1} = 2 * 2^n`, `4^n = (2^n)^2`."""
        top, bottom = exponent
        if bottom != UNIT:
            raise Unsupported("a quotient in an exponent")
        base = self.quotient(base_node)
        value = self.rational(base)
        if value is not None and value > 0:
            primes = dict(factorize(value.numerator))
            for prime, times in factorize(value.denominator):
                primes[prime] = primes.get(prime, 0) - times
            bases = [(str(prime), times, number(prime)) for prime, times in primes.items()]
        elif base_node.head == "sym" and base_node.args[0] != "i":
            bases = [(base_node.args[0], 1, base_node)]
        else:
            return self.opaque(f"({self.key_of(base)})^({self.key_of(exponent)})")
        result: Quotient = (UNIT, UNIT)
        for name, times, one in bases:
            for monomial, coefficient in top.items():
                scaled = coefficient * times
                if monomial == CONSTANT:
                    factor = self.power(one, number(scaled))
                elif name == "e" and monomial == TURN and (turned := exact_circle(self, {PI: scaled})) is not None:
                    factor = add(turned[1], self.multiply({(("i", 1),): Fraction(1)}, turned[0])), UNIT  # cos + i sin
                else:
                    key = f"{name}^({render_monomial(monomial)}/{scaled.denominator})"
                    self.dependent.add(key)
                    factor = self.integer_power(({((key, 1),): Fraction(1)}, UNIT), scaled.numerator)
                result = self.product(result, factor)
        return result

    # Keys

    def key(self, node: Node) -> str:
        """A string that equal expressions share, as far as they are recognised as equal."""
        try:
            return self.key_of(self.quotient(node))
        except Unsupported:
            parts = (self.key(part) if isinstance(part, Node) else str(part) for part in node.args)
            return f"{node.head}<{','.join(parts)}>"

    def key_of(self, quotient: Quotient) -> str:
        top, bottom = quotient
        if bottom == UNIT:
            return render(top)
        scale = min(bottom.items())[1]
        top = {monomial: value / scale for monomial, value in top.items()}
        bottom = {monomial: value / scale for monomial, value in bottom.items()}
        return f"{render(top)}|{render(bottom)}"
