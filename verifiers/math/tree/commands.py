r"""The part of the grammar for names that say how to read what follows: functions, LaTeX commands, environments.

`\sin^2 2x`, `\frac12`, `\sum_{k=1}^n`, `\begin{pmatrix}`. `parse` calls this module at such a name.
"""

from verifiers.math.text.tokens import END, Token, Unreadable
from verifiers.math.tree.arithmetic import power, product
from verifiers.math.tree.nodes import Node, number, symbol
from verifiers.math.tree.token_parser import TokenParser

SYMBOL_FUNCTIONS = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "lg": "log"}
SEVERAL_ARGUMENTS = frozenset({"max", "min", "gcd", "lcm"})


def function(parser: TokenParser, name: str) -> Node:
    name = SYMBOL_FUNCTIONS.get(name, name)
    if name in ("sqrt", "cbrt"):
        index = number(2 if name == "sqrt" else 3)
        token = parser.peek()
        if token.kind == "open" and token.value == "[":
            parser.advance()
            index = parser.closed("[")
        token = parser.peek()
        if token.kind == "num" or token.kind in ("sym", "fn", "cmd"):
            return parser.make("root", parser.primary(), index)
        return parser.make("root", parser.argument(), index)
    base: Node | None = None
    exponent: Node | None = None
    inverse = False
    while parser.peek().kind == "op" and parser.peek().value in ("_", "^"):
        if parser.advance().value == "_":
            base = parser.argument()  # \log_28 has base 2, as TeX reads it
        elif exponent is not None or inverse:
            raise Unreadable("an exponent of an exponent")
        else:
            exponent = parser.argument()
            if exponent == Node("neg", (number(1),)):
                inverse, exponent = True, None
    if inverse:
        name = "arc" + name
    arguments = function_arguments(parser)
    if len(arguments) != 1 and name not in SEVERAL_ARGUMENTS:
        raise Unreadable(f"{name} takes one argument: got {len(arguments)}")
    if name == "cis" and len(arguments) == 1:
        sine = parser.make("mul", symbol("i"), parser.make("fn", "sin", arguments[0]))
        node = parser.make("add", parser.make("fn", "cos", arguments[0]), sine)
    elif name == "exp" and len(arguments) == 1:
        node = parser.make("pow", symbol("e"), arguments[0])
    elif name == "ln":
        node = parser.make("fn", "log", arguments[0], symbol("e"))
    elif name == "log":
        node = parser.make("fn", "log", arguments[0], base if base is not None else number(10))
    else:
        node = parser.make("fn", name, *arguments)
    return node if exponent is None else parser.make("pow", node, exponent)


def function_arguments(parser: TokenParser) -> list[Node]:
    """`\\sin(x)`, `\\sin{x}`, `\\sin 2x`: a bracket, or the product that follows, up to the next function."""
    token = parser.peek()
    if token.kind == "open" and token.value in ("(", "[", "{"):
        parser.advance()
        arguments = parser.item_list(token.value)
        if parser.advance().kind != "close" or not arguments:
            raise Unreadable("a bracket that is never closed")
        if parser.peek() in (Token("op", "^"), Token("op", "^", True)) and token.value == "{":
            parser.advance()
            arguments[-1] = parser.make("pow", arguments[-1], parser.argument())
        return arguments
    negative = parser.accept("op", "-")
    node = power(parser)
    while (token := parser.peek()).kind in ("num", "sym") or (token.kind == "cmd" and token.value == "frac"):
        if token.kind == "num":
            raise Unreadable("a number after an argument")
        if token.value == "e" and parser.peek(1).value == "^":
            break  # \\sin x e^x is a product
        node = parser.make("mul", node, power(parser))
    while parser.peek() in (Token("op", "/"), Token("op", "/", True)) and node.head in ("sym", "mul", "num"):
        parser.advance()
        node = parser.make("div", node, power(parser))
    return [parser.make("neg", node) if negative else node]


def command(parser: TokenParser, name: str) -> Node:
    if name == "frac":
        top = parser.argument()
        return parser.make("div", top, parser.argument())
    if name == "binom":
        top = parser.argument()
        return parser.make("fn", "binom", top, parser.argument())
    if name == "emptyset":
        return parser.make("set")
    # Integrals and limits are kept as they are written; short sums and products are computed in `series`.
    lower = upper = symbol("")
    while parser.peek().kind == "op" and parser.peek().value in ("_", "^"):
        if parser.advance().value == "_":
            lower = parser.argument()
        else:
            upper = parser.argument()
    return parser.make("big", name, lower, upper, product(parser))


def environment(parser: TokenParser, value: str) -> Node:
    action, _, name = value.partition(" ")
    if action != "begin" or not (name.rstrip("*").endswith("matrix") or name in ("array", "cases", "aligned")):
        raise Unreadable(f"the environment {name!r} is not known"[:60])
    if name == "array" and parser.peek().kind == "open" and parser.peek().value == "{":
        while parser.advance().kind not in ("close", "end"):
            pass
    rows: list[tuple[Node, ...]] = []
    row: list[Node] = []
    while True:
        token = parser.peek()
        if token is END:
            raise Unreadable("a matrix that is never closed")
        if token.kind == "env":
            parser.advance()
            break
        if token.kind == "op" and token.value == "&":
            parser.advance()
        elif token.kind == "op" and token.value == r"\\":
            parser.advance()
            if row:
                rows.append(tuple(row))
            row = []
        else:
            row.append(parser.relation())
            if parser.peek().kind == "sep":
                parser.advance()
    if row:
        rows.append(tuple(row))
    if token.value != f"end {name}" or not rows or len({len(one) for one in rows}) != 1:
        raise Unreadable("a matrix whose rows do not match")
    if name in ("cases", "aligned") and len(rows[0]) == 1:  # a system of equations is a list
        return parser.make("seq", *(row[0] for row in rows)) if len(rows) > 1 else rows[0][0]
    kind = {"vmatrix": "|", "cases": "{", "aligned": "{"}.get(name, "(")
    return parser.make("matrix", kind, *rows)
