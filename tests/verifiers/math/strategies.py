"""Random answers: trees of every kind that the grammar can write."""

from collections.abc import Callable

from hypothesis import strategies as st

from verifiers.math.limits import TooMuch
from verifiers.math.proof.algebra import Algebra
from verifiers.math.proof.polynomials import Undefined, Unsupported
from verifiers.math.tree.nodes import Node, number, symbol, walk

integers = st.integers(0, 10_000).map(number)
leaves = st.one_of(
    integers,
    st.fractions(0, 50, max_denominator=40).map(number),
    st.sampled_from([symbol(name) for name in ("x", "y", "n", r"\pi", "e", "i", r"\theta", "x_1", "AB")]),
)


def _grow(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    pairs = st.tuples(inner, inner)
    powers = st.integers(0, 4).map(number)
    return st.one_of(
        pairs.map(lambda two: Node("add", two)),
        pairs.map(lambda two: Node("mul", two)),
        pairs.map(lambda two: Node("div", two)),
        inner.map(lambda one: Node("neg", (one,))),
        st.tuples(inner, powers).map(lambda two: Node("pow", two)),
        inner.map(lambda one: Node("root", (one, number(2)))),
        inner.map(lambda one: Node("fn", ("sin", one))),
        inner.map(lambda one: Node("fn", ("abs", one))),
        st.tuples(inner, integers).map(lambda two: Node("fn", ("log", two[0], two[1]))),
    )


expressions = st.recursive(leaves, _grow, max_leaves=6)


def _several(least: int, most: int) -> st.SearchStrategy[tuple[Node, ...]]:
    return st.lists(expressions, min_size=least, max_size=most).map(tuple)


def _as(head: str) -> Callable[[tuple[object, ...]], Node]:
    return lambda args: Node(head, args)


containers = st.one_of(
    _several(2, 4).map(lambda items: Node("seq", items)),
    _several(0, 4).map(lambda items: Node("set", items)),
    st.tuples(st.sampled_from("(["), st.sampled_from(")]"), expressions, expressions).map(
        lambda all_: Node("group", all_)
    ),
    _several(3, 4).map(lambda items: Node("group", ("(", ")", *items))),
    st.tuples(st.sampled_from(["=", "<", "<=", ">", "!="]), expressions, expressions).map(
        lambda all_: Node("rel", all_)
    ),
    st.tuples(_several(2, 2), _several(2, 2)).map(lambda rows: Node("matrix", ("(", *rows))),
    st.tuples(expressions, st.just("cm")).map(lambda two: Node("unit", two)),
    expressions.map(lambda one: Node("percent", (one,))),
    st.tuples(st.integers(1, 9_999).map(str), st.sampled_from(["5", "7", "8"])).map(lambda two: Node("based", two)),
)
answers = st.one_of(expressions, containers)


def has_value(node: Node) -> bool:
    """Whether every expression in an answer has a value: `1/0` is equal to nothing, not even to itself."""
    for one in walk(node):
        if one.head in ("div", "pow", "fn", "root"):
            try:
                Algebra().quotient(one)
            except (Undefined, Unsupported, TooMuch):
                return False
    return True


__all__ = ["answers", "expressions", "has_value"]
