"""The last resort, sympy: are two expressions that agree numerically equal?

This runs in a worker process only (`verifiers.pool`), which has a memory limit and is killed at its deadline. sympy's
expressions are built from our own nodes; sympy never sees text. Variables are positive, as in `algebra`.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from verifiers.math.limits import MAX_EXPONENT
from verifiers.math.text.vocabulary import words
from verifiers.math.tree.nodes import Node, walk

MAX_CONFIRMED_NODES = 160
CONFIRMABLE = words("num sym add mul neg div pow root fn percent degree")
DIGITS = 400  # to which two constants are compared
PLAIN_FUNCTIONS = words("sin cos tan cot sec csc arcsin arccos arctan log abs")
KNOWN_FUNCTIONS = words("sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log abs floor ceil max min")


def can_be_confirmed(*nodes: Node) -> bool:
    """Whether sympy might tell in bounded work: known heads, a bounded size, no huge power or number."""
    count = 0
    for root in nodes:
        for node in walk(root):
            count += 1
            if count > MAX_CONFIRMED_NODES or node.head not in CONFIRMABLE:
                return False
            if node.head == "fn" and node.args[0] not in KNOWN_FUNCTIONS:
                return False
            if node.head == "num" and max(abs(node.args[0].numerator), node.args[0].denominator) > 10**60:
                return False
            if node.head == "pow" and any(
                part.head == "num" and abs(part.args[0]) > MAX_EXPONENT for part in walk(node.args[1])
            ):
                return False
    return True


def confirm(pairs: list[tuple[Node, Node]]) -> bool:
    """Whether sympy proves every pair equal. "Unknown" is no."""
    return all(_proved(left, right) for left, right in pairs)


def rehearse() -> None:
    """Prove something of each kind, so that sympy loads its lazy modules before a deadline runs."""
    two, x = Node("num", (Fraction(2),)), Node("sym", ("x",))
    root = Node("root", (Node("num", (Fraction(3),)), two))
    nested = Node("root", (Node("add", (two, two, Node("mul", (two, root)))), two))
    sine, cosine = Node("fn", ("sin", x)), Node("fn", ("cos", x))
    confirm([(nested, Node("add", (root, Node("div", (two, two)))))])
    confirm([(Node("fn", ("sin", Node("mul", (two, x)))), Node("mul", (two, Node("mul", (sine, cosine)))))])
    confirm([(Node("fn", ("log", Node("mul", (x, x)), Node("sym", ("e",)))), x)])


def _proved(left: Node, right: Node) -> bool:
    import sympy

    difference = to_sympy(left) - to_sympy(right)
    if difference == 0:
        return True
    if not difference.free_symbols:
        # A constant: sympy raises the working precision until a digit of the difference is certain, if there is one.
        if any(has_a_certain_digit(part) for part in difference.evalf(30, maxn=DIGITS).as_real_imag()):
            return False
        if is_plain(left) and is_plain(right):
            return True
        denested = sympy.sqrtdenest(sympy.expand(difference))
        if sympy.expand(denested) == 0:
            return True
    else:
        expanded = sympy.expand(difference)
        if expanded == 0 or sympy.expand_trig(expanded).expand() == 0:
            return True
    if sympy.simplify(difference) == 0:
        return True
    return bool(difference.equals(0))


def has_a_certain_digit(value: Any) -> bool:
    """Whether an evaluated number is certainly not zero: noise has a precision of one bit."""
    import sympy

    return isinstance(value, sympy.Float) and value._prec > 1


def is_plain(node: Node) -> bool:
    """Whether a constant is made of small numbers by a few operations, none of which can yield a tiny number.

    Two such constants that agree to 400 digits are taken as equal without a proof. Exponentials are excluded:
    `42 + e^{-160000}` agrees with 42 as well.
    """
    for one in walk(node):
        if one.head == "num" and max(abs(one.args[0].numerator), one.args[0].denominator) > 10**6:
            return False
        if one.head == "pow" and not (one.args[1].head == "num" and abs(one.args[1].args[0]) <= 12):
            return False
        if one.head == "fn" and one.args[0] not in PLAIN_FUNCTIONS:
            return False
    return sum(1 for _ in walk(node)) <= 60


def to_sympy(node: Node) -> Any:
    """Our tree as a sympy expression."""
    import sympy

    head, args = node
    if head == "num":
        return sympy.Rational(args[0].numerator, args[0].denominator)
    if head == "sym":
        constants = {r"\pi": sympy.pi, "e": sympy.E, "i": sympy.I}
        return constants[args[0]] if args[0] in constants else sympy.Symbol(args[0], positive=True)
    parts = [to_sympy(part) for part in args if isinstance(part, Node)]
    if head == "fn":
        functions: dict[str, Callable[..., Any]] = {
            "arcsin": sympy.asin,
            "arccos": sympy.acos,
            "arctan": sympy.atan,
            "abs": sympy.Abs,
            "ceil": sympy.ceiling,
            "max": sympy.Max,
            "min": sympy.Min,
        }
        name = args[0]
        return functions[name](*parts) if name in functions else getattr(sympy, name)(*parts)
    if head == "root":
        index = parts[1]
        return sympy.real_root(*parts) if parts[0].is_real and index.is_odd else parts[0] ** (1 / index)
    operations: dict[str, Callable[..., Any]] = {
        "add": lambda *terms: sympy.Add(*terms),
        "mul": lambda left, right: left * right,
        "neg": lambda value: -value,
        "div": lambda left, right: left / right,
        "pow": lambda base, exponent: base**exponent,
        "percent": lambda value: value / 100,
        "degree": lambda value: value * sympy.pi / 180,
    }
    return operations[head](*parts)
