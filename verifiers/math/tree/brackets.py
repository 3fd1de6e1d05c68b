r"""The part of the grammar for brackets: groups, intervals, sets, absolute values.

`(1, 2]`, `\{x \mid x > 3\}`, `|x - 1|`, `\lfloor x \rfloor`. `parse` calls this module at an opening bracket.
"""

from verifiers.math.text.tokens import Unreadable
from verifiers.math.tree.nodes import Node, symbol
from verifiers.math.tree.token_parser import TokenParser

REALS = symbol("mathbb R")


def bracketed(parser: TokenParser, opening: str) -> Node:
    outside = parser.inside_bars, parser.in_set
    parser.inside_bars, parser.in_set = 0, opening == "set"
    items = parser.item_list(opening)
    parser.inside_bars, parser.in_set = outside
    token = parser.advance()
    closing = token.value
    if token.kind != "close":
        if opening == "set" and token.kind == "op" and closing in ("|", "mid", ":"):
            return condition(parser, items)
        raise Unreadable("a bracket that is never closed")
    if opening == "{":
        if closing != "}" or not items:
            raise Unreadable("brackets that do not match")
        return items[0] if len(items) == 1 else parser.make("seq", *items)
    if opening == "set":
        if closing != "set":
            raise Unreadable("brackets that do not match")
        return parser.make("set", *items)
    if opening in ("floor", "ceil"):
        if closing != opening or len(items) != 1:
            raise Unreadable("brackets that do not match")
        return parser.make("fn", opening, items[0])
    if closing in ("floor", "ceil", "}", "set") or (opening == "<") != (closing == ">"):
        raise Unreadable("brackets that do not match")
    if not items:
        raise Unreadable("empty brackets")
    if len(items) == 1 and opening in "([" and closing == {"(": ")", "[": "]"}[opening]:
        return items[0]
    return parser.make("group", opening, closing, *items)


def condition(parser: TokenParser, variable: list[Node]) -> Node:
    """The condition of a set like `{x | x > 3}`, which stands for the set."""
    conditions = parser.item_list("set")
    if len(variable) != 1 or len(conditions) != 1 or not parser.accept("close", "set"):
        raise Unreadable("a set given by several conditions")
    among = variable[0].args[2] if variable[0].head == "rel" and variable[0].args[0] == "in" else REALS
    if among != REALS or conditions[0].head not in ("rel", "chain", "seq", "union", "cap"):
        raise Unreadable("a set that is no region of the real line")
    return conditions[0]


def bars(parser: TokenParser, kind: str) -> Node:
    parser.inside_bars += 1
    node = parser.set_expression()
    parser.inside_bars -= 1
    if not parser.accept("op", kind):
        raise Unreadable("a bar that is never closed")
    return parser.make("fn", "abs" if kind == "|" else "norm", node)
