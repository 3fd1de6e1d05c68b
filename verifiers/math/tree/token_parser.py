"""What each part of the grammar asks of the parser.

The parser calls the parts (`arithmetic`, `brackets`, `commands`, `quantities`), and they call it back for what stands
inside them. They know it by this protocol alone, so that imports go one way: `parse` imports the parts.
"""

from typing import Protocol

from verifiers.math.text.tokens import Token
from verifiers.math.tree.nodes import Node


class TokenParser(Protocol):
    """A position in a list of tokens, and those rules of the grammar that other rules use."""

    tokens: list[Token]
    position: int
    depth: int
    inside_bars: int  # how many bars are open: the next bar closes the last of them
    in_set: bool  # in a set a bar means "such that"

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or the one `ahead` places after it; `END` after the last."""

    def advance(self) -> Token:
        """Consume the next token and return it."""

    def accept(self, kind: str, value: str) -> bool:
        """Consume the next token if it is this one. Returns whether it was."""

    def make(self, head: str, *args: object) -> Node:
        """Make a node and count it. Raises `TooMuch`."""

    def descend(self) -> None:
        """Count one level of nesting; the caller takes it off again. Raises `TooMuch`."""

    def item_list(self, closing: str | None) -> list[Node]:
        """The items of a list up to a closing bracket or the end."""

    def relation(self) -> Node:
        """An expression, an equation, an inequality or a chain of them."""

    def set_expression(self) -> Node:
        """An expression, or unions, intersections and differences of sets."""

    def primary(self) -> Node:
        """A number, a name, a function, a command, or something in brackets."""

    def named(self, name: str) -> Node:
        """A name, or the function of that name applied to what follows."""

    def applied(self, name: str) -> Node | None:
        """The function of that name applied to what follows in round brackets, if it can be one."""

    def argument(self) -> Node:
        """What a command or an index takes: a braced group or one token."""

    def closed(self, opening: str) -> Node:
        """What follows an opening bracket, up to the bracket that closes it."""
