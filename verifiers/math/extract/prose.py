"""What a sentence states: the one number that its other words only name.

"18 dollars a day" is 18, but "x + 5", "5 squared" and "between 3 and 5" are not 5. `announced` and `endings`
say where in a completion an answer stands.
"""

import re

from verifiers.math.text.counting import recounts
from verifiers.math.text.vocabulary import words
from verifiers.math.text.wording import MONTHS

MATH_SPAN = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$((?:[^$\\\n]|\\.)+?)(?<!\\)\$(?!\d)", re.DOTALL
)
SENTENCE_END = re.compile(  # "B. \\(17\\)" is a choice with its value
    r"[.!?](?=\s+[A-Z*<(\[]|\s*$)|(?<!\b[A-J])[.!?](?=\s+\\)|\n|。|<\|"
)
SENTENCE_START = re.compile(r"(?<=[.!?])\s+(?=[A-Z*])|\n")
LAST_NUMBER = re.compile(r"-?(?:\\?\$|[€£])?[0-9][0-9,]*(?:\.[0-9]+)?(?:/[0-9]+)?(?:\s?\\?%)?|-?\.[0-9]+")
ODD_END = re.compile(r"['!]{2}|;|\?")  # 42!! and 42'' are no prose, 42? is a question
ODD_START = re.compile(r"[()]{2}\s*\Z")
PROSE = re.compile(r"(?:[\s,.;:!?'\"*()€£$_-]|[A-Za-z]{2,}+|\ba\b|\bI\b)*+", re.ASCII)
FUNCTION_WORDS = words(
    r"""sqrt root log ln a?r?c?(?:sin|cos|tan)h? sec csc cot exp abs max min gcd lcm det floor ceil pi
     factorial lambda infinity"""
)
CALCULATING = words(
    r"""minus plus times over squared? cubed? negative half divided power percent pct twice thrice doubled?
     tripled? thousand million billion hundred dozen kilo mega giga tera milli micro nano centi \w*fold"""
)
COMPARING = words(
    r"""differ\w* unlike under below above more less fewer greater between than least most about until except
     unless and or not no nor neither none nobody nothing instead"""
)
DOUBTING = words(
    r"""wait hmm+ oops actually correction sorry too\s+[a-z]+ wrong incorrect false never hardly probably
     likely roughly hopefully guess\w* estimat\w* choose maybe perhaps cannot \w+n't impossible unlikely
     doubt\w* if whether could might assum\w+ suppos\w+ let since because when"""
)


def one_of(table: frozenset[str]) -> str:
    """A pattern that matches any one of the words."""
    return rf"\b(?:{'|'.join(sorted(table))})\b"


COMPUTING = re.compile(  # words and signs that make another number of the one beside them, or take it back
    one_of(FUNCTION_WORDS | CALCULATING | COMPARING | DOUBTING | MONTHS) + r"|\s-\s|\w\(|\)\(", re.IGNORECASE
)
MISLEADING = re.compile(  # what stands before a number that is not what the sentence states
    r"\b(?:of|by|after|before|than|from|through|first|next|last|another|but|except|near|nearly|almost|close to|up to|"
    r"check|try|see|example|exercise|chapter|section|page|step|question|problem|case)\s+[-$€£]?\Z",
    re.IGNORECASE,
)
AMOUNT_OF = re.compile(
    r"\b(?:total|profit|cost|price|distance|value|score|average|amount|answer|result|area|length|sum|income|bill|speed|rate)"
    r"\s+of\s+[-$€£]?\Z",
    re.IGNORECASE,
)
HYPOTHETICAL = re.compile(r"\b(?:assum\w*|suppos\w*|if|whether|unless|imagine|pretend)\b[^.!?\n]*\Z", re.IGNORECASE)
SQUARE_UNIT = re.compile(
    r"\A\s?(?:[cdkm]?m|ft|in|yd|mi|units?)[²³](?!\w)"
    r"|\A\s+square\s+(?=(?:units?|feet|foot|inch(?:es)?|yards?|miles?|[a-z]*met(?:er|re)s?|[ck]?m|ft|in)\b)"
)
MORE = re.compile(r"\A[\s*]+more(?=\s+(?!than\b|or\b|of\b)[A-Za-z]{2})")
MONTH = rf"(?:{'|'.join(sorted(MONTHS))})"
IN_MONTHS = re.compile(rf"\s(?:in|during)\s+{MONTH}(?:\s+and\s+{MONTH})?(?=[\s.!]*\Z)", re.IGNORECASE)


def loosely(sentence: str) -> tuple[str, ...]:
    """The candidates of a sentence: the words after its last "is", and its only number."""
    after_is = re.split(r"\s(?:is|are|equals|be|given by)\s", sentence)[-1].strip()
    return ((after_is,) if after_is else ()) + only_number(sentence)


def is_prose(text: str) -> bool:
    """Whether words around a number only name it: "18 dollars a day", but not "18 squared" or "18 + x"."""
    return PROSE.fullmatch(text) is not None and COMPUTING.search(text) is None


def plainly(after: str) -> str:
    """What follows a number, without words that only seem to compute: "15 more apples", "in April and May"."""
    return IN_MONTHS.sub("", MORE.sub(" ", SQUARE_UNIT.sub(" ", after, count=1)))


def only_number(text: str) -> tuple[str, ...]:
    """The one number in a sentence that is prose otherwise."""
    numbers = list(LAST_NUMBER.finditer(text))
    if len(numbers) != 1:
        return ()
    before, after = text[: numbers[0].start()], text[numbers[0].end() :]
    if MISLEADING.search(before[-40:]) and not AMOUNT_OF.search(before[-40:]):
        return ()
    if not re.search(r"[A-Za-z]{2}", before + after) or re.match(r"\w", after) or re.search(r"\w$", before):
        return ()
    if ODD_END.match(after) or ODD_START.search(before[-8:]) or after.rstrip(' *"').endswith("?"):
        return ()
    after = plainly(after)
    return (numbers[0].group(),) if is_prose(before + " " + after) and not recounts(after) else ()


def spanned(span: re.Match[str]) -> str:
    return next(group for group in span.groups() if group is not None).strip()


def last_value(text: str) -> str:
    tail = text[-4_000:]
    best = ""
    end = -1
    for span in MATH_SPAN.finditer(tail):
        best, end = spanned(span), span.end()
    for number in LAST_NUMBER.finditer(tail, max(end, 0)):
        best = number.group().rstrip(",")
    return best
