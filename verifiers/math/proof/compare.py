r"""Are two trees the same answer? First the container is compared, then the elements, last the expressions.

`[1,2)` is not `(1,2)`, a set is not a pair, order counts in tuples, `4210_7` is not `4210_5`. Pairs that
exact algebra cannot decide and numbers do not refute are left in `pending` for sympy: the answers are the same if every
one of them is equal.
"""

from collections.abc import Sequence

from verifiers.math.limits import MAX_LIST_ITEMS
from verifiers.math.proof.equality import Equality
from verifiers.math.proof.labels import (
    by_name,
    conclusion_of,
    grouped_by_label,
    is_numbering,
    label_of,
    name_one_thing,
    unlabelled,
)
from verifiers.math.proof.regions import FLIPPED, is_conditions, is_inequality, is_union, region
from verifiers.math.text.units import contradict, conversion
from verifiers.math.tree.nodes import Node, number, symbol
from verifiers.math.tree.shapes import (
    choices_counted,
    flattened,
    has_matrix,
    is_constant,
    is_time,
    listed,
    matrix_of,
    names_in,
    percentage,
    plain_words,
    split_letter,
    split_unit,
    variables,
    with_parameter_of,
)

UNORDERED = frozenset({"in", "!=", "===", "->", "subset", "subseteq", "notin"})


