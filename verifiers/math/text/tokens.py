"""Tokens, and how words, dots and accented symbols become one or several of them."""

import re
from typing import NamedTuple

from verifiers.math.text.vocabulary import (
    CONJOINING,
    CONSTANT_WORDS,
    FUNCTIONS,
    GREEK,
    RELATIONS,
    SEPARATING,
    SHORT_WORDS,
)


class Unreadable(Exception):
    """The text is no answer in this grammar; the message says why."""


class Token(NamedTuple):
    """`kind`: num, sym, fn, cmd, op, rel, open, close, sep, text, env. `spaced`: white space came before it."""

    kind: str
    value: str
    spaced: bool = False


END = Token("end", "")  # follows the last token
GLUED_WORD = re.compile(r"(?:or|and)[A-Za-z]")
MAX_PERIOD = 6
UNIT_VECTOR = re.compile(r"(?:\\(?:mathbf|textbf|mathrm|boldsymbol)\s*)?\{?\\?([ijk])(?:math)?\}?")  # also \imath
HALF_LINE = re.compile(
    r"\s*+[\^_]\s*+\{?\s*+(?:([+-])|(>=?|<=?|\\[gl](?:e|eq|eqslant|t)(?![A-Za-z]))\s*+0)\s*+(?:\}|(?<=[+-]))"
)
ARGUMENT = re.compile(r"\s*+(?:\{((?:[^{}]|\{[^{}]*\})*)\}|([A-Za-z\d]))")


def accent(text: str, name: str, position: int, spaced: bool, tokens: list[Token]) -> int:
    r"""Append an accented symbol, `\vec{v}`, or a set of numbers, `\mathbb{R}^+`. Returns the position after it."""
    braced = ARGUMENT.match(text, position)
    inside = (braced[1] or braced[2] or "").strip() if braced else ""
    if braced is None or not inside or len(inside) > 20:
        raise Unreadable(f"\\{name} without an argument")
    unit = UNIT_VECTOR.fullmatch(inside) if name in ("hat", "vec") else None
    half = HALF_LINE.match(text, braced.end()) if name == "mathbb" else None
    if unit is not None:  # as \mathbf{i} is
        tokens.append(Token("sym", unit[1], spaced))
    elif half is not None:
        relation = RELATIONS[half[2]] if half[2] else {"+": ">", "-": "<"}[half[1]]
        tokens.append(Token("sym", f"{name} {inside}{relation}0", spaced))
        return half.end()
    else:
        tokens.append(Token("sym", f"{name} {inside}", spaced))
    return braced.end()


def dots(spaced: bool, tokens: list[Token]) -> None:
    r"""`0.1666\ldots`: digits that occur three times before the dots repeat for ever. Other dots are a symbol."""
    previous = tokens[-1] if tokens and not spaced else None
    whole, point, digits = (
        previous.value.partition(".") if previous is not None and previous.kind == "num" else ("",) * 3
    )
    if previous is not None and point and digits.isdigit():
        for length in range(1, MAX_PERIOD + 1):
            period = digits[-length:]
            if len(digits) >= 3 * length and digits.endswith(3 * period):
                tokens[-1] = Token("num", f"{whole}.{digits[: -3 * length]}r{period}", previous.spaced)
                return
    tokens.append(Token("sym", "...", spaced))


def word_tokens(word: str, spaced: bool, tokens: list[Token]) -> None:
    """Letters without a backslash: a function, a separator, a product of variables, or words."""
    lowered = word.lower()
    previous = tokens[-1] if tokens else None
    if previous is not None and previous.kind in ("num", "close") and not spaced and GLUED_WORD.fullmatch(word):
        joint = "and" if word.startswith("and") else "or"  # x=1orx=2, as it is left by a normalizer
        tokens += [Token("sep", joint), Token("sym", word.removeprefix(joint))]
    elif lowered in SEPARATING and len(word) > 1:
        tokens.append(Token("sep", "and" if lowered in CONJOINING else "or", spaced))
    elif word in FUNCTIONS:
        tokens.append(Token("fn", word, spaced))
    elif lowered in CONSTANT_WORDS:
        tokens.append(Token("sym", CONSTANT_WORDS[lowered], spaced))
    elif word in GREEK:
        tokens.append(Token("sym", "\\" + word, spaced))
    elif len(word) == 1:
        tokens.append(Token("sym", word, spaced))
    elif word in ("AM", "PM") and previous is not None and previous.kind == "num":
        tokens.append(Token("text", lowered, spaced))
    elif word.isupper() and word not in SHORT_WORDS and len(word) <= 4:
        tokens.append(Token("sym", word, spaced))
    elif len(word) <= 3 and lowered not in SHORT_WORDS and word not in SHORT_WORDS:
        for index, letter in enumerate(word):
            tokens.append(Token("sym", letter, spaced and index == 0))
    elif previous is not None and previous.kind == "text":
        tokens[-1] = Token("text", f"{previous.value} {word}", previous.spaced)
    else:
        tokens.append(Token("text", word, spaced))
