r"""What an answer means: a small tree. One shape for all, so that walking it needs no visitor.

| head | args |
|---|---|
| num | a Fraction |
| sym | a name: `x`, `x_1`, `\pi`, `AB` |
| add, mul | two or more nodes |
| neg, pm, mp | one node |
| div, pow | two nodes |
| root | radicand, index |
| fn | a name, then its arguments: `sin`, `log` (argument, base), `abs`, `factorial`, `f` applied to something |
| big | `\sum`, `\int` ...: name, lower, upper, body. Only short sums and products are computed |
| percent, degree | one node |
| unit | a node and its unit in words |
| based | digits, base: `4210_5` |
| seq | items of a bare list |
| group | opening bracket, closing bracket, items: tuples, intervals, vectors |
| set | items |
| union, cap, minus | two nodes |
| matrix | kind of bracket, rows; a row is a tuple of nodes |
| rel | an operator (`=`, `<`, `<=`, `in` ...), left, right |
| chain | operators with spaces between, then nodes: `1 < x <= 5` |
| ratio | items: `3:2`, `10:30` |
| mod | a node, a modulus |
| text | words |
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple


class Node(NamedTuple):
    """A head and its arguments; the module's table says which arguments each head has."""

    head: str
    args: tuple[Any, ...]


def number(value: int | Fraction) -> Node:
    return Node("num", (Fraction(value),))


def symbol(name: str) -> Node:
    return Node("sym", (name,))


ZERO, ONE = number(0), number(1)
INFINITY = symbol(r"\infty")


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below."""
    for argument in node.args:
        if isinstance(argument, Node):
            yield argument
        elif isinstance(argument, tuple):  # a matrix row
            yield from argument


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(children(one))


def rebuild(node: Node, change: Any) -> Node:
    """The same node over changed children."""
    return Node(
        node.head,
        tuple(
            change(argument)
            if isinstance(argument, Node)
            else tuple(change(one) for one in argument)
            if isinstance(argument, tuple)
            else argument
            for argument in node.args
        ),
    )


def substituted(node: Node, name: str, value: Node) -> Node:
    """The same node with a value for a variable; a sum over that variable keeps its own."""
    if node == ("sym", (name,)):
        return value
    if node.head == "big" and bound_variable(node) == name:
        lower = rebuild(node.args[1], lambda one: substituted(one, name, value) if one != symbol(name) else one)
        return Node("big", (node.args[0], lower, substituted(node.args[2], name, value), node.args[3]))
    return rebuild(node, lambda one: substituted(one, name, value))


def bound_variable(big: Node) -> str:
    r"""The `k` of `\sum_{k=1}^n`; empty where none is named."""
    lower = big.args[1]
    named = lower.head == "rel" and lower.args[0] == "=" and lower.args[1].head == "sym"
    return str(lower.args[1].args[0]) if named else ""


def symbols_of(node: Node) -> set[str]:
    """The names of the variables: all symbols that are not constants."""
    return {one.args[0] for one in walk(node) if one.head == "sym"} - CONSTANTS


CONSTANTS = frozenset({r"\pi", "e", "i", r"\infty"})