class Comparison:
    """One comparison. `ordered` makes the order count in bare lists too."""

    def __init__(self, *, ordered: bool = False) -> None:
        self.ordered = ordered
        self.equality = Equality()

    def same(self, ours: Node, truth: Node) -> bool:
        """Whether two answers are the same, provided that every pair in `pending` is equal."""
        if ours == truth:
            return True
        if is_constant(truth) or is_constant(ours):
            ours, truth = choices_counted(ours), choices_counted(truth)
        ours = with_parameter_of(ours, truth)
        truth = with_parameter_of(truth, ours)
        ours, truth = conclusion_of(percentage(ours)), conclusion_of(percentage(truth))
        if ours.head == "rel" or truth.head == "rel":
            return self.same_relation(ours, truth)
        if ours.head == "chain" or truth.head == "chain" or is_union(ours) or is_union(truth):
            return self.same_region(ours, truth)
        if is_conditions(ours) != is_conditions(truth):
            return self.same_region(ours, truth)
        left, right = listed(ours), listed(truth)
        if left is not None or right is not None:
            return self.same_list(ours, left, truth, right)
        if ours.head == "unit" or truth.head == "unit":
            return self.same_quantity(ours, truth)
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
            residue, other = (ours, truth) if ours.head == "mod" else (truth, ours)
            return residue.head == "mod" and is_reduced(residue) and residue.args[0] == other
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
                # "7/2 or 3.5" is one value, written twice; "5, 5" is a list of two.
                all_distinct = all(item not in items[:index] for index, item in enumerate(items))
                return all_distinct and all(self.same(item, other) for item in items)
            container = ours if left is not None else truth
            if other.head == "group" and container.head == "seq":
                # A bare list against a tuple: the order counts. Two items in square brackets are an interval.
                if other.args[:2] not in (("(", ")"), ("<", ">")) and not (
                    other.args[:2] == ("[", "]") and len(items) > 2
                ):
                    return False
                values = [unlabelled(item) for item in by_name(items)]
                return self.each(values, other.args[2:]) if left is not None else self.each(other.args[2:], values)
            return False
        if all(is_inequality(item) for item in left) and left and right and all(is_inequality(item) for item in right):
            return self.matched(left, right)
        left, right = grouped_by_label(left), grouped_by_label(right)
        left, right = self.labels_settled(left, right)
        if self.ordered and {ours.head, truth.head} <= {"seq", "text"}:
            return self.each(left, right)
        points = all(item.head == "group" for item in (*left, *right))  # a point named twice is one point
        if "set" in (ours.head, truth.head) or points:
            left, right = self.distinct(left), self.distinct(right)
        return self.matched(left, right)

    def labels_settled(self, left: list[Node], right: list[Node]) -> tuple[list[Node], list[Node]]:
        """`x=1, y=2` keeps its labels beside other labels, and loses them beside bare values."""
        ours, theirs = [label_of(item) for item in left], [label_of(item) for item in right]
        if all(ours) and all(theirs) and len(set(ours)) > 1 and not is_numbering(ours, theirs):
            return left, right
        return [unlabelled(item) for item in left], [unlabelled(item) for item in right]

    def distinct(self, items: list[Node]) -> list[Node]:
        kept: list[Node] = []
        for item in items:
            if not any(self.surely_same(item, other) for other in kept):
                kept.append(item)
        return kept

    def surely_same(self, left: Node, right: Node) -> bool:
        before = len(self.equality.pending)
        answer = self.same(left, right) and len(self.equality.pending) == before
        del self.equality.pending[before:]
        return answer

    def matched(self, ours: Sequence[Node], truth: Sequence[Node]) -> bool:
        """Whether the items match one to one in some order. Equality is transitive, so the first match will do."""
        if len(ours) != len(truth) or len(ours) > MAX_LIST_ITEMS:
            return False
        left_over = list(truth)
        for item in ours:
            for index, other in enumerate(left_over):
                before = len(self.equality.pending)
                if self.same(item, other):
                    del left_over[index]
                    break
                del self.equality.pending[before:]
            else:
                return False
        return True

    # Relations and regions

    def same_relation(self, ours: Node, truth: Node) -> bool:
        if ours.head == truth.head == "rel":
            if ours.args[0] == truth.args[0] == "=":
                label = label_of(ours)
                if label and name_one_thing(label, label_of(truth)) and self.same(ours.args[2], truth.args[2]):
                    return True
                return self.same_equation(ours, truth)
            if ours.args[0] == truth.args[0] and ours.args[0] in UNORDERED:
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
            if relation.args[0] == "===" and relation.args[1].head == "sym" and relation.args[2].head == "mod":
                return self.same(other, relation.args[2]) if swapped else self.same(relation.args[2], other)
            if relation.args[0] == "in" and relation.args[1].head in ("sym", "group"):
                return self.same(other, relation.args[2]) if swapped else self.same(relation.args[2], other)
        if ours.head == truth.head == "rel" and region(ours) is None and region(truth) is None:
            return self.same_inequality(ours, truth)
        return self.same_region(ours, truth)

    def same_equation(self, ours: Node, truth: Node) -> bool:
        """`x - 2y = 1` and `4y - 2x + 2 = 0`: the difference of one's sides is a constant multiple of the other's."""
        factor = self.equality.proportion(ours, truth)
        if factor is not None:
            return factor != 0
        return self.each(ours.args[1:], truth.args[1:])

    def same_inequality(self, ours: Node, truth: Node) -> bool:
        operators = ours.args[0], truth.args[0]
        if not set(operators) <= set(FLIPPED):
            return operators[0] == operators[1] and self.each(ours.args[1:], truth.args[1:])
        factor = self.equality.proportion(ours, truth)
        if factor is None:
            return operators[0] == operators[1] and self.each(ours.args[1:], truth.args[1:])
        if not factor:
            return False
        return operators[0] == (operators[1] if factor > 0 else FLIPPED[operators[1]])

    def same_region(self, ours: Node, truth: Node) -> bool:
        """Intervals, unions of them and inequalities in one variable, as pieces of the real line."""
        if is_inequality(ours) and is_inequality(truth) and names_in(ours) != names_in(truth):
            return False
        if {ours.head, truth.head} == {"cap", "seq"}:  # "x > 2, x < 5": a comma can mean "and"
            return self.matched(list(flattened(ours, "cap")) if ours.head == "cap" else ours.args,
                                list(flattened(truth, "cap")) if truth.head == "cap" else truth.args)  # fmt: skip
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

    # Quantities, matrices and ratios

    def same_quantity(self, ours: Node, truth: Node) -> bool:
        """Values with units: the units are the same, or convert exactly, or only one value has one."""
        (ours, our_unit), (truth, true_unit) = split_unit(ours), split_unit(truth)
        if (not our_unit or not true_unit) and len(our_unit + true_unit) == 1:  # 5\\text{m} as 5m, if not as 5
            product = Node("mul", (ours if our_unit else truth, symbol(our_unit + true_unit)))
            if self.surely_same(product, truth) if our_unit else self.surely_same(ours, product):
                return True
        if not our_unit:
            ours, our_unit = split_letter(ours, true_unit)
        elif not true_unit:
            truth, true_unit = split_letter(truth, our_unit)
        if not contradict(our_unit, true_unit):
            return self.same(ours, truth)
        factor = conversion(our_unit, true_unit)
        return factor is not None and self.same(Node("mul", (number(factor), ours)), truth)

    def same_matrix(self, ours: Node | None, truth: Node | None) -> bool:
        if ours is None or truth is None or ours.args[0] != truth.args[0] or len(ours.args) != len(truth.args):
            return False
        return all(self.each(a, b) for a, b in zip(ours.args[1:], truth.args[1:], strict=True))

    def same_ratio(self, ours: Node, truth: Node) -> bool:
        if ours.head == truth.head:
            if len(ours.args) != len(truth.args):
                return False
            if is_time(truth):
                return self.each(ours.args, truth.args)
            quotients = [[Node("div", (item, node.args[0])) for item in node.args[1:]] for node in (ours, truth)]
            return self.each(quotients[0], quotients[1])
        ratio, other = (ours, truth) if ours.head == "ratio" else (truth, ours)
        if len(ratio.args) != 2 or is_time(ratio) or other.head in ("group", "text", "based"):
            return False
        if other.head == "num" and other.args[0].denominator == 1:
            return False  # 12:1 is not 12
        quotient = Node("div", ratio.args)
        return self.same(quotient, other) if ratio is ours else self.same(other, quotient)

    # Expressions

    def same_expression(self, ours: Node, truth: Node) -> bool:
        if ours.head == "percent" or truth.head == "percent":
            if ours.head == truth.head:
                return self.same_expression(ours.args[0], truth.args[0])
            percent, plain = (ours, truth) if ours.head == "percent" else (truth, ours)
            return self.equality.equal(percent.args[0], plain) or self.equality.equal(percent, plain)
        if (ours.head == "degree") != (truth.head == "degree"):
            angle, plain = (ours, truth) if ours.head == "degree" else (truth, ours)
            return self.equality.equal(angle.args[0], plain) or self.equality.equal(angle, plain)
        return self.equality.equal(ours, truth)


def is_reduced(residue: Node) -> bool:
    """Whether `3 mod 7` names the number 3: the answer to "what is the remainder"."""
    value, modulus = residue.args
    return value.head == modulus.head == "num" and 0 <= value.args[0] < modulus.args[0]
