"""LaTeX and plain text as tokens. One regular expression, linear time, no knowledge of grammar."""

import re
from typing import NamedTuple

from verifiers.math.limits import MAX_ANSWER_CHARS, MAX_DIGITS, MAX_TOKENS, TooMuch
from verifiers.math.vocabulary import (
    ACCENTS,
    BIG,
    CLOSING,
    CONJOINING,
    CONSTANT_WORDS,
    DROPPED,
    FUNCTIONS,
    GREEK,
    LETTER_UNITS,
    LOWERED,
    NAMED_SYMBOLS,
    NUMBER_WORDS,
    OPENING,
    OPERATORS,
    RAISED,
    RELATIONS,
    SEPARATING,
    SHORT_WORDS,
    SPACED_UNITS,
    TEXT_COMMANDS,
    TO_ASCII,
    UNSEEN,
)


class Unreadable(Exception):
    """The text is not an answer that this grammar knows; the message says where it fails."""


class Token(NamedTuple):
    """`kind`: num, sym, fn, cmd, op, rel, open, close, sep, text, env. `spaced`: white space came before it."""

    kind: str
    value: str
    spaced: bool = False


END = Token("end", "")  # stands behind the last
PATTERN = re.compile(
    r"""(?P<space>\s+|~)
  |(?P<repeating>\d*\.(?P<fixed>\d*)\\(?:overline|bar|dot)\s*(?P<period>\{\d+\}|\d))
  |(?P<number>(?:[1-9]\d{0,2}(?:,\\!\d{2,3})+(?!\d)|[1-9]\d{0,2}(?:(?:,|\{,\}|,\\!\s?|\\!,(?:\\!)?|\\,)\d{3})+(?!\d)|\d+)(?:\.\d+|\.(?![\d.]))?|\.\d+)
  |(?P<row>\\\\(?:\s*\[-?[\d.]+\s*(?:pt|ex|em|mm|cm)\])?|\\cr(?![A-Za-z]))
  |(?P<command>\\(?:[A-Za-z]+\*?|.))
  |(?P<cup>(?:U|cup)(?=\s*(?:\\left\s*)?(?:[(\[]|\\\{)))
  |(?P<word>[A-Za-z]+)
  |(?P<relation><=|>=|!=|==|=|<|>)
  |(?P<operator>\*\*|\+-|[-+*/^_!'&:%|])
  |(?P<bracket>[()\[\]{}])
  |(?P<separator>[,;])
  |(?P<dollar>\$)
  |(?P<dots>\.\.\.|…)
""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
SCIENTIFIC = re.compile(r"[eE]([-+]?\d{1,4})(?![\w.])", re.ASCII)
GLUED = re.compile(r"\\q?quad(?=[A-Za-z])")
GLUED_WORD = re.compile(r"(?:or|and)[A-Za-z]")
BASE = re.compile(r"\(?(?:in )?base[ -]?(\d{1,2})?\)?", re.ASCII)
REALS_EXCEPT = re.compile(r"all real(?:s| numbers)(?: x)? (?:except|other than)(?: for)?")
LETTERS = re.compile(r"[A-Z](?:\s?,\s?(?:and )?[A-Z]|\s(?:and|or)\s[A-Z])+", re.ASCII)
SUPERSCRIPT, SUBSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ]+"), re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙ]+")
THIN_SPACES = (r"\,", r"\;", r"\:", "\\ ", "~")
COUNTED = re.compile(r"(-?[\d.,]*\d)\s+([A-Za-z ]+(?:/[A-Za-z ]+)?(?:\^-?\d)?)", re.ASCII)
MATHEMATICS = re.compile(r"^[^$]*\\[A-Za-z][^$]*$")
MAX_PERIOD = 6
UNIT_VECTOR = re.compile(r"(?:\\(?:mathbf|textbf|mathrm|boldsymbol)\s*)?\{?\\?([ijk])(?:math)?\}?")  # also \imath
HALF_LINE = re.compile(
    r"\s*+[\^_]\s*+\{?\s*+(?:([+-])|(>=?|<=?|\\[gl](?:e|eq|eqslant|t)(?![A-Za-z]))\s*+0)\s*+(?:\}|(?<=[+-]))"
)
ARGUMENT = re.compile(r"\s*+(?:\{((?:[^{}]|\{[^{}]*\})*)\}|([A-Za-z\d]))")
BRACED = re.compile(r"\s*+\*?+\s*+\{((?:[^{}]|\{[^{}]*\})*)\}")


PRESCRIPT = re.compile(  # {}_8C_3
    r"(?:\{\s*\}\s*)?[_^](?:\{(\d{1,3})\}|(\d))\s*(?:\\!\s*)?(?:([CP])|\\(?:mathrm|text)\s*\{([CP])\})_(?:\{(\d{1,3})\}|(\d))"
)


def tokenize(text: str) -> list[Token]:
    """The tokens of an answer. Raises `TooMuch` beyond a limit and `Unreadable` at a character without meaning."""
    if len(text) > MAX_ANSWER_CHARS:
        raise TooMuch(f"the answer has {len(text)} characters: at most {MAX_ANSWER_CHARS} are read")
    if not text.isascii():
        text = SUPERSCRIPT.sub(lambda found: f"^{{{found[0].translate(RAISED)}}}", text)
        text = SUBSCRIPT.sub(lambda found: f"_{{{found[0].translate(LOWERED)}}}", text).translate(TO_ASCII)
        if not text.isascii():
            raise Unreadable("characters that are not mathematics")
    tokens: list[Token] = []
    depth = 0
    position = 0
    spaced = False
    while position < len(text):
        if text[position] in "{_^" and (counted := PRESCRIPT.match(text, position)) and _stands_free(counted, tokens):
            _counted(counted, spaced, tokens)
            position = counted.end()
            continue
        found = PATTERN.match(text, position)
        if found is None:
            raise Unreadable(f"what is {text[position]!r}?")
        position = found.end()
        kind = found.lastgroup
        value = found.group()
        if kind == "space":
            spaced = True
            continue
        if kind == "number":
            if depth and "," in value and not found.group("number").count("!"):
                # Inside brackets a comma separates: (2,102) is a pair.
                first = re.match(r"\d+(?:\.\d+)?", value)
                assert first is not None
                value, position = first.group(), found.start() + first.end()
            value = re.sub(r"[^\d.]", "", value)
            if len(value) > MAX_DIGITS:
                raise TooMuch(f"a number of {len(value)} digits: at most {MAX_DIGITS} are read")
            exponent = SCIENTIFIC.match(text, position)
            if exponent:
                value += "e" + exponent.group(1)
                position = exponent.end()
            tokens.append(Token("num", value, spaced))
        elif kind in ("repeating", "fixed", "period"):
            tokens.append(Token("num", f"{value.split(chr(92))[0]}r{found['period'].strip('{}')}", spaced))
        elif kind == "row":
            tokens.append(Token("op", r"\\", spaced))
        elif kind == "command":
            position, depth = _command(text, found, position, depth, spaced, tokens)
        elif kind == "cup" and tokens and tokens[-1].kind == "close":  # (1,2) U (3,4)
            tokens.append(Token("op", "cup", spaced))
        elif kind in ("word", "cup"):
            _word(value, spaced, tokens)
        elif kind == "relation":
            tokens.append(Token("rel", RELATIONS[value], spaced))
        elif kind == "operator":
            tokens.append(Token("op", OPERATORS[value], spaced))
        elif kind == "bracket":
            if value in OPENING:
                depth += value != "{"
                tokens.append(Token("open", OPENING[value], spaced))
            else:
                depth -= value != "}"
                tokens.append(Token("close", CLOSING[value], spaced))
        elif kind == "separator":
            tokens.append(Token("sep", value, spaced))
        elif kind == "dollar" and text.startswith("{", position):
            raise Unreadable("a template, not an answer")
        elif kind == "dots":
            _dots(spaced, tokens)
        spaced = False
        if len(tokens) > MAX_TOKENS:
            raise TooMuch(f"more than {MAX_TOKENS} symbols")
    return tokens


def _stands_free(counted: "re.Match[str]", tokens: list[Token]) -> bool:
    """Whether an index before a letter is not the index of what stands before it: `x_8C_3`."""
    return counted[0].startswith("{") or not tokens or tokens[-1].kind not in ("num", "sym", "close", "text")


def _counted(counted: "re.Match[str]", spaced: bool, tokens: list[Token]) -> None:
    r"""`{}_8C_3` as `\binom{8}{3}`, `{}_8P_3` as `\frac{8!}{5!}`."""
    (items, kind, chosen), factorial = (part for part in counted.groups() if part), ""
    if int(chosen) > int(items):
        raise Unreadable(f"{kind} of {chosen} out of {items}")
    if kind == "P":
        chosen, factorial = str(int(items) - int(chosen)), "!"
    tokens.extend(tokenize(rf"\{'frac' if factorial else 'binom'}{{{items}{factorial}}}{{{chosen}{factorial}}}"))


def _command(
    text: str, found: "re.Match[str]", position: int, depth: int, spaced: bool, tokens: list[Token]
) -> tuple[int, int]:
    """Append what a command means; the new position and bracket depth."""
    command = found.group()
    name = command[1:].rstrip("*")
    if command in DROPPED:
        if command in (r"\left", r"\right") and text[position : position + 1] == ".":
            position += 1
        return position, depth
    if name in UNSEEN:
        braced = BRACED.match(text, position)
        return (braced.end() if braced else position), depth
    if command in OPENING:
        tokens.append(Token("open", OPENING[command], spaced))
        return position, depth + 1
    if command in CLOSING:
        tokens.append(Token("close", CLOSING[command], spaced))
        return position, depth - 1
    if command in RELATIONS:
        tokens.append(Token("rel", RELATIONS[command], spaced))
    elif command in OPERATORS:
        tokens.append(Token("op", OPERATORS[command], spaced))
    elif name in ("dfrac", "tfrac", "cfrac", "frac"):
        tokens.append(Token("cmd", "frac", spaced))
    elif name in ("binom", "dbinom", "tbinom"):
        tokens.append(Token("cmd", "binom", spaced))
    elif name in TEXT_COMMANDS:
        braced = BRACED.match(text, position)
        if braced is None or MATHEMATICS.search(braced.group(1)):
            return position, depth  # \mathrm e, \textbf{\pi}: the font changes nothing
        apart = spaced or braced.group(1)[:1] in (" ", "~") or text.endswith(THIN_SPACES, 0, found.start())
        _text(braced.group(1), name, apart, tokens)
        return braced.end(), depth
    elif name in ACCENTS:
        return _accent(text, ACCENTS[name], position, spaced, tokens), depth
    elif name in ("begin", "end"):
        braced = BRACED.match(text, position)
        if braced is None:
            raise Unreadable(f"{command} without a name")
        tokens.append(Token("env", f"{name} {braced.group(1).strip()}", spaced))
        return braced.end(), depth + (1 if name == "begin" else -1)
    elif name in FUNCTIONS:
        tokens.append(Token("fn", name, spaced))
    elif name in ("bigcup", "bigcap") and tokens and tokens[-1].kind == "close":  # between two sets, not over many
        tokens.append(Token("op", name.removeprefix("big"), spaced))
    elif name in BIG:
        tokens.append(Token("cmd", name, spaced))
    elif name in GREEK:
        tokens.append(Token("sym", command if name != "varepsilon" else r"\epsilon", spaced))
    elif name in ("emptyset", "varnothing"):
        tokens.append(Token("cmd", "emptyset", spaced))
    elif name in ("ldots", "dots", "cdots", "vdots"):
        _dots(spaced, tokens)
    elif name in NAMED_SYMBOLS:
        tokens.append(Token("sym", command, spaced))
    elif command == r"\land":
        tokens.append(Token("sep", "and", spaced))
    elif (glued := GLUED.match(command)) is not None:  # \\quadx is \\quad x
        return position - len(command) + glued.end(), depth
    else:
        raise Unreadable(f"the command {command!r} is not known"[:80])
    return position, depth


def _accent(text: str, name: str, position: int, spaced: bool, tokens: list[Token]) -> int:
    r"""Append an accented symbol, `\vec{v}`, or a set of numbers, `\mathbb{R}^+`; the position behind it."""
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


def _dots(spaced: bool, tokens: list[Token]) -> None:
    r"""`0.1666\ldots`: digits that stand there three times before the dots go on for ever. Other dots are a symbol."""
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


def _word(word: str, spaced: bool, tokens: list[Token]) -> None:
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


def _text(content: str, command: str, spaced: bool, tokens: list[Token]) -> None:
    r"""The content of `\text{}` and its kin: a separator, a function, mathematics in an upright font, or words."""
    words = content.replace("\\ ", " ").replace("~", " ").strip().strip("{}").strip()
    lowered = words.lower().strip(" .,")
    if lowered in SEPARATING or (not lowered and "," in words):
        tokens.append(Token("sep", "and" if lowered in CONJOINING else "or" if lowered.isalpha() else ",", spaced))
    elif not words:
        return
    elif lowered in FUNCTIONS and command != "text":
        tokens.append(Token("fn", lowered, spaced))
    elif lowered in NUMBER_WORDS and any(token.value == "_" for token in tokens[-2:]):
        tokens.append(Token("num", NUMBER_WORDS[lowered], spaced))
    elif len(words) == 1 and words.isalpha():
        is_unit = words in LETTER_UNITS or (spaced and words in SPACED_UNITS)
        measured = is_unit and tokens and (tokens[-1].kind == "num" or tokens[-1].value in (")", "}"))
        tokens.append(Token("text" if measured else "sym", words, spaced))
    elif (except_for := REALS_EXCEPT.match(lowered)) is not None:  # \text{all real numbers except } 2
        tokens += [Token("sym", "mathbb R", spaced), Token("op", "except")]
        tokens.extend(tokenize(words[except_for.end() :]))
    elif tokens and tokens[-1].kind in ("num", "close") and (base := BASE.fullmatch(lowered)) is not None:
        tokens.append(Token("op", "_", spaced))  # 1011 (base 2)
        tokens.extend(tokenize(base[1]) if base[1] else [])
    elif LETTERS.fullmatch(words) is not None:  # \text{A, C}
        tokens.extend(tokenize(words))
    elif (counted := COUNTED.fullmatch(words)) is not None:  # \\text{12 eggs}
        tokens.extend(tokenize(counted[1]))
        _text(counted[2], command, True, tokens)
    elif re.fullmatch(r"-?[\d.,/]+", words, re.ASCII) or (
        command.startswith("math") and len(words) <= 3 and "\\" not in words
    ):
        tokens.extend(tokenize(words))
    elif tokens and tokens[-1].kind == "text":
        tokens[-1] = Token("text", f"{tokens[-1].value} {words}", tokens[-1].spaced)
    else:
        tokens.append(Token("text", words, spaced))
