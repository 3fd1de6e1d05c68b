"""A tree as LaTeX that parses to the same answer. For tests, audits and reports."""

from fractions import Fraction
from typing import Any

from verifiers.math.text.vocabulary import words
from verifiers.math.tree.nodes import Node

LOOSE, SUM, PRODUCT, POWER, ATOM = range(5)
LEVELS = {"add": SUM, "neg": SUM, "pm": SUM, "mp": SUM, "mul": PRODUCT, "unit": PRODUCT, "percent": POWER,
          "degree": POWER, "pow": POWER, "mod": LOOSE, "seq": LOOSE, "rel": LOOSE, "chain": LOOSE, "union": LOOSE,
          "cap": LOOSE, "minus": LOOSE, "ratio": LOOSE, "big": LOOSE}  # fmt: skip
RELATION_NAMES = {
    "<=": r"\le", ">=": r"\ge", "!=": r"\ne", "in": r"\in", "~": r"\approx", "===": r"\equiv", "->": r"\to",
    "=>": r"\Rightarrow", "notin": r"\notin", "subset": r"\subset", "subseteq": r"\subseteq", "~=": r"\cong",
}  # fmt: skip
COMMANDS = words("sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh max min gcd det")


def render(node: Node, level: int = LOOSE) -> str:
    """The LaTeX of a tree, in brackets if it binds more loosely than `level`."""
    text = _written(node)
    own = LEVELS.get(node.head, ATOM)
    if node.head == "num" and (node.args[0] < 0 or node.args[0].denominator != 1):
        own = SUM if node.args[0] < 0 else ATOM
    if node.head == "fn" and node.args[0] == "factorial":
        own = POWER
    return rf"\left({text}\right)" if own < level else text


def _written(node: Node) -> str:
    head, args = node
    if head == "num":
        return _number(args[0])
    if head == "sym":
        return _symbol(args[0])
    if head == "add":
        terms = [render(args[0], SUM)]
        for term in args[1:]:
            if term.head == "neg":
                terms.append("-" + render(term.args[0], PRODUCT))
            elif term.head in ("pm", "mp"):
                terms.append(f"\\{term.head} " + render(term.args[0], PRODUCT))
            else:
                terms.append("+" + render(term, PRODUCT))
        return " ".join(terms)
    if head == "neg":
        return "-" + render(args[0], PRODUCT)
    if head in ("pm", "mp"):
        return f"\\{head} " + render(args[0], PRODUCT)
    if head == "mul":
        return rf"{render(args[0], PRODUCT)} \cdot {render(args[1], POWER)}"
    if head == "div":
        return rf"\frac{{{render(args[0])}}}{{{render(args[1])}}}"
    if head == "pow":
        return f"{render(args[0], ATOM)}^{{{render(args[1])}}}"
    if head == "root":
        index = "" if args[1] == Node("num", (Fraction(2),)) else f"[{render(args[1])}]"
        return rf"\sqrt{index}{{{render(args[0])}}}"
    if head == "fn":
        return _function(args[0], args[1:])
    if head == "percent":
        return render(args[0], ATOM) + r"\%"
    if head == "degree":
        return render(args[0], ATOM) + r"^\circ"
    if head == "unit":
        return rf"{render(args[0], PRODUCT)} \text{{ {args[1]}}}"
    if head == "based":
        return f"{args[0]}_{{{args[1]}}}"
    if head == "text":
        return rf"\text{{{args[0]}}}"
    if head == "big":
        return rf"\{args[0]}_{{{render(args[1])}}}^{{{render(args[2])}}} {render(args[3], PRODUCT)}"
    if head == "mod":
        return rf"{render(args[0], SUM)} \bmod {render(args[1], ATOM)}"
    return _container(head, args)


def _container(head: str, args: tuple[Any, ...]) -> str:
    if head == "seq":
        return ", ".join(render(item) for item in args)
    if head == "set":
        return r"\{" + ", ".join(render(item) for item in args) + r"\}"
    if head == "group":
        opening, closing = (r"\langle " if args[0] == "<" else args[0]), (r" \rangle" if args[1] == ">" else args[1])
        return opening + ", ".join(render(item) for item in args[2:]) + closing
    if head in ("union", "cap", "minus"):
        sign = {"union": r"\cup", "cap": r"\cap", "minus": r"\setminus"}[head]
        return f"{render(args[0])} {sign} {render(args[1])}"
    if head == "ratio":
        return ":".join(render(item, SUM) for item in args)
    if head == "rel":
        return f"{render(args[1])} {RELATION_NAMES.get(args[0], args[0])} {render(args[2])}"
    if head == "chain":
        sides = [render(side) for side in args[1:]]
        names = [RELATION_NAMES.get(operator, operator) for operator in args[0].split()]
        return sides[0] + "".join(f" {name} {side}" for name, side in zip(names, sides[1:], strict=True))
    if head == "matrix":
        name = "vmatrix" if args[0] == "|" else "pmatrix"
        rows = r" \\ ".join(" & ".join(render(entry) for entry in row) for row in args[1:])
        return rf"\begin{{{name}}} {rows} \end{{{name}}}"
    raise ValueError(f"no LaTeX for {head!r}")


def _number(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _symbol(name: str) -> str:
    accent, _, inside = name.partition(" ")
    if inside:
        return rf"\{accent}{{{inside}}}"
    base, _, index = name.partition("_")
    return f"{base}_{{{index}}}" if index else (name + " " if name.startswith("\\") else name)


def _function(name: str, args: tuple[Node, ...]) -> str:
    inside = ", ".join(render(argument) for argument in args)
    if name == "abs":
        return rf"\left|{inside}\right|"
    if name == "norm":
        return rf"\left\|{inside}\right\|"
    if name in ("floor", "ceil"):
        return rf"\l{name} {inside} \r{name}"
    if name == "factorial":
        return render(args[0], ATOM) + "!"
    if name == "binom":
        return rf"\binom{{{render(args[0])}}}{{{render(args[1])}}}"
    if name == "log":
        return rf"\log_{{{render(args[1])}}}({render(args[0])})"
    return rf"\{name}({inside})" if name in COMMANDS else f"{name}({inside})"
