r"""Tokens into a tree, by precedence climbing. Bounded in depth and size; nothing is computed here.

From loose to tight: list (`,` and `or`), relation, union, sum, product (written or by juxtaposition), power, postfix.
An ambiguous text is refused, not guessed at: `11 6/6` (a mixed number needs a proper fraction), two numbers side by
side, an unbalanced bracket.
"""

import re
from itertools import takewhile

from verifiers.math.limits import MAX_DEPTH, MAX_LIST_ITEMS, MAX_NODES, TooMuch
from verifiers.math.text.tokenizer import tokenize
from verifiers.math.text.tokens import END, Token, Unreadable
from verifiers.math.tree.arithmetic import FUNCTION_LETTERS, power, total
from verifiers.math.tree.brackets import REALS, bars, bracketed
from verifiers.math.tree.commands import command, environment, function
from verifiers.math.tree.nodes import Node, number, symbol
from verifiers.math.tree.quantities import literal
from verifiers.math.tree.shapes import about_one_name, are_intervals, is_named_function, variables

NAMES = frozenset({"sym", "num", "rel", "text", "chain", "cap", "union"})  # f(x), f(2), P(X = 2), P(red), P(A \cup B)
EQUATED = frozenset("pqABCDEHMNRSTVW") | {r"\phi", r"\varphi", r"\sigma", r"\tau", r"\mu"}  # in p(-1) = 5, not in p(-1)
SET_OPERATORS = {"cup": "union", "cap": "cap", "setminus": "minus"}
CLOCK = re.compile(r"0\d")  # the minutes of 2:05


def parse(text: str) -> Node:
    """The tree of an answer. Raises `Unreadable` or `TooMuch`, each with the reason."""
    parser = Parser(tokenize(text))
    node = parser.items(closing=None)
    if parser.peek() is not END:
        raise Unreadable(f"unexpected {parser.peek().value!r}")
    return node


