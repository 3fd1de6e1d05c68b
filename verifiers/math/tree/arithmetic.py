r"""The part of the grammar for sums, products, powers and postfix marks.

Signs, multiplication by juxtaposition and indices are read here; numbers, names and brackets in `parse`.
"""

from verifiers.math.text.tokens import Token, Unreadable
from verifiers.math.tree.nodes import Node, number, symbol
from verifiers.math.tree.quantities import degrees, literal, mixed, ordinal, rate_of, trailing, with_unit
from verifiers.math.tree.token_parser import TokenParser

FUNCTION_LETTERS = frozenset("fghPFGQ")
SPELLED_OUT = frozenset({"pow", "root", "div", "fn"})  # a number may follow: 2^6 3^5, 5!3!, but not 4 2
MEASURES = frozenset({"degree", "percent", "unit"})
MINUS_ONE = Node("neg", (number(1),))


def total(parser: TokenParser) -> Node:
    """A sum, with what applies to the whole sum: `10 + 2\\sqrt{3}` cm, `x + 1 \\pmod 7`."""
    parser.descend()
    terms = [signed_product(parser)]
    while (token := parser.peek()).kind == "op" and token.value in ("+", "-", "pm", "mp"):
        terms.append(signed_product(parser))
    parser.depth -= 1
    node = terms[0]
    if len(terms) > 1:
        unit = terms[-1].args[1] if terms[-1].head == "unit" else ""
        if unit and all(one.head != "unit" for one in terms[:-1]):  # 10 + 2\\sqrt{3} cm: all of it in cm
            terms[-1] = terms[-1].args[0]
            node = parser.make("unit", parser.make("add", *terms), unit)
        else:
            node = parser.make("add", *terms)
    if len(terms) == 2 and terms[1].head == "neg" and terms[1].args[0].head == "set":  # R - {3}
        node = parser.make("minus", terms[0], terms[1].args[0])
    if parser.peek().kind == "op" and parser.peek().value == "mod":
        parser.advance()
        return parser.make("mod", node, parser.primary())
    return node


def signed_product(parser: TokenParser) -> Node:
    signs: list[str] = []
    while (token := parser.peek()).kind == "op" and token.value in ("+", "-", "pm", "mp"):
        signs.append(parser.advance().value)
        if len(signs) > 1:
            raise Unreadable("several signs in a row")
    node = product(parser)
    for sign in signs:
        if sign != "+":
            node = signed(parser, "neg" if sign == "-" else sign, node)
    return node


def signed(parser: TokenParser, sign: str, node: Node) -> Node:
    """A sign belongs to the value, not to the unit: -3 cm is (-3) cm."""
    if node.head in ("unit", "degree"):
        return parser.make(node.head, signed(parser, sign, node.args[0]), *node.args[1:])
    return parser.make(sign, node)


def product(parser: TokenParser) -> Node:
    node = power(parser)
    while True:
        token = parser.peek()
        if token.kind == "op" and token.value in ("*", "/"):
            operator = parser.advance().value
            signs = 0
            while parser.peek() in (Token("op", "-"), Token("op", "-", True)):
                parser.advance()
                signs += 1
            right = power(parser)
            if signs % 2:
                right = parser.make("neg", right)
            node = parser.make("mul" if operator == "*" else "div", node, right)
        elif token.kind == "text":
            node = with_unit(parser, node)
        elif begins_factor(parser, token):
            node = juxtaposed(parser, node)
        else:
            return node


def begins_factor(parser: TokenParser, token: Token) -> bool:
    return (
        token.kind in ("num", "sym", "fn", "cmd", "open")
        or (token.kind == "env" and token.value.startswith("begin"))
        or (token.kind == "op" and token.value in ("|", "||") and not parser.inside_bars and not parser.in_set)
    )


