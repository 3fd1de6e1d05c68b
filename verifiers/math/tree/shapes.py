"""The shapes that answers take: lists with signs in them, units, times, scaled matrices."""

import re
from collections.abc import Callable, Iterator
from itertools import product

from verifiers.math.text.units import measures
from verifiers.math.text.vocabulary import LETTER_UNITS
from verifiers.math.tree.nodes import (
    CONSTANTS,
    INFINITY,
    Node,
    bound_variable,
    number,
    rebuild,
    substituted,
    symbol,
    symbols_of,
    walk,
)

MAX_SIGNS = 4
MAX_PRODUCT_SIZE = 4  # rows and columns of matrices that are multiplied
CONTAINERS = frozenset(
    {"seq", "group", "set", "union", "cap", "minus", "matrix", "rel", "chain", "ratio", "based", "text"}
)
NAMES_JOINED = re.compile(r",\s+and\s|,|\sand\s")
NAME = re.compile(r"\s*+[A-Z][a-z]+(?: [A-Z][a-z]+)*\s*+", re.ASCII)
RUNNING = frozenset("jklmn")  # letters that are taken to run over the integers where one must
INTEGERS = tuple(symbol(name) for name in ("mathbb Z", "mathbb N", r"\Z", r"\N"))


def variables(node: Node) -> bool:
    """Whether an expression depends on a variable; the index of a sum does not count."""
    running = {bound_variable(one) for one in walk(node) if one.head == "big"}
    return bool(symbols_of(node) - running)


def names_in(node: Node) -> frozenset[str]:
    """The variables of an expression, and the functions that are named by a single letter."""
    return frozenset(
        one.args[0]
        for one in walk(node)
        if (one.head == "sym" and one.args[0] not in CONSTANTS) or (one.head == "fn" and len(one.args[0]) == 1)
    )


def is_named_function(node: Node) -> bool:
    r"""`f(3)`, `f'(x)`, `f^{-1}(2)`, `\phi(12)`: a function of which only the name is known."""
    if node.head != "fn":
        return False
    name = node.args[0].removesuffix("^{-1}").rstrip("'")
    return (len(name) == 1 and name.isalpha()) or name.startswith("\\")


def flattened(node: Node, head: str) -> Iterator[Node]:
    if node.head == head:
        for part in node.args:
            yield from flattened(part, head)
    else:
        yield node


def is_time(node: Node) -> bool:
    """Whether a ratio is a time of day and must not be reduced: `10:30` may be one, `2:05` (read as `2:5:0`) is one."""
    if not all(one.head == "num" for one in node.args):
        return False
    hours, *rest = (one.args[0] for one in node.args)
    return 0 in rest or (len(rest) == 1 and rest[0] >= 10 and 0 < hours <= 24)


def percentage(node: Node) -> Node:
    """`28 percent` is `28%`."""
    return Node("percent", node.args[:1]) if node.head == "unit" and measures(node.args[1]) == {"%": 1} else node


def is_constant(node: Node) -> bool:
    """Whether a node is one number, written as an expression."""
    return not names_in(node) and not any(one.head in CONTAINERS for one in walk(node))


def counted(node: Node) -> Node:
    """`C(8, 3)` and `P(8, 3)` as the numbers of choices and of arrangements; anything else as it is."""
    name: str = ""
    arguments: tuple[Node, ...] = ()
    if node.head == "fn" and len(node.args) == 3:
        name, arguments = node.args[0], node.args[1:]
    elif node.head == "mul" and node.args[0].head == "sym" and node.args[1].head == "group":
        name, arguments = node.args[0].args[0], node.args[1].args[2:]
    if name not in ("C", "P") or len(arguments) != 2 or any(one.head != "num" for one in arguments):
        return node
    items, chosen = (one.args[0] for one in arguments)
    if items.denominator * chosen.denominator != 1 or not 0 <= chosen <= items:
        return node
    if name == "C":
        return Node("fn", ("binom", *arguments))
    return Node("div", (Node("fn", ("factorial", arguments[0])), Node("fn", ("factorial", number(items - chosen)))))


def choices_counted(node: Node) -> Node:
    """The same for a whole answer, and for both sides of `C(8, 3) = 56`."""
    return rebuild(node, counted) if node.head == "rel" and node.args[0] == "=" else counted(node)


def split_unit(node: Node) -> tuple[Node, str]:
    if node.head == "unit":
        return node.args[0], node.args[1]
    if node.head == "degree":
        return node.args[0], "degree"
    return node, ""


def split_letter(node: Node, unit: str) -> tuple[Node, str]:
    """`15 m`, read as a product, becomes 15 metres if the other answer is in metres."""
    if node.head == "mul" and node.args[1].head == "sym" and node.args[1].args[0] in LETTER_UNITS:
        letter = node.args[1].args[0]
        if measures(letter) == measures(unit):
            return node.args[0], letter
    return node, ""


