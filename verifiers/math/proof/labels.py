r"""Labels: a left side that only names the value on the right: `x = 5`, `f(t) = 3t`, `\angle ABC = 50`."""

import re
from itertools import pairwise

from verifiers.math.proof.probe import NoValue, differ, evaluate
from verifiers.math.tree.nodes import CONSTANTS, Node, children, symbol, walk
from verifiers.math.tree.shapes import is_named_function, variables

NAMING = frozenset({"sym", "add", "mul", "neg", "div", "fn"})
CIRCULAR = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
CHANGING = frozenset({"log", "exp", "factorial"})  # ln x = 7 does not say that x is 7
CHANGING_WORDS = re.compile(
    r"\b(?:half|twice|double|thrice|triple|negative|opposite|reciprocal|inverse|minus|plus|times|not|than|root"
    r"|(?:square|cube) of)\b(?!-)",
    re.IGNORECASE,
)


IMPLYING = frozenset({"=>", "->"})


def implied(node: Node) -> Node:
    r"""The `x = 5` of `2x = 10 \Rightarrow x = 5`, where every step is an equation; else the chain as it is."""
    operators, sides = node.args[0].split(), node.args[1:]
    ends = [at + 1 for at, operator in enumerate(operators) if operator in IMPLYING]
    *steps, last = (sides[start:end] for start, end in pairwise([0, *ends, len(sides)]))
    equation = Node("rel", ("=", *last))
    if set(operators) - IMPLYING != {"="} or len(last) != 2 or any(len(step) < 2 for step in steps):
        return node
    label = label_of(equation)
    contradicted = any(step[0] == label for step in steps)  # x = 4 => x = 5
    return node if label is None or contradicted else equation


def conclusion_of(node: Node) -> Node:
    """The conclusion of a chain of equations or of an approximation."""
    if node.head == "chain" and not IMPLYING.isdisjoint(node.args[0].split()):
        return implied(node)
    if node.head == "chain" and set(node.args[0].split()) <= {"=", "~"}:
        sides = list(node.args[1:])
        operators = node.args[0].split()
        if "~" in operators:
            cut = operators.index("~") + 1
            if cut == 1:
                cut = 2
            sides, operators = sides[:cut], operators[: cut - 1]
        if len(sides) == 1:
            return sides[0]
        others = [side for side in sides[:-1] if not has_names(side)]
        if others and not variables(sides[-1]) and all(differ(side, sides[-1]) for side in others):
            return node  # x = 41 = 42 says nothing: no side is worth what the last one says
        if len(sides) == 2:
            node = Node("rel", (operators[0], *sides))
        elif is_label(sides[0]):
            return Node("rel", ("=", sides[0], sides[-1]))
        else:
            return Node("rel", ("=", sides[-2], sides[-1]))
    if node.head == "fn" and len(node.args) > 2 and node.args[0].isupper():
        return Node("group", ("(", ")", *node.args[1:]))  # the point P(2, 3)
    if node.head == "mul" and is_point_name(node.args[0]) and node.args[1].head == "group":
        return node.args[1]
    if node.head == "rel" and node.args[0] == "~":
        _, left, right = node.args
        return right if is_label(left) else left if is_near(left, right) else node
    if node.head == "rel" and node.args[0] == "=" and is_label(node.args[2]) and not is_label(node.args[1]):
        return Node("rel", ("=", node.args[2], node.args[1]))
    return node


def is_point_name(node: Node) -> bool:
    return node.head == "sym" and len(node.args[0]) == 1 and node.args[0].isupper()


def name_one_thing(label: Node, other: Node | None) -> bool:
    """Whether two labels are the same; `f(x) = 3x` and `y = 3x` are the same function too."""
    y = symbol("y")
    if label == other or other is None:
        return label == other
    function = other if label == y else label if other == y else y
    return function.head == "fn" and len(function.args) == 2 and function.args[1].head == "sym"


def is_numbering(ours: list[Node | None], theirs: list[Node | None]) -> bool:
    """Whether labels only number one name, as `x_1 = 2, x_2 = 3` does the solutions of an equation in `x`."""
    names = {one.args[0] if one is not None and one.head == "sym" else "" for one in (*ours, *theirs)}
    return (
        len({name.partition("_")[0] for name in names}) == 1
        and "" not in names
        and any("_" not in name for name in names)
    )


