r"""The part of the grammar for measured numbers: literals, mixed numbers, units, degrees, ordinals.

`2 \frac{3}{8}`, `12 \text{ cm}^2`, `5 million`, `20^\circ C`, `21^{\text{st}}`.
"""

import re
from fractions import Fraction

from verifiers.math.limits import MAX_EXPONENT, TooMuch
from verifiers.math.text.counting import recounts
from verifiers.math.text.tokens import Token, Unreadable
from verifiers.math.text.units import measures
from verifiers.math.text.vocabulary import COMPUTING_WORDS, SCALES, TAKEN_BACK
from verifiers.math.text.wording import MONTHS
from verifiers.math.tree.nodes import Node, number
from verifiers.math.tree.token_parser import TokenParser

SPOTLESS_UNIT = re.compile(r"(?:[^0-9]|(?<=[A-Za-z])[23]\b|\^-?[0-9]\b)*")  # m2 and cm^2, but not "or 43"
TEMPERATURES = {"C": "celsius", "F": "fahrenheit"}


def with_unit(parser: TokenParser, node: Node) -> Node:
    unit = parser.advance().value
    if node.head == "sym" and unit.startswith("-"):
        raise Unreadable(f"a name, not a unit: {node.args[0]}{unit}"[:60])  # the x-axis
    first = unit.lower().split()[0]
    if first in SCALES:
        node = parser.make("mul", node, number(SCALES[first]))
        unit = unit[len(first) :].strip()
        if not unit and parser.peek().kind != "text":
            return node
    elif first in COMPUTING_WORDS:
        raise Unreadable(f"arithmetic in words: {first}")
    while True:
        if parser.accept("op", "^"):
            exponent = parser.argument()
            unit += f"^{exponent.args[0]}" if exponent.head == "num" else "^?"
        elif parser.peek().kind == "text":
            unit += " " + parser.advance().value
        elif parser.accept("op", "/") and parser.peek().kind == "text":
            unit += "/" + parser.advance().value
        else:
            break
    taken_back = (TAKEN_BACK | MONTHS) & set(re.findall(r"[a-z'/]+", unit.lower()))
    if taken_back or recounts(unit) or not SPOTLESS_UNIT.fullmatch(unit):
        raise Unreadable(f"words that are no unit: {unit}"[:60])
    return parser.make("unit", node, unit)


def rate_of(fraction: Node) -> str:
    r"""`\frac{\text{miles}}{\text{hour}}` as a unit; empty for anything else."""
    heads = {part.head for part in fraction.args} if fraction.head == "div" else set()
    if "text" not in heads or not heads <= {"text", "sym"}:  # two letters may be variables
        return ""
    names = [part.args[0] for part in fraction.args]
    return "/".join(names) if all(map(measures, names)) else ""


def degrees(parser: TokenParser, base: Node) -> Node:
    node = trailing(parser, parser.make("degree", base))
    scale = TEMPERATURES.get(parser.peek().value) if parser.peek().kind == "sym" else None
    if scale is None:
        return node
    parser.advance()
    return parser.make("unit", node, scale)


def trailing(parser: TokenParser, node: Node) -> Node:
    """Marks after a power: `x^2!`, `50^\\circ`."""
    while True:
        if parser.accept("op", "%"):
            node = parser.make("percent", node)
        elif parser.accept("op", "!"):
            node = parser.make("fn", "factorial", node)
        else:
            return node


def ordinal(parser: TokenParser) -> bool:
    """Whether an exponent only makes an ordinal, "the 21st"; it is then skipped."""
    start = parser.position
    braced = parser.accept("open", "{")
    if parser.peek().kind == "text" and parser.peek().value in ("st", "nd", "rd", "th"):
        parser.advance()
        if not braced or parser.accept("close", "}"):
            return True
    parser.position = start
    return False


def mixed(parser: TokenParser, whole: Node, fraction: Node) -> Node:
    numerator, denominator = (part.args[0] for part in fraction.args)
    if not 0 <= numerator < denominator or denominator.denominator != 1:
        raise Unreadable("a mixed number with an improper fraction")
    return number(whole.args[0] + Fraction(numerator, denominator))


def literal(token: Token) -> Node:
    """The exact value of a number token."""
    text = token.value
    if "r" in text:
        finite, _, period = text.partition("r")
        whole, _, fixed = finite.partition(".")
        shift = 10 ** len(fixed)
        value = Fraction(int((whole or "0") + fixed), shift) + Fraction(int(period), shift * (10 ** len(period) - 1))
        return number(value)
    if "e" in text and abs(int(text.partition("e")[2])) > MAX_EXPONENT:
        raise TooMuch(f"a power of ten beyond {MAX_EXPONENT}")
    return number(Fraction(text.rstrip(".")))