def juxtaposed(parser: TokenParser, left: Node) -> Node:
    """A factor without an operator: a product, or the fraction of a mixed number."""
    token = parser.peek()
    if left.head == "text":
        raise Unreadable("words before a formula")
    before = parser.tokens[parser.position - 1]
    if before.kind == "num" and left.head == "num" and "." not in before.value:
        start = parser.position
        if token == Token("cmd", "frac") or token == Token("cmd", "frac", True):
            right = power(parser)
            measured = right.head in MEASURES  # 38\\frac{4}{7}^\\circ: all of it in degrees
            fraction = right.args[0] if measured else right
            if fraction.head == "div" and all(part.head == "num" for part in fraction.args):
                whole = mixed(parser, left, fraction)
                return parser.make(right.head, whole, *right.args[1:]) if measured else whole
            rate = rate_of(right)
            return parser.make("unit", left, rate) if rate else parser.make("mul", left, right)
        if token.kind == "num" and token.spaced:
            numerator = parser.advance()
            if parser.accept("op", "/") and parser.peek().kind == "num" and "." not in numerator.value:
                return mixed(parser, left, parser.make("div", literal(numerator), literal(parser.advance())))
            parser.position = start
    last = left.args[-1] if left.head == "mul" else left
    if token.kind == "num" and (last.head not in SPELLED_OUT or (before.kind == "num" and not token.spaced)):
        raise Unreadable("two numbers side by side")
    return parser.make("mul", left, power(parser))


def power(parser: TokenParser) -> Node:
    base = postfix(parser)
    if not parser.accept("op", "^"):
        return base
    if parser.accept("op", "circ") or parser.accept("op", "degree"):
        return degrees(parser, base)
    if ordinal(parser):
        return base
    if parser.peek() in (Token("op", "'"), Token("op", "*")):
        return parser.make("fn", parser.advance().value, base)
    if parser.peek().kind == "open" and parser.peek().value == "{":
        start = parser.position
        parser.advance()
        if (parser.accept("op", "circ") or parser.accept("op", "degree")) and parser.accept("close", "}"):
            return degrees(parser, base)
        parser.position = start
    parser.descend()
    negative = parser.accept("op", "-")
    exponent = power(parser)
    if negative:
        exponent = parser.make("neg", exponent)
    parser.depth -= 1
    if exponent == MINUS_ONE and base.head == "sym" and base.args[0] in FUNCTION_LETTERS:
        inverse = parser.applied(base.args[0] + "^{-1}")
        if inverse is not None:
            return inverse
    return trailing(parser, parser.make("pow", base, exponent))


def postfix(parser: TokenParser) -> Node:
    started = parser.position
    node = parser.primary()
    while True:
        token = parser.peek()
        if token.kind != "op":
            return node
        if token.value == "!":
            parser.advance()
            node = parser.make("fn", "factorial", node)
        elif token.value == "%":
            parser.advance()
            if node.head == "percent":
                raise Unreadable("a percentage of percent")
            node = parser.make("percent", node)
        elif token.value in ("degree", "circ"):
            parser.advance()
            node = parser.make("degree", node)
        elif token.value == "'" and node.head == "sym":
            parser.advance()
            node = parser.named(node.args[0] + "'")
        elif token.value == "_":
            parser.advance()
            node = subscripted(parser, node, parser.tokens[started])
        else:
            return node


def subscripted(parser: TokenParser, node: Node, token: Token) -> Node:
    before = parser.position
    index = parser.argument()
    written = parser.tokens[before - 4 : before - 2]  # (12)_5: a bracket, the digits, a bracket
    if token.kind == "open" and len(written) == 2 and written[0] is token:
        token = written[1]
    if node.head == "num" and index.head == "num" and token.kind == "num":
        if index.args[0] == 10:
            return node
        return parser.make("based", token.value, str(index.args[0]))
    if node.head == "sym":
        name = "".join(
            one.value for one in parser.tokens[before : parser.position] if one.kind not in ("open", "close")
        )
        return symbol(f"{node.args[0]}_{name}")
    raise Unreadable("a subscript that is neither a base nor an index")