def is_near(left: Node, right: Node) -> bool:
    """Whether `left ~ right` is plausible: two constants must be within five percent of each other."""
    try:
        ours, theirs = evaluate(left, {}), evaluate(right, {})
    except (NoValue, OverflowError, ZeroDivisionError, ValueError):
        return True
    return abs(ours - theirs) <= 0.05 * max(abs(ours), abs(theirs))


def is_label(node: Node) -> bool:
    """Whether a left side only names the value on the right: `x`, `f(x)`, `(x, y)`, `\\angle ABC`, words."""
    if node.head == "sym":
        return node.args[0] not in CONSTANTS
    if node.head == "text":
        return CHANGING_WORDS.search(node.args[0]) is None
    if node.head == "fn":
        inside = node.args[1]
        if node.args[0] == "abs":
            return inside.head == "text" or (inside.head in ("sym", "mul", "cap", "union") and has_names(inside))
        return is_named_function(node)
    if node.head == "matrix":
        return all(one.head == "sym" for row in node.args[1:] for one in row)
    if node.head == "group":
        return all(one.head == "sym" for one in node.args[2:])
    if node.head == "ratio":
        return all(is_label(one) for one in node.args)
    if node.head == "mul":  # m\\angle ABC
        parts = [one for one in walk(node) if one.head != "mul"]
        names = {one.args[0] for one in parts if one.head == "sym"}
        return len(parts) == len(names) and bool(names & {r"\angle", r"\triangle"})
    return False


def label_of(node: Node, *, loosely: bool = False) -> Node | None:
    """The label of `label = value`; `loosely` also a sum or product of names: `x + y = 7`, but not `-x = 7`."""
    if node.head != "rel" or node.args[0] != "=":
        return None
    left: Node = node.args[1]
    if is_label(left):
        return left
    if not loosely or left.head == "neg" or not names_value(left):
        return None
    return left if has_names(left) and (not variables(node.args[2]) or is_derivative(left)) else None


def has_names(node: Node) -> bool:
    """Whether it contains a variable, or a function of which only the name is known."""
    return variables(node) or any(map(is_named_function, walk(node)))


def names_value(node: Node) -> bool:
    r"""Whether it is made of names and values of functions alone: `f(2) + g(2)`, `\cos 2\theta`, but not `2 + 2`."""
    if is_named_function(node):
        return True
    if node.head == "fn" and node.args[0] in CIRCULAR:
        return variables(node)
    if node.head not in NAMING or (node.head == "fn" and node.args[0] in CHANGING):
        return False
    return all(map(names_value, children(node)))


def is_derivative(node: Node) -> bool:
    """`dy/dx`, read as a quotient of products."""
    return node.head == "div" and all(
        part.head == "mul" and part.args[0] == symbol("d") and part.args[1].head == "sym" for part in node.args
    )


def unlabelled(node: Node) -> Node:
    return node.args[2] if label_of(conclusion_of(node)) else node


def grouped_by_label(items: list[Node]) -> list[Node]:
    """`p=5, q=2; p=7, q=2` as `(5,2), (7,2)`: labels that repeat make tuples."""
    labels = [label_of(item) for item in items]
    size = labels.index(labels[0], 1) if labels and labels[0] is not None and labels[0] in labels[1:] else 0
    if size < 2 or len(items) % size or labels != labels[:size] * (len(items) // size):
        return items
    values = [item.args[2] for item in items]
    return [Node("group", ("(", ")", *values[at : at + size])) for at in range(0, len(values), size)]


def by_name(items: list[Node]) -> list[Node]:
    """`y=2, x=3` as `x=3, y=2`, if every label is a letter: a tuple lists its unknowns in this order."""
    labels = [label_of(item) for item in items]
    names = [label.args[0] for label in labels if label is not None and label.head == "sym"]
    if len(set(names)) < len(items) or not all(len(name) == 1 for name in names):
        return items
    return [item for _, item in sorted(zip(names, items, strict=True), key=lambda named: named[0])]
