"""Intervals, unions and inequalities in one variable as pieces of the real line."""

import math
from fractions import Fraction
from functools import reduce
from itertools import combinations

from verifiers.math.limits import TooMuch
from verifiers.math.proof.algebra import Algebra
from verifiers.math.proof.labels import is_label
from verifiers.math.proof.polynomials import Undefined, Unsupported
from verifiers.math.proof.probe import NoValue, evaluate
from verifiers.math.tree.nodes import CONSTANTS, INFINITY, ZERO, Node, walk
from verifiers.math.tree.shapes import names_in, variables

FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
MINUS_INFINITY = Node("neg", (INFINITY,))
MAX_PIECES = 256  # that are compared with one another
REAL_LINE = ("(", ")", MINUS_INFINITY, INFINITY)
NAMED = {
    "mathbb R": REAL_LINE,
    r"\R": REAL_LINE,
    "mathbb R>0": ("(", ")", ZERO, INFINITY),
    "mathbb R>=0": ("[", ")", ZERO, INFINITY),
    "mathbb R<0": ("(", ")", MINUS_INFINITY, ZERO),
    "mathbb R<=0": ("(", "]", MINUS_INFINITY, ZERO),
}

Piece = tuple[str, str, Node, Node]


def is_inequality(node: Node) -> bool:
    return (node.head == "rel" and node.args[0] in FLIPPED) or node.head == "chain"


def is_union(node: Node) -> bool:
    return node.head in ("union", "cap", "minus") or (node.head == "sym" and node.args[0] in NAMED)


def is_conditions(node: Node) -> bool:
    """Whether a list states conditions on one variable: `x >= 2, x <= 5`, `x in R, x != 3`."""
    if node.head != "seq" or not all(
        is_inequality(one) or (one.head == "rel" and one.args[0] in ("in", "!=")) for one in node.args
    ):
        return False
    return bool(frozenset.intersection(*(names_in(one) for one in node.args)) - NAMED.keys())


def region(node: Node) -> list[Piece] | None:
    """An interval, a union or an inequality in one variable as pieces of the real line; `None` for anything else."""
    if node.head == "group" and len(node.args) == 4 and set(node.args[:2]) <= {"(", ")", "[", "]"}:
        return [node.args]
    if node.head == "union":
        pieces: list[Piece] = []
        for part in node.args:
            inner = region(part)
            if inner is None:
                return None
            pieces += inner
        return pieces
    if node.head == "cap":
        parts = [region(part) for part in node.args]
        return reduce(meet, parts[1:], parts[0])
    if node.head == "sym" and node.args[0] in NAMED:
        return [NAMED[node.args[0]]]
    if node.head == "set":
        return [("[", "]", point, point) for point in node.args]
    if node.head == "minus":
        removed = region(node.args[1])
        return None if removed is None else reduce(meet, map(outside, removed), region(node.args[0]))
    if node.head == "seq" and is_conditions(node):
        # A comma is "or" between x < 1 and x > 5, which have nothing in common, and "and" between x > 1 and x < 5.
        overlap = {bool(meet(region(one), region(other))) for one, other in combinations(node.args, 2)}
        return region(Node("cap" if overlap == {True} else "union", node.args)) if len(overlap) == 1 else None
    if node.head == "rel":
        operator, left, right = node.args
        if operator == "in":
            return region(right)
        if left.head != "sym" and (right.head == "sym" or is_absolute(right)) and operator in FLIPPED:
            operator, left, right = FLIPPED[operator], right, left
        if is_absolute(left) and operator in FLIPPED and not variables(right):
            sides = (
                Node("rel", (operator, left.args[1], right)),
                Node("rel", (FLIPPED[operator], left.args[1], Node("neg", (right,)))),
            )
            return region(Node("cap" if operator in ("<", "<=") else "union", sides))
        if left.head != "sym" or left.args[0] in CONSTANTS or variables(right):
            solved = solved_for_variable(operator, left, right)
            if solved is None:
                return None
            operator, right = solved
        if operator == "!=":
            return [("(", ")", MINUS_INFINITY, right), ("(", ")", right, INFINITY)]
        if operator in ("<", "<="):
            return [("(", ")" if operator == "<" else "]", MINUS_INFINITY, right)]
        if operator in (">", ">="):
            return [("(" if operator == ">" else "[", ")", right, INFINITY)]
        return None
    if node.head == "chain" and len(node.args) == 4 and is_absolute(node.args[2]):
        first, second = node.args[0].split()
        below, above = Node("rel", (first, *node.args[1:3])), Node("rel", (second, *node.args[2:]))
        return region(Node("cap", (below, above)))
    if node.head == "chain" and len(node.args) == 4 and is_label(node.args[2]):
        low, _, high = node.args[1:]
        operators = node.args[0].split()
        if variables(low) or variables(high):
            return None
        if set(operators) <= {">", ">="}:
            operators, low, high = [FLIPPED[one] for one in reversed(operators)], high, low
        if set(operators) <= {"<", "<="}:
            return [("(" if operators[0] == "<" else "[", ")" if operators[1] == "<" else "]", low, high)]
    return None


