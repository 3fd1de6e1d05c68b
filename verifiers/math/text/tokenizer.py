"""LaTeX and plain text as tokens. One regular expression, linear time, no knowledge of grammar."""

import re

from verifiers.math.limits import MAX_ANSWER_CHARS, MAX_DIGITS, MAX_TOKENS, TooMuch
from verifiers.math.text.tokens import Token, Unreadable, accent, dots, word_tokens
from verifiers.math.text.vocabulary import (
    ACCENTS,
    BIG,
    CLOSING,
    CONJOINING,
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
    SPACED_UNITS,
    TEXT_COMMANDS,
    TO_ASCII,
    UNSEEN,
)

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
BASE = re.compile(r"\(?(?:in )?base[ -]?(\d{1,2})?\)?", re.ASCII)
REALS_EXCEPT = re.compile(r"all real(?:s| numbers)(?: x)? (?:except|other than)(?: for)?")
LETTERS = re.compile(r"[A-Z](?:\s?,\s?(?:and )?[A-Z]|\s(?:and|or)\s[A-Z])+", re.ASCII)
SUPERSCRIPT, SUBSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ]+"), re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙ]+")
THIN_SPACES = (r"\,", r"\;", r"\:", "\\ ", "~")
COUNTED = re.compile(r"(-?[\d.,]*\d)\s+([A-Za-z ]+(?:/[A-Za-z ]+)?(?:\^-?\d)?)", re.ASCII)
MATHEMATICS = re.compile(r"^[^$]*\\[A-Za-z][^$]*$")
BRACED = re.compile(r"\s*+\*?+\s*+\{((?:[^{}]|\{[^{}]*\})*)\}")
PRESCRIPT = re.compile(  # {}_8C_3 and _8C_3, but not x_8C_3
    r"(?:\{\s*\}\s*|(?<![\w})\]]))[_^](?:\{(\d{1,3})\}|(\d))\s*(?:\\!\s*)?"
    r"(?:([CP])|\\(?:mathrm|text)\s*\{([CP])\})_(?:\{(\d{1,3})\}|(\d))",
    re.ASCII,
)


def tokenize(text: str) -> list[Token]:
    """The tokens of an answer. Raises `TooMuch` beyond a limit and `Unreadable` at a character with no meaning."""
    if len(text) > MAX_ANSWER_CHARS:
        raise TooMuch(f"the answer has {len(text)} characters: at most {MAX_ANSWER_CHARS} are read")
    if not text.isascii():
        text = SUPERSCRIPT.sub(lambda match: f"^{{{match[0].translate(RAISED)}}}", text)
        text = SUBSCRIPT.sub(lambda match: f"_{{{match[0].translate(LOWERED)}}}", text).translate(TO_ASCII)
        if not text.isascii():
            raise Unreadable("characters that are not mathematics")
    if "C" in text or "P" in text:
        text = PRESCRIPT.sub(_counted, text)
    tokens: list[Token] = []
    depth = 0
    position = 0
    spaced = False
    while position < len(text):
        match = PATTERN.match(text, position)
        if match is None:
            raise Unreadable(f"unexpected character {text[position]!r}")
        position = match.end()
        kind = match.lastgroup
        value = match.group()
        if kind == "space":
            spaced = True
            continue
        if kind == "number":
            if depth and "," in value and not match.group("number").count("!"):
                # Inside brackets a comma separates: (2,102) is a pair.
                first = re.match(r"\d+(?:\.\d+)?", value)
                assert first is not None
                value, position = first.group(), match.start() + first.end()
            value = re.sub(r"[^\d.]", "", value)
            if len(value) > MAX_DIGITS:
                raise TooMuch(f"a number of {len(value)} digits: at most {MAX_DIGITS} are read")
            exponent = SCIENTIFIC.match(text, position)
            if exponent:
                value += "e" + exponent.group(1)
                position = exponent.end()
            tokens.append(Token("num", value, spaced))
        elif kind in ("repeating", "fixed", "period"):
            tokens.append(Token("num", f"{value.split(chr(92))[0]}r{match['period'].strip('{}')}", spaced))
        elif kind == "row":
            tokens.append(Token("op", r"\\", spaced))
        elif kind == "command":
            position, depth = _command(text, match, position, depth, spaced, tokens)
        elif kind == "cup" and tokens and tokens[-1].kind == "close":  # (1,2) U (3,4)
            tokens.append(Token("op", "cup", spaced))
        elif kind in ("word", "cup"):
            word_tokens(value, spaced, tokens)
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
            dots(spaced, tokens)
        spaced = False
        if len(tokens) > MAX_TOKENS:
            raise TooMuch(f"more than {MAX_TOKENS} symbols")
    return tokens


def _counted(match: "re.Match[str]") -> str:
    r"""`{}_8C_3` as `\\binom{8}{3}`, `{}_8P_3` as `\\frac{8!}{5!}`."""
    items, kind, chosen = (part for part in match.groups() if part)
    if kind == "C":
        return rf"\binom{{{items}}}{{{chosen}}}"
    return rf"\frac{{{items}!}}{{{int(items) - int(chosen)}!}}"


def _command(
    text: str, match: "re.Match[str]", position: int, depth: int, spaced: bool, tokens: list[Token]
) -> tuple[int, int]:
    """Append the tokens of a command. Returns the new position and bracket depth."""
    command = match.group()
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
        apart = spaced or braced.group(1)[:1] in (" ", "~") or text.endswith(THIN_SPACES, 0, match.start())
        _text(braced.group(1), name, apart, tokens)
        return braced.end(), depth
    elif name in ACCENTS:
        return accent(text, ACCENTS[name], position, spaced, tokens), depth
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
        dots(spaced, tokens)
    elif name in NAMED_SYMBOLS:
        tokens.append(Token("sym", command, spaced))
    elif command == r"\land":
        tokens.append(Token("sep", "and", spaced))
    elif (glued := GLUED.match(command)) is not None:  # \\quadx is \\quad x
        return position - len(command) + glued.end(), depth
    else:
        raise Unreadable(f"the command {command!r} is not known"[:80])
    return position, depth


def _text(content: str, command: str, spaced: bool, tokens: list[Token]) -> None:
    r"""The content of `\text{}` and the like: a separator, a function, mathematics in an upright font, or words."""
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
