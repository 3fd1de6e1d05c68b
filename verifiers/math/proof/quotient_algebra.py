"""What functions, roots and series ask of the algebra.

`algebra` calls them when it meets one, and they call it back for the arithmetic. They know it by this protocol alone,
so that imports go one way: `algebra` imports them.
"""

from fractions import Fraction
from typing import Protocol

from verifiers.math.proof.polynomials import Monomial, Poly, Quotient
from verifiers.math.tree.nodes import Node


class QuotientAlgebra(Protocol):
    """Arithmetic of quotients of polynomials, and what is known of their generators."""

    relations: dict[str, tuple[int, Poly]]  # generator -> (degree, polynomial): that power equals this polynomial
    dependent: set[str]  # generators that are not known to be independent
    angles: dict[Monomial, int]  # what each part of an angle is divided by: trigonometric functions
    assumed_positive: bool  # whether a variable was taken as positive
    bound: int  # how many sums with an unknown range are open

    def quotient(self, node: Node) -> Quotient:
        """An expression as numerator and denominator."""

    def rational(self, quotient: Quotient) -> Fraction | None:
        """The value of a quotient that is a rational number."""

    def sum(self, left: Quotient, right: Quotient) -> Quotient: ...

    def product(self, left: Quotient, right: Quotient) -> Quotient: ...

    def divide(self, left: Quotient, right: Quotient) -> Quotient:
        """Raises `Undefined` for a division by zero."""

    def multiply(self, left: Poly, right: Poly) -> Poly:
        """The product, reduced by the relations. Raises `TooMuch`."""

    def poly_power(self, base: Poly, exponent: int) -> Poly: ...

    def opaque(self, key: str) -> Quotient:
        """A generator of which one thing is known: equal keys are equal."""

    def key(self, node: Node) -> str:
        """A string that equal expressions share, as far as they are recognised as equal."""

    def key_of(self, quotient: Quotient) -> str: ...

    def spend(self, work: int) -> None:
        """Count work. Raises `TooMuch` beyond the bound."""