def meet(left: list[Piece] | None, right: list[Piece] | None) -> list[Piece] | None:
    """The intersection of two regions; `None` if the order of their ends is not known."""
    if left is None or right is None or len(left) * len(right) > MAX_PIECES:
        return None
    pieces: list[Piece] = []
    for piece in left:
        for other_opening, other_closing, other_low, other_high in right:
            opening, closing, low, high = piece
            ends = [position(end) for end in (low, other_low, high, other_high)]
            if None in ends:
                return None
            bottom, other_bottom, top, other_top = (end for end in ends if end is not None)
            if other_bottom > bottom or (other_bottom == bottom and other_opening == "("):
                bottom, opening, low = other_bottom, other_opening, other_low
            if other_top < top or (other_top == top and other_closing == ")"):
                top, closing, high = other_top, other_closing, other_high
            if bottom < top or (bottom == top and opening == "[" and closing == "]"):
                pieces.append((opening, closing, low, high))
    return pieces


def position(end: Node) -> float | None:
    if end in (INFINITY, MINUS_INFINITY):
        return math.inf if end == INFINITY else -math.inf
    try:
        value = evaluate(end, {})
    except (NoValue, OverflowError, ZeroDivisionError, ValueError):
        return None
    return value.real if value.imag == 0 else None


def outside(piece: Piece) -> list[Piece]:
    """The complement of a piece."""
    opening, closing, low, high = piece
    below: Piece = ("(", "]" if opening == "(" else ")", MINUS_INFINITY, low)
    above: Piece = ("[" if closing == ")" else "(", ")", high, INFINITY)
    return [part for part in (below, above) if part[2] != part[3]]


def is_absolute(node: Node) -> bool:
    """Whether a node is an absolute value like `|x - 1|`, without another one inside."""
    return node.head == "fn" and node.args[0] == "abs" and node.args[1].head in ("sym", "add", "mul", "neg", "div")


def solved_for_variable(operator: str, left: Node, right: Node) -> tuple[str, Node] | None:
    """`-2x > 6` as `x < -3`: a relation that is linear in its only variable, with rational coefficients."""
    names = {one.args[0] for side in (left, right) for one in walk(side) if one.head == "sym"}
    if len(names) != 1 or names & CONSTANTS or operator not in (*FLIPPED, "!="):
        return None
    try:
        difference = Algebra().difference(left, right)
    except (Unsupported, Undefined, TooMuch):
        return None
    (name,) = names
    slope = difference.pop(((name, 1),), Fraction(0))
    constant = difference.pop((), Fraction(0))
    if difference or not slope:
        return None
    bound = Node("num", (-constant / slope,))
    return (operator if slope > 0 else FLIPPED.get(operator, operator)), bound
