r"""Whether two trees are the same answer: first the container, then element by element, last the expressions.

`[1,2)` is not `(1,2)`, a set is not a pair, order counts in tuples, `4210_7` is not `4210_5`. What exact algebra cannot
decide and numbers do not refute is left in `pending` for sympy: the answer is then "equal, if these pairs are".
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise, product

from verifiers.math.algebra import Algebra, Undefined, Unsupported
from verifiers.math.confirm import can_be_confirmed
from verifiers.math.limits import MAX_LIST_ITEMS, TooMuch
from verifiers.math.nodes import CONSTANTS, INFINITY, Node, rebuild, symbol, walk
from verifiers.math.numbers import MIN_ROUNDED_DIGITS, decimal_places, is_rounding_of, significant
from verifiers.math.parse import FUNCTION_LETTERS
from verifiers.math.probe import NoValue, differ, evaluate
from verifiers.math.units import contradict, measures

UNORDERABLE = frozenset({"in", "!=", "===", "->", "subset", "subseteq", "notin"})
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
MINUS_INFINITY = Node("neg", (INFINITY,))
REAL_LINE = ("(", ")", MINUS_INFINITY, INFINITY)
MAX_SIGNS = 4
NAMING = frozenset({"sym", "add", "mul", "neg", "div", "fn"})

INTEGERS = tuple(symbol(name) for name in ("mathbb Z", "mathbb N", r"\Z", r"\N"))

Piece = tuple[str, str, Node, Node]


class Comparison:
    """One comparison. `ordered` makes the order count in bare lists too."""

    def __init__(self, *, ordered: bool = False) -> None:
        self.ordered = ordered
        self.pending: list[tuple[Node, Node]] = []

    def same(self, ours: Node, truth: Node) -> bool:
        """Whether two answers are the same, provided that every pair in `pending` is equal."""
        if ours == truth:
            return True
        ours, truth = concluded(percentage(ours)), concluded(percentage(truth))
        if ours.head == "rel" or truth.head == "rel":
            return self.same_relation(ours, truth)
        if ours.head == "chain" or truth.head == "chain" or is_union(ours) or is_union(truth):
            return self.same_region(ours, truth)
        left, right = listed(ours), listed(truth)
        if left is not None or right is not None:
            return self.same_list(ours, left, truth, right)
        if ours.head == "unit" or truth.head == "unit":
            (ours, our_unit), (truth, true_unit) = split_unit(ours), split_unit(truth)
            return not contradict(our_unit, true_unit) and self.same(ours, truth)
        if "matrix" in (ours.head, truth.head) or has_matrix(ours) or has_matrix(truth):
            return self.same_matrix(matrix_of(ours), matrix_of(truth))
        if ours.head != truth.head and "group" in (ours.head, truth.head) and "sym" in (ours.head, truth.head):
            return self.same_region(ours, truth)
        pair = {ours.head, truth.head}
        if pair == {"group"}:
            brackets = [tuple({"<": "(", ">": ")"}.get(one, one) for one in node.args[:2]) for node in (ours, truth)]
            return brackets[0] == brackets[1] and self.each(ours.args[2:], truth.args[2:])
        if "ratio" in pair:
            return self.same_ratio(ours, truth)
        if pair & {"group", "set", "based", "text", "mod"}:
            return self.same_plain(ours, truth)
        return self.same_expression(ours, truth)

    def each(self, ours: Sequence[Node], truth: Sequence[Node]) -> bool:
        return len(ours) == len(truth) and all(self.same(a, b) for a, b in zip(ours, truth, strict=True))

    def same_plain(self, ours: Node, truth: Node) -> bool:
        if ours.head != truth.head:
            return False
        if ours.head == "based":
            return ours.args[0].lstrip("0") == truth.args[0].lstrip("0") and ours.args[1] == truth.args[1]
        if ours.head == "mod":
            return self.each(ours.args, truth.args)
        if ours.head == "text":
            return plain_words(ours.args[0]) == plain_words(truth.args[0])
        return False

    # Lists and sets

    def same_list(self, ours: Node, left: list[Node] | None, truth: Node, right: list[Node] | None) -> bool:
        if left is None or right is None:
            items, other = (left, truth) if left is not None else (right, ours)
            assert items is not None
            if len(items) == 1:
                return self.same(items[0], other)
            if (ours if left is not None else truth).head == "seq" and other.head not in ("group", "text"):
                # "7/2 or 3.5" is one value, said twice.
                return all(self.same(item, other) for item in items)
            container = ours if left is not None else truth
            if other.head == "group" and container.head == "seq":
                # A bare list against a tuple: the order counts. Two items in square brackets are an interval.
                if other.args[:2] not in (("(", ")"), ("<", ">")) and not (
                    other.args[:2] == ("[", "]") and len(items) > 2
                ):
                    return False
                values = [unlabelled(item) for item in items]
                return self.each(values, other.args[2:]) if left is not None else self.each(other.args[2:], values)
            return False
        if all(is_inequality(item) for item in left) and left and right and all(is_inequality(item) for item in right):
            return self.matched(left, right)
        left, right = grouped_by_label(left), grouped_by_label(right)
        left, right = self.labels_settled(left, right)
        if self.ordered and ours.head == truth.head == "seq":
            return self.each(left, right)
        points = all(item.head == "group" for item in (*left, *right))  # a point named twice is one point
        if "set" in (ours.head, truth.head) or points:
            left, right = self.distinct(left), self.distinct(right)
        return self.matched(left, right)

    def labels_settled(self, left: list[Node], right: list[Node]) -> tuple[list[Node], list[Node]]:
        """`x=1, y=2`: matched by label against labels; without their labels against bare values."""
        ours, theirs = [label_of(item) for item in left], [label_of(item) for item in right]
        if all(ours) and all(theirs) and len(set(ours)) > 1:
            return left, right
        return [unlabelled(item) for item in left], [unlabelled(item) for item in right]

    def distinct(self, items: list[Node]) -> list[Node]:
        kept: list[Node] = []
        for item in items:
            if not any(self.surely_same(item, other) for other in kept):
                kept.append(item)
        return kept

    def surely_same(self, left: Node, right: Node) -> bool:
        before = len(self.pending)
        answer = self.same(left, right) and len(self.pending) == before
        del self.pending[before:]
        return answer

    def matched(self, ours: Sequence[Node], truth: Sequence[Node]) -> bool:
        """Whether the items match one to one in some order. Equality being transitive, the first match will do."""
        if len(ours) != len(truth) or len(ours) > MAX_LIST_ITEMS:
            return False
        left_over = list(truth)
        for item in ours:
            for index, other in enumerate(left_over):
                before = len(self.pending)
                if self.same(item, other):
                    del left_over[index]
                    break
                del self.pending[before:]
            else:
                return False
        return True

    # Relations and regions

    def same_relation(self, ours: Node, truth: Node) -> bool:
        if ours.head == truth.head == "rel":
            if ours.args[0] == truth.args[0] == "=":
                label = label_of(ours)
                if label and label == label_of(truth) and self.same(ours.args[2], truth.args[2]):
                    return True
                return self.same_equation(ours, truth)
            if ours.args[0] == truth.args[0] and ours.args[0] in (
                "in",
                "!=",
                "===",
                "->",
                "subset",
                "subseteq",
                "notin",
            ):
                return self.each(ours.args[1:], truth.args[1:])
        for relation, other, swapped in ((ours, truth, False), (truth, ours, True)):
            if relation.head != "rel" or other.head == "rel":
                continue
            if relation.args[0] == "=":
                value = relation.args[2] if label_of(relation, loosely=True) else None
                if value is None and not variables(relation) and self.surely_same(relation.args[1], relation.args[2]):
                    value = relation.args[2]
                if value is None:
                    return False
                return self.same(other, value) if swapped else self.same(value, other)
            if relation.args[0] == "in" and relation.args[1].head in ("sym", "group"):
                return self.same(other, relation.args[2]) if swapped else self.same(relation.args[2], other)
        if ours.head == truth.head == "rel" and region(ours) is None and region(truth) is None:
            return self.same_inequality(ours, truth)
        return self.same_region(ours, truth)

    def same_equation(self, ours: Node, truth: Node) -> bool:
        """`x - 2y = 1` and `4y - 2x + 2 = 0`: one difference is a constant multiple of the other."""
        factor = self.proportion(ours, truth)
        if factor is not None:
            return factor != 0
        return self.each(ours.args[1:], truth.args[1:])

    def same_inequality(self, ours: Node, truth: Node) -> bool:
        operators = ours.args[0], truth.args[0]
        if not set(operators) <= set(FLIPPED):
            return operators[0] == operators[1] and self.each(ours.args[1:], truth.args[1:])
        factor = self.proportion(ours, truth)
        if factor is None:
            return operators[0] == operators[1] and self.each(ours.args[1:], truth.args[1:])
        if not factor:
            return False
        return operators[0] == (operators[1] if factor > 0 else FLIPPED[operators[1]])

    def proportion(self, ours: Node, truth: Node) -> Fraction | None:
        """The constant by which the differences of two relations differ; 0 if there is none, `None` if unknown."""
        algebra = Algebra()
        try:
            left = algebra.difference(ours.args[1], ours.args[2])
            right = algebra.difference(truth.args[1], truth.args[2])
        except (Unsupported, Undefined, TooMuch):
            return None
        if not left or not right:
            return None  # an identity says nothing that could be compared
        if left.keys() != right.keys():
            return Fraction(0)
        leading = min(left)
        factor = left[leading] / right[leading]
        return factor if all(value == factor * right[monomial] for monomial, value in left.items()) else Fraction(0)

    def same_region(self, ours: Node, truth: Node) -> bool:
        """Intervals, unions of them and inequalities in one variable, as pieces of the real line."""
        left, right = region(ours), region(truth)
        if left is None or right is None:
            if ours.head == truth.head == "chain" and ours.args[0] == truth.args[0]:
                return self.each(ours.args[1:], truth.args[1:])
            if ours.head == truth.head and ours.head in ("union", "cap"):
                return self.matched(list(flattened(ours, ours.head)), list(flattened(truth, ours.head)))
            if ours.head == truth.head == "minus":
                return self.each(ours.args, truth.args)
            return False
        if len(left) != len(right):
            return False
        nodes = [[Node("group", piece) for piece in side] for side in (left, right)]
        return self.matched(nodes[0], nodes[1])

    # Matrices and ratios

    def same_matrix(self, ours: Node | None, truth: Node | None) -> bool:
        if ours is None or truth is None or ours.args[0] != truth.args[0] or len(ours.args) != len(truth.args):
            return False
        return all(self.each(a, b) for a, b in zip(ours.args[1:], truth.args[1:], strict=True))

    def same_ratio(self, ours: Node, truth: Node) -> bool:
        if ours.head == truth.head:
            if len(ours.args) != len(truth.args):
                return False
            if is_time(ours) or is_time(truth):
                return self.each(ours.args, truth.args)
            quotients = [[Node("div", (item, node.args[0])) for item in node.args[1:]] for node in (ours, truth)]
            return self.each(quotients[0], quotients[1])
        ratio, other = (ours, truth) if ours.head == "ratio" else (truth, ours)
        if len(ratio.args) != 2 or is_time(ratio) or other.head in ("group", "text", "based"):
            return False
        quotient = Node("div", ratio.args)
        return self.same(quotient, other) if ratio is ours else self.same(other, quotient)

    # Expressions

    def same_expression(self, ours: Node, truth: Node) -> bool:
        if ours.head == "percent" or truth.head == "percent":
            if ours.head == truth.head:
                return self.same_expression(ours.args[0], truth.args[0])
            percent, plain = (ours, truth) if ours.head == "percent" else (truth, ours)
            return self.equal(percent.args[0], plain) or self.equal(percent, plain)
        if (ours.head == "degree") != (truth.head == "degree"):
            angle, plain = (ours, truth) if ours.head == "degree" else (truth, ours)
            return self.equal(angle.args[0], plain) or self.equal(angle, plain)
        return self.equal(ours, truth)

    def equal(self, ours: Node, truth: Node) -> bool:
        """Whether two expressions are equal: by exact algebra, then by numbers, then left to sympy."""
        algebra = Algebra()
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


def same_key(ours: Node, truth: Node) -> bool:
    algebra = Algebra()
    try:
        return algebra.key(ours) == algebra.key(truth)
    except (Unsupported, TooMuch, Undefined):
        return False


def approximates(decimal: Node, exact: Node) -> bool:
    """Whether a written decimal of many digits is an irrational or endless number, correctly rounded."""
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
        found = evaluate(exact, {})
    except (NoValue, OverflowError, ZeroDivisionError, ValueError):
        return False
    return abs(found.imag) < 1e-12 and abs(found.real - float(value)) <= 0.51 * 10**-places + 2e-15 * abs(found.real)


# Shapes


def concluded(node: Node) -> Node:
    """What a chain of equations or an approximation says in the end."""
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
        if len(sides) == 2:
            node = Node("rel", (operators[0], *sides))
        elif is_label(sides[0]):
            return Node("rel", ("=", sides[0], sides[-1]))
        else:
            return Node("rel", ("=", sides[-2], sides[-1]))
    if node.head == "rel" and node.args[0] == "~":
        return node.args[2] if is_label(node.args[1]) else node.args[1]
    if node.head == "rel" and node.args[0] == "=" and is_label(node.args[2]) and not is_label(node.args[1]):
        return Node("rel", ("=", node.args[2], node.args[1]))
    return node


def is_label(node: Node) -> bool:
    """Whether a left side only names what the right side is worth: `x`, `f(x)`, `(x, y)`, `\\angle ABC`, words."""
    if node.head == "sym":
        return node.args[0] not in CONSTANTS
    if node.head == "text":
        return True
    if node.head == "fn":
        named = node.args[0] == "abs" or node.args[0].rstrip("'") in FUNCTION_LETTERS
        return named and all(one.head in ("sym", "num", "mul", "rel", "text") for one in node.args[1:])
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
    """The label of `label = value`; `loosely` also a sum or product of names, as in `x + y = 7`."""
    if node.head != "rel" or node.args[0] != "=":
        return None
    left: Node = node.args[1]
    if is_label(left):
        return left
    nameable = all(one.head in NAMING for one in walk(left))
    if loosely and nameable and variables(left) and (not variables(node.args[2]) or is_derivative(left)):
        return left
    return None


def is_derivative(node: Node) -> bool:
    """`dy/dx`, read as a quotient of products."""
    return node.head == "div" and all(
        part.head == "mul" and part.args[0] == symbol("d") and part.args[1].head == "sym" for part in node.args
    )


def unlabelled(node: Node) -> Node:
    return node.args[2] if label_of(concluded(node)) else node


def variables(node: Node) -> bool:
    return any(one.head == "sym" and one.args[0] not in CONSTANTS for one in walk(node))


def grouped_by_label(items: list[Node]) -> list[Node]:
    """`p=5, q=2; p=7, q=2` as `(5,2), (7,2)`: labels that come round again make tuples."""
    labels = [label_of(item) for item in items]
    size = labels.index(labels[0], 1) if labels and labels[0] is not None and labels[0] in labels[1:] else 0
    if size < 2 or len(items) % size or labels != labels[:size] * (len(items) // size):
        return items
    values = [item.args[2] for item in items]
    return [Node("group", ("(", ")", *values[at : at + size])) for at in range(0, len(values), size)]


def is_inequality(node: Node) -> bool:
    return (node.head == "rel" and node.args[0] in FLIPPED) or node.head == "chain"


def is_union(node: Node) -> bool:
    return node.head in ("union", "cap", "minus") or (node.head == "sym" and node.args[0] in ("mathbb R", r"\R"))


def flattened(node: Node, head: str) -> Iterator[Node]:
    if node.head == head:
        for part in node.args:
            yield from flattened(part, head)
    else:
        yield node


def is_time(node: Node) -> bool:
    """`10:30` is a time of day, and is not the ratio 1:3."""
    return len(node.args) == 2 and all(one.head == "num" for one in node.args) and (
        node.args[1].args[0] == 0 or (node.args[1].args[0] >= 10 and 0 < node.args[0].args[0] <= 24)
    )  # fmt: skip


def percentage(node: Node) -> Node:
    """`28 percent` is `28%`."""
    return Node("percent", node.args[:1]) if node.head == "unit" and measures(node.args[1]) == ["%"] else node


def split_unit(node: Node) -> tuple[Node, str]:
    if node.head == "unit":
        return node.args[0], node.args[1]
    if node.head == "degree":
        return node.args[0], "degree"
    return node, ""


def plain_words(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def listed(node: Node) -> list[Node] | None:
    r"""The items of a bare list or a set, with `a \pm b` as two items; `None` for anything else."""
    if node.head in ("seq", "set"):
        items = [item for item in node.args if not is_quantifier(item)] or list(node.args)
        return [variant for item in items for variant in signed_variants(item)]
    variants = signed_variants(node)
    return variants if len(variants) > 1 else None


def is_quantifier(node: Node) -> bool:
    r"""`k \in \mathbb{Z}` behind a solution only says what `k` is."""
    return node.head == "rel" and node.args[0] == "in" and node.args[2] in INTEGERS


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


def region(node: Node) -> list[Piece] | None:
    """The pieces of the real line that an interval, a union or an inequality in one variable means."""
    if node.head == "group" and len(node.args) == 4 and set(node.args[:2]) <= {"(", ")", "[", "]"}:
        return [node.args]
    if node.head == "union":
        pieces: list[Piece] = []
        for part in node.args:
            found = region(part)
            if found is None:
                return None
            pieces += found
        return pieces
    if node.head == "sym" and node.args[0] in ("mathbb R", r"\R"):
        return [REAL_LINE]
    if node.head == "minus" and node.args[1].head == "set":
        return punctured(region(node.args[0]), node.args[1].args)
    if node.head == "seq":
        return region(Node("union", node.args)) if all(is_inequality(item) for item in node.args) else None
    if node.head == "rel":
        operator, left, right = node.args
        if operator == "in":
            return region(right)
        if left.head != "sym" and right.head == "sym" and operator in FLIPPED:
            operator, left, right = FLIPPED[operator], right, left
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


def punctured(pieces: list[Piece] | None, points: tuple[Node, ...]) -> list[Piece] | None:
    """The real line without some rational points."""
    values = [rational(point) for point in points]
    if pieces != [REAL_LINE] or not values or any(value is None for value in values):
        return None
    inner = [Node("num", (value,)) for value in sorted(value for value in values if value is not None)]
    return [("(", ")", low, high) for low, high in pairwise([MINUS_INFINITY, *inner, INFINITY])]


def rational(node: Node) -> Fraction | None:
    try:
        algebra = Algebra()
        return algebra.rational(algebra.quotient(node))
    except (Unsupported, Undefined, TooMuch):
        return None


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


def has_matrix(node: Node) -> bool:
    return node.head in ("neg", "mul", "div", "add") and any(one.head == "matrix" for one in walk(node))


def matrix_of(node: Node) -> Node | None:
    """A matrix, also with a factor or a sign before it."""
    if node.head == "matrix":
        return node
    if node.head == "neg":
        return scaled(matrix_of(node.args[0]), lambda entry: Node("neg", (entry,)))
    if node.head == "mul":
        left, right = node.args
        matrix, factor = (left, right) if left.head == "matrix" else (right, left)
        if not any(one.head == "matrix" for one in walk(factor)):
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


def scaled(matrix: Node | None, change: Callable[[Node], Node]) -> Node | None:
    return None if matrix is None else rebuild(matrix, change)