class Parser:
    """A position in a list of tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.nodes = 0
        self.inside_bars = 0
        self.in_set = False

    def peek(self, ahead: int = 0) -> Token:
        position = self.position + ahead
        return self.tokens[position] if position < len(self.tokens) else END

    def advance(self) -> Token:
        token = self.peek()
        self.position += 1
        return token

    def accept(self, kind: str, value: str) -> bool:
        token = self.peek()
        if token.kind == kind and token.value == value:
            self.position += 1
            return True
        return False

    def make(self, head: str, *args: object) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise TooMuch(f"more than {MAX_NODES} parts")
        return Node(head, args)

    def descend(self) -> None:
        """Count one level of nesting; the caller takes it off again. Raises `TooMuch`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooMuch(f"nested deeper than {MAX_DEPTH}")

    # Lists

    def items(self, closing: str | None) -> Node:
        """One item, or a bare list of several."""
        items = self.item_list(closing)
        if not items:
            raise Unreadable("an expression is missing")
        return items[0] if len(items) == 1 else self.make("seq", *items)

    def item_list(self, closing: str | None) -> list[Node]:
        self.descend()
        items: list[Node] = []
        joints: set[str] = set()
        while True:
            joint = ""
            while self.peek().kind == "sep":
                joint = self.advance().value
            token = self.peek()
            if token is END or token.kind == "close" or (token.kind == "env" and closing == "env"):
                break
            if items:
                joints.add(joint)
            items.append(self.relation())
            if self.accept("op", "over"):
                items[-1] = self.make("div", items[-1], self.relation())
            elif self.accept("op", "choose"):
                items[-1] = self.make("fn", "binom", items[-1], self.relation())
            if len(items) > MAX_LIST_ITEMS:
                raise TooMuch(f"more than {MAX_LIST_ITEMS} items")
            if self.peek().kind != "sep":
                break
        self.depth -= 1
        if joints in ({"and"}, {"or"}) and about_one_name(items):  # 2 < x and x < 5
            return [self.make("cap" if joints == {"and"} else "union", *items)]
        if joints == {"or"} and are_intervals(items):
            return [self.make("union", *items)]
        return items

    def relation(self) -> Node:
        if self.peek().kind == "rel" and self.peek().value in ("=", "~"):
            self.advance()  # "= 5", as the end of a line of work
        first = self.set_expression()
        if self.peek().kind != "rel":
            return first
        operators: list[str] = []
        sides = [first]
        while self.peek().kind == "rel":
            operators.append(self.advance().value)
            sides.append(self.set_expression())
        if len(operators) == 1:
            return self.make("rel", operators[0], *sides)
        return self.make("chain", " ".join(operators), *sides)

    def set_expression(self) -> Node:
        left = self.ratio()
        if left == REALS and self.accept("op", "except"):
            return self.make("minus", left, self.make("set", *self.item_list(None)))
        while self.peek().kind == "op" and self.peek().value in SET_OPERATORS:
            head = SET_OPERATORS[self.advance().value]
            left = self.make(head, left, self.ratio())
        return left

    def ratio(self) -> Node:
        first = total(self)
        if not (self.peek().kind == "op" and self.peek().value == ":") or (self.in_set and first.head == "sym"):
            return first
        parts, clock = [first], False
        while self.accept("op", ":"):
            clock = CLOCK.fullmatch(self.peek().value) is not None
            parts.append(total(self))
        unit = ""
        if parts[-1].head == "unit":  # 3:45 p.m.
            parts[-1], unit = parts[-1].args
        if clock and len(parts) == 2:
            parts.append(number(0))
        node = self.make("ratio", *parts)
        return self.make("unit", node, unit) if unit else node

    # Primaries

    def primary(self) -> Node:
        token = self.advance()
        kind, value = token.kind, token.value
        if kind == "num":
            return self.count(literal(token))
        if kind == "sym":
            return self.named(value)
        if kind == "fn":
            return function(self, value)
        if kind == "open":
            return (self.composed() if value == "(" else None) or bracketed(self, value)
        if kind == "cmd":
            return command(self, value)
        if kind == "op" and value in ("|", "||"):
            return bars(self, value)
        if kind == "op" and value in ("-", "+"):
            node = power(self)
            return self.make("neg", node) if value == "-" else node
        if kind == "env":
            return environment(self, value)
        if kind == "text":
            words = value
            while self.peek().kind == "text":
                words += " " + self.advance().value
            return self.make("text", words)
        raise Unreadable(f"unexpected {value!r}" if value else "the answer is incomplete")

    def count(self, node: Node) -> Node:
        self.nodes += 1
        return node

    def named(self, name: str) -> Node:
        node = self.make("sym", name)
        letter = name.rstrip("'")
        known = letter in FUNCTION_LETTERS or letter in EQUATED or letter != name
        if known or (len(letter) == 1 and self.is_defined()):
            return self.applied(name) or node  # h(a+b) is a product
        return node

    def is_defined(self) -> bool:
        """Whether `(t) =` follows, so that the name before it is a function of `t`."""
        ahead = 1
        while self.peek(ahead).kind == "sym" and self.peek(ahead + 1).kind == "sep":
            ahead += 2
        opened = self.peek().kind == "open" and self.peek().value == "("
        closed = self.peek(ahead).kind == "sym" and self.peek(ahead + 1).kind == "close"
        return opened and closed and self.peek(ahead + 2).kind == "rel" and self.peek(ahead + 2).value == "="

    def applied(self, name: str) -> Node | None:
        """The function `name` applied to what follows in round brackets, if that can be one."""
        start, tokens = self.position, self.tokens
        if self.accept("open", "("):
            self.tokens = list(tokens)  # the 12 of \frac12 is taken apart, which must be undone with the rest
            arguments = self.arguments()
            closed = self.accept("close", ")")
            named = name.rstrip("'") in FUNCTION_LETTERS or "^" in name or self.peek()[:2] == ("rel", "=")
            if closed and named and arguments and all(map(is_argument, arguments)):
                return self.make("fn", name, *arguments)
        self.position, self.tokens = start, tokens
        return None

    def composed(self) -> Node | None:
        r"""`(f \circ g)(2)` as `f(g(2))`, read from after the first bracket."""
        outer, ring, inner, closing = (self.peek(ahead) for ahead in range(4))
        if (outer.kind, ring[:2], inner.kind, closing[:2]) != ("sym", ("op", "circ"), "sym", ("close", ")")):
            return None
        self.position += 4
        applied = self.applied(inner.value)
        if applied is None:
            self.position -= 4
            return None
        return self.make("fn", outer.value, applied)

    def arguments(self) -> list[Node]:
        """What stands in round brackets after the name of a function; `A | B` is one argument."""
        inside = takewhile(lambda token: token.kind != "close", self.tokens[self.position :])
        conditional = sum(token.value in ("|", "mid") for token in inside) == 1
        outside, self.inside_bars = self.inside_bars, int(conditional)
        arguments = self.item_list("(")
        if conditional and len(arguments) == 1 and self.peek().value in ("|", "mid"):
            self.advance()
            arguments = [self.make("rel", "mid", *arguments, self.items("("))]
        self.inside_bars = outside
        return arguments

    def argument(self) -> Node:
        r"""What a command or an index takes: a braced group, or one token (one digit of a number)."""
        token = self.peek()
        if token.kind == "open" and token.value == "{":
            self.advance()
            return self.closed("{")
        if token.kind == "num" and token.value.isdigit() and len(token.value) > 1:
            self.tokens[self.position] = Token("num", token.value[1:])
            return self.count(number(int(token.value[0])))
        if token.kind == "op" and token.value == "-":
            self.advance()
            return self.make("neg", self.primary())
        return self.primary()

    def closed(self, opening: str) -> Node:
        node = self.items("}" if opening == "{" else opening)
        if self.peek().kind != "close":
            raise Unreadable("a bracket that is never closed")
        if self.advance().value not in (("}",) if opening == "{" else (")", "]")):
            raise Unreadable("brackets that do not match")
        return node


def is_argument(node: Node) -> bool:
    """Whether a node can be a function's argument: a name, a value, another function, the complement of a name."""
    complement = node.head == "pow" and node.args[0].head == "sym" and node.args[1] in (symbol("c"), symbol("C"))
    return node.head in NAMES or complement or is_named_function(node) or not variables(node)


__all__ = ["Unreadable", "parse"]
