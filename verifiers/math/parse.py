r"""Tokens into a tree, by precedence climbing. Bounded in depth and size; nothing is computed here.

From loose to tight: list (`,` and `or`), relation, union, sum, product (written or by juxtaposition), power, postfix.
What is ambiguous is refused instead of guessed: `11 6/6` (a mixed number needs a proper fraction), two numbers side by
side, an unbalanced bracket.
"""

import re

from verifiers.math.brackets import REALS, bars, bracketed
from verifiers.math.commands import command, environment, function
from verifiers.math.limits import MAX_DEPTH, MAX_LIST_ITEMS, MAX_NODES, TooMuch
from verifiers.math.nodes import Node, number, symbol
from verifiers.math.quantities import degrees, literal, mixed, ordinal, rate_of, with_unit
from verifiers.math.shapes import about_one_name, are_intervals
from verifiers.math.tokens import END, Token, Unreadable, tokenize

NAMES = frozenset({"sym", "num", "rel", "text"})  # what f(x), f(2), P(X = 2), P(red) are functions of
FUNCTION_LETTERS = frozenset("fghPFGQ")
SET_OPERATORS = {"cup": "union", "cap": "cap", "setminus": "minus"}
SPELLED_OUT = frozenset({"pow", "root", "div", "fn"})  # a number may follow: 2^6 3^5, 5!3!, but not 4 2
MEASURES = frozenset({"degree", "percent", "unit"})
CLOCK = re.compile(r"0\d")  # the minutes of 2:05
MINUS_ONE = Node("neg", (number(1),))


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

    # Lists

    def items(self, closing: str | None) -> Node:
        """One item, or a bare list of several."""
        found = self.item_list(closing)
        if not found:
            raise Unreadable("nothing where an answer should be")
        return found[0] if len(found) == 1 else self.make("seq", *found)

    def item_list(self, closing: str | None) -> list[Node]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooMuch(f"nested deeper than {MAX_DEPTH}")
        found: list[Node] = []
        joints: set[str] = set()
        while True:
            joint = ""
            while self.peek().kind == "sep":
                joint = self.advance().value
            token = self.peek()
            if token is END or token.kind == "close" or (token.kind == "env" and closing == "env"):
                break
            if found:
                joints.add(joint)
            found.append(self.relation())
            if self.accept("op", "over"):
                found[-1] = self.make("div", found[-1], self.relation())
            elif self.accept("op", "choose"):
                found[-1] = self.make("fn", "binom", found[-1], self.relation())
            if len(found) > MAX_LIST_ITEMS:
                raise TooMuch(f"more than {MAX_LIST_ITEMS} items")
            if self.peek().kind != "sep":
                break
        self.depth -= 1
        if joints in ({"and"}, {"or"}) and about_one_name(found):  # 2 < x and x < 5
            return [self.make("cap" if joints == {"and"} else "union", *found)]
        if joints == {"or"} and are_intervals(found):
            return [self.make("union", *found)]
        return found

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
        first = self.sum()
        if not (self.peek().kind == "op" and self.peek().value == ":") or (self.in_set and first.head == "sym"):
            return first
        found, clock = [first], False
        while self.accept("op", ":"):
            clock = CLOCK.fullmatch(self.peek().value) is not None
            found.append(self.sum())
        unit = ""
        if found[-1].head == "unit":  # 3:45 p.m.
            found[-1], unit = found[-1].args
        if clock and len(found) == 2:
            found.append(number(0))
        node = self.make("ratio", *found)
        return self.make("unit", node, unit) if unit else node

    # Arithmetic

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooMuch(f"nested deeper than {MAX_DEPTH}")
        terms = [self.signed_product()]
        while (token := self.peek()).kind == "op" and token.value in ("+", "-", "pm", "mp"):
            terms.append(self.signed_product())
        self.depth -= 1
        total = terms[0]
        if len(terms) > 1:
            unit = terms[-1].args[1] if terms[-1].head == "unit" else ""
            if unit and all(one.head != "unit" for one in terms[:-1]):  # 10 + 2\\sqrt{3} cm: all of it in cm
                terms[-1] = terms[-1].args[0]
                total = self.make("unit", self.make("add", *terms), unit)
            else:
                total = self.make("add", *terms)
        if len(terms) == 2 and terms[1].head == "neg" and terms[1].args[0].head == "set":  # R - {3}
            total = self.make("minus", terms[0], terms[1].args[0])
        if self.peek().kind == "op" and self.peek().value == "mod":
            self.advance()
            return self.make("mod", total, self.primary())
        return total

    def signed_product(self) -> Node:
        signs: list[str] = []
        while (token := self.peek()).kind == "op" and token.value in ("+", "-", "pm", "mp"):
            signs.append(self.advance().value)
            if len(signs) > 1:
                raise Unreadable("a row of signs")
        node = self.product()
        for sign in signs:
            if sign != "+":
                node = self.signed("neg" if sign == "-" else sign, node)
        return node

    def signed(self, sign: str, node: Node) -> Node:
        """A sign belongs to the value, not to the unit: -3 cm is (-3) cm."""
        if node.head in ("unit", "degree"):
            return self.make(node.head, self.signed(sign, node.args[0]), *node.args[1:])
        return self.make(sign, node)

    def product(self) -> Node:
        node = self.power()
        while True:
            token = self.peek()
            if token.kind == "op" and token.value in ("*", "/"):
                operator = self.advance().value
                signs = 0
                while self.peek() in (Token("op", "-"), Token("op", "-", True)):
                    self.advance()
                    signs += 1
                right = self.power()
                if signs % 2:
                    right = self.make("neg", right)
                node = self.make("mul" if operator == "*" else "div", node, right)
            elif token.kind == "text":
                node = with_unit(self, node)
            elif self.begins_factor(token):
                node = self.juxtaposed(node)
            else:
                return node

    def begins_factor(self, token: Token) -> bool:
        return (
            token.kind in ("num", "sym", "fn", "cmd", "open")
            or (token.kind == "env" and token.value.startswith("begin"))
            or (token.kind == "op" and token.value in ("|", "||") and not self.inside_bars and not self.in_set)
        )

    def juxtaposed(self, left: Node) -> Node:
        """A factor without an operator: a product, or the fraction of a mixed number."""
        token = self.peek()
        if left.head == "text":
            raise Unreadable("words before a formula")
        before = self.tokens[self.position - 1]
        if before.kind == "num" and left.head == "num" and "." not in before.value:
            start = self.position
            if token == Token("cmd", "frac") or token == Token("cmd", "frac", True):
                right = self.power()
                measured = right.head in MEASURES  # 38\\frac{4}{7}^\\circ: all of it in degrees
                fraction = right.args[0] if measured else right
                if fraction.head == "div" and all(part.head == "num" for part in fraction.args):
                    whole = mixed(self, left, fraction)
                    return self.make(right.head, whole, *right.args[1:]) if measured else whole
                rate = rate_of(right)
                return self.make("unit", left, rate) if rate else self.make("mul", left, right)
            if token.kind == "num" and token.spaced:
                numerator = self.advance()
                if self.accept("op", "/") and self.peek().kind == "num" and "." not in numerator.value:
                    return mixed(self, left, self.make("div", literal(numerator), literal(self.advance())))
                self.position = start
        last = left.args[-1] if left.head == "mul" else left
        if token.kind == "num" and (last.head not in SPELLED_OUT or (before.kind == "num" and not token.spaced)):
            raise Unreadable("two numbers side by side")
        return self.make("mul", left, self.power())

    def power(self) -> Node:
        base = self.postfix()
        if not self.accept("op", "^"):
            return base
        if self.accept("op", "circ") or self.accept("op", "degree"):
            return degrees(self, base)
        if ordinal(self):
            return base
        if self.peek() in (Token("op", "'"), Token("op", "*")):
            return self.make("fn", self.advance().value, base)
        if self.peek().kind == "open" and self.peek().value == "{":
            start = self.position
            self.advance()
            if (self.accept("op", "circ") or self.accept("op", "degree")) and self.accept("close", "}"):
                return degrees(self, base)
            self.position = start
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooMuch(f"nested deeper than {MAX_DEPTH}")
        negative = self.accept("op", "-")
        exponent = self.power()
        if negative:
            exponent = self.make("neg", exponent)
        self.depth -= 1
        if exponent == MINUS_ONE and base.head == "sym" and base.args[0] in FUNCTION_LETTERS:
            inverse = self.applied(base.args[0] + "^{-1}")
            if inverse is not None:
                return inverse
        return self.trailing(self.make("pow", base, exponent))

    def trailing(self, node: Node) -> Node:
        """Marks after a power: `x^2!`, `50^\\circ`."""
        while True:
            if self.accept("op", "%"):
                node = self.make("percent", node)
            elif self.accept("op", "!"):
                node = self.make("fn", "factorial", node)
            else:
                return node

    def postfix(self) -> Node:
        started = self.position
        node = self.primary()
        while True:
            token = self.peek()
            if token.kind != "op":
                return node
            if token.value == "!":
                self.advance()
                node = self.make("fn", "factorial", node)
            elif token.value == "%":
                self.advance()
                if node.head == "percent":
                    raise Unreadable("a percentage of percent")
                node = self.make("percent", node)
            elif token.value in ("degree", "circ"):
                self.advance()
                node = self.make("degree", node)
            elif token.value == "'" and node.head == "sym":
                self.advance()
                node = self.named(node.args[0] + "'")
            elif token.value == "_":
                self.advance()
                node = self.subscripted(node, self.tokens[started])
            else:
                return node

    def subscripted(self, node: Node, token: Token) -> Node:
        before = self.position
        index = self.argument()
        written = self.tokens[before - 4 : before - 2]  # (12)_5: a bracket, the digits, a bracket
        if token.kind == "open" and len(written) == 2 and written[0] is token:
            token = written[1]
        if node.head == "num" and index.head == "num" and token.kind == "num":
            if index.args[0] == 10:
                return node
            return self.make("based", token.value, str(index.args[0]))
        if node.head == "sym":
            name = "".join(
                one.value for one in self.tokens[before : self.position] if one.kind not in ("open", "close")
            )
            return symbol(f"{node.args[0]}_{name}")
        raise Unreadable("a subscript that is neither a base nor an index")

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
            return bracketed(self, value)
        if kind == "cmd":
            return command(self, value)
        if kind == "op" and value in ("|", "||"):
            return bars(self, value)
        if kind == "op" and value in ("-", "+"):
            node = self.power()
            return self.make("neg", node) if value == "-" else node
        if kind == "env":
            return environment(self, value)
        if kind == "text":
            words = value
            while self.peek().kind == "text":
                words += " " + self.advance().value
            return self.make("text", words)
        raise Unreadable(f"unexpected {value!r}" if value else "the answer breaks off")

    def count(self, node: Node) -> Node:
        self.nodes += 1
        return node

    def named(self, name: str) -> Node:
        node = self.make("sym", name)
        if name.rstrip("'") in FUNCTION_LETTERS or (len(name.rstrip("'")) == 1 and self.is_defined()):
            return self.applied(name) or node  # h(a+b) is a product
        return node

    def is_defined(self) -> bool:
        """Whether `(t) =` follows: then the name before it is a function of `t`."""
        ahead = 1
        while self.peek(ahead).kind == "sym" and self.peek(ahead + 1).kind == "sep":
            ahead += 2
        opened = self.peek().kind == "open" and self.peek().value == "("
        closed = self.peek(ahead).kind == "sym" and self.peek(ahead + 1).kind == "close"
        return opened and closed and self.peek(ahead + 2).kind == "rel" and self.peek(ahead + 2).value == "="

    def applied(self, name: str) -> Node | None:
        """The function called `name` of what follows in round brackets, if these are names and numbers."""
        start = self.position
        if self.accept("open", "("):
            arguments = self.item_list("(")
            if self.accept("close", ")") and arguments and all(one.head in NAMES for one in arguments):
                return self.make("fn", name, *arguments)
        self.position = start
        return None

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


__all__ = ["Unreadable", "parse"]