def plain_words(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def listed(node: Node) -> list[Node] | None:
    r"""The items of a bare list or a set, with `a \pm b` as two items, or several names; `None` for anything else."""
    if node.head in ("seq", "set"):
        items = [item for item in node.args if not is_quantifier(item)] or list(node.args)
        return [variant for item in items for variant in signed_variants(item)]
    if node.head == "text" and len(named := NAMES_JOINED.split(node.args[0])) > 1 and all(map(NAME.fullmatch, named)):
        return [Node("text", (name.strip(),)) for name in named]
    variants = signed_variants(node)
    return variants if len(variants) > 1 else None


def is_quantifier(node: Node) -> bool:
    r"""`k \in \mathbb{Z}` behind a solution only says what `k` is."""
    return node.head == "rel" and node.args[0] == "in" and node.args[2] in INTEGERS


def integer_parameter(node: Node) -> Node | None:
    r"""The relation in a list that says which letter runs over all integers, if it is the only one."""
    if node.head != "seq":
        return None
    relations = [one for one in node.args if is_quantifier(one) and one.args[1].head == "sym"]
    return relations[0] if len(relations) == 1 else None


def with_parameter_of(node: Node, other: Node) -> Node:
    r"""`n\pi, n \in \mathbb{Z}` as `k\pi, k \in \mathbb{Z}` if the other answer uses that letter."""
    ours, theirs = integer_parameter(node), integer_parameter(other)
    if theirs is None or (ours and ours.args[2] != theirs.args[2]):
        return node
    name = theirs.args[1].args[0]
    names = symbols_of(node)
    candidates = {ours.args[1].args[0]} if ours else names & RUNNING
    return substituted(node, candidates.pop(), symbol(name)) if len(candidates) == 1 and name not in names else node


def signed_variants(node: Node) -> list[Node]:
    r"""The values of an expression with `\pm`: the signs vary together if there is a `\mp`, else independently."""
    signs = [one.head for one in walk(node) if one.head in ("pm", "mp")]
    if not signs or len(signs) > MAX_SIGNS:
        return [node]
    choices = [(1,) * len(signs), (-1,) * len(signs)] if "mp" in signs else list(product((1, -1), repeat=len(signs)))
    return [_with_signs(node, list(choice)) for choice in choices]


def _with_signs(node: Node, signs: list[int]) -> Node:
    def change(one: Node) -> Node:
        if one.head in ("pm", "mp"):
            sign = signs.pop() * (1 if one.head == "pm" else -1)
            inner = rebuild(one.args[0], change)
            return inner if sign > 0 else Node("neg", (inner,))
        return rebuild(one, change)

    return change(node)


def has_matrix(node: Node) -> bool:
    return node.head in ("neg", "mul", "div", "add") and has_matrix_in(node)


def matrix_of(node: Node) -> Node | None:
    """A matrix, or a sum, product or multiple of matrices as one matrix; `None` for anything else."""
    if node.head == "matrix":
        return node
    if node.head == "neg":
        return scaled(matrix_of(node.args[0]), lambda entry: Node("neg", (entry,)))
    if node.head == "mul":
        left, right = node.args
        if has_matrix_in(left) and has_matrix_in(right):
            return product_of(matrix_of(left), matrix_of(right))
        matrix, factor = (left, right) if left.head == "matrix" else (right, left)
        if not has_matrix_in(factor):
            return scaled(matrix_of(matrix), lambda entry: Node("mul", (factor, entry)))
    if node.head == "add":
        parts = [matrix_of(term) for term in node.args]
        shapes = {(part.args[0], len(part.args), len(part.args[1])) for part in parts if part is not None}
        if None in parts or len(shapes) != 1:
            return None
        rows = zip(*(part.args[1:] for part in parts if part is not None), strict=True)
        summed = (tuple(Node("add", entries) for entries in zip(*row, strict=True)) for row in rows)
        return Node("matrix", (parts[0].args[0], *summed))  # type: ignore[union-attr]
    if node.head == "div" and not any(one.head == "matrix" for one in walk(node.args[1])):
        return scaled(matrix_of(node.args[0]), lambda entry: Node("div", (entry, node.args[1])))
    return None


def has_matrix_in(node: Node) -> bool:
    return any(one.head == "matrix" for one in walk(node))


def product_of(left: Node | None, right: Node | None) -> Node | None:
    """The product of two small matrices whose shapes fit."""
    if left is None or right is None or left.args[0] != "(" or right.args[0] != "(":
        return None
    rows, columns = left.args[1:], list(zip(*right.args[1:], strict=True))
    if len(rows[0]) != len(right.args[1:]) or max(len(rows), len(columns), len(rows[0])) > MAX_PRODUCT_SIZE:
        return None
    entries = (
        tuple(Node("add", tuple(Node("mul", pair) for pair in zip(row, column, strict=True))) for column in columns)
        for row in rows
    )
    return Node("matrix", ("(", *entries))


def scaled(matrix: Node | None, change: Callable[[Node], Node]) -> Node | None:
    return None if matrix is None else rebuild(matrix, change)


def about_one_name(items: list[Node]) -> bool:
    """Whether all items are inequalities in the same variable."""
    names = set()
    for item in items:
        if item.head != "rel" or item.args[0] not in ("<", "<=", ">", ">="):
            return False
        names |= symbols_of(item) or {""}
    return len(names) == 1


def are_intervals(items: list[Node]) -> bool:
    r"""Whether all items are intervals, and at least one cannot be a point: `[1, 2)`, `(-\infty, 2)`."""
    if not all(item.head == "group" and len(item.args) == 4 for item in items):
        return False
    return any({"[", "]"} & set(item.args[:2]) or INFINITY in item.args for item in items)
