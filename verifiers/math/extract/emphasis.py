r"""A bold last line: `**We get $8 + 14t$.**`, `The midpoint is **$(1, -5)$**.`, `**$\frac12$**`, `17 * 23 = **391**`.

A bold last line often marks the result, but headings and intermediate steps are bold too. So the line must end with its
only bold part, its words must state the value at their end, and neither they nor the line before may doubt, deny or
suppose it.
"""

import re

from verifiers.math.extract.endings import ARGUMENT, LEADS_ON, UNSURE, leads_on
from verifiers.math.extract.prose import HYPOTHETICAL, MATH_SPAN, PROSE, SENTENCE_START, is_prose, plainly, spanned
from verifiers.math.text.counting import recounts

MAX_LINE_CHARS = 400
BULLET = re.compile(r"\A\s*(?:[-•+]|\*(?!\*))\s+")
STATES = re.compile(  # what a line says right before its value
    r"(?:(?<!\b[Tt]o )(?<!\bnot )(?<!\bus )(?<!\bmust )(?<!\bwould )(?<!\bmight )(?<!\bcan )"
    r"\b(?:is|are|equals|becomes|(?:is|are) equal to|is given by|gets?|obtain|have|has|find|gives?|yields?|leaves?"
    r"|makes?|takes|needs|costs|(?:comes|simplifies|reduces|evaluates|amounts|adds up|works out) to)(?: us)?"
    r"|\A[A-Z][a-z]+ing\b[a-z ]{0,40},|\A(?:[Ss]o|[Tt]hus|[Hh]ence|[Tt]herefore|[Tt]hat is)\b,?"
    r"|\A(?:The )?(?:[Ff]inal )?(?:[Rr]esult|[Vv]alue|[Tt]otal)(?=:))\s*:?\s*\Z"
)
OPEN = re.compile(  # words of a line that states nothing, or nothing as its own result
    r"\A\W*(?:what|where|why|when|who|whose|which(?! (?:gives|yields|equals|is)\b)|how|is|are|do|does|can|prove|find"
    r"|case|remark|for)\b"
    r"|\b(?:no|nor|or|neither|none|nobody|nothing|unlike|except|instead|others?|each|every|prov\w+|shows?"
    r"|approximat\w+|previous|earlier|intermediate|remains|contradict\w+|alternative\w*|about"
    r"|one (?:solution|root|value|answer|possibility|option|of))\b",
    re.IGNORECASE,
)
CERTAIN = re.compile(r"\bgiven (?=by\b)|(?<=the )given |(?<=[a-z] )when ")  # where it supposes nothing
COUNTED = re.compile(r"(?:\s(?!(?:is|are|was|has|have|and|but|as|to)\b)[a-zA-Z-]+){0,4}[.!]?")
RELATED = re.compile(r"[=<>]|\\(?:[lg]eq?|neq?|approx|in|equiv|iff|implies|Rightarrow)(?![A-Za-z])")
NAMED_VALUE = re.compile(  # x = 5, a_n = 13 - 3n, f(2) = 2 + 3 = 5
    r"[A-Za-z](?:_\{?\w{1,5}\}?)?'{0,2}(?:\s*\([^()=<>]{1,12}\))?\s*=[^<>=~]+(?:=[^<>=~]+)*", re.ASCII
)
ARITHMETIC = re.compile(r"[-+*/^×·÷().,$\d\s]*=\s*\*\*\$?\d[\d,.]*\*\*[.\s]*", re.ASCII)


def emphasized(text: str) -> tuple[str, ...]:
    """The value that a bold last line states, or nothing."""
    if not text.endswith(("**", "**.")):
        return ()
    before, _, line = text[-2 * MAX_LINE_CHARS :].rpartition("\n")
    before = before.rstrip().rpartition("\n")[2].strip()
    if len(line) > MAX_LINE_CHARS or _is_bold_value(before):
        return ()
    if ARITHMETIC.fullmatch(line):  # whether it is true is seen when it is compared
        return () if ARGUMENT.match(before) else (line.replace("**", "").rstrip(" ."),)
    sentence = SENTENCE_START.split(BULLET.sub("", line))[-1]
    if sentence.count("**") != 2:
        return ()
    plain, bold, _ = sentence.split("**")
    return _stated(plain + bold, before)


def _is_bold_value(line: str) -> bool:
    """Whether a line ends in a bold value too, so that the next one is one of several."""
    return line.endswith(("**", "**.")) and any(character.isdigit() for character in line)


def _stated(sentence: str, before: str) -> tuple[str, ...]:
    """The formula that a sentence states as its result; `before` is the line above."""
    spans = list(MATH_SPAN.finditer(sentence))
    if not spans:
        return ()
    *named, last = spans
    lead, value, after = sentence[: last.start()], spanned(last), sentence[last.end() :]
    if RELATED.search(value) and not NAMED_VALUE.fullmatch(value):
        return ()
    if not COUNTED.fullmatch(after) or UNSURE.search(after) or not is_prose(plainly(after)) or recounts(after):
        return ()
    if not lead.strip():
        return (value,) if len(after) <= 1 and before and not leads_on(before) else ()
    if any(RELATED.search(spanned(span)) or STATES.search(sentence[: span.start()]) for span in named):
        return ()  # it states two values
    words = CERTAIN.sub("", MATH_SPAN.sub("it", lead))
    if not STATES.search(words) or not PROSE.fullmatch(words) or ARGUMENT.match(words):
        return ()
    supposed = HYPOTHETICAL.search(before) or LEADS_ON.search(before.rstrip(","))
    doubted = UNSURE.search(words) or OPEN.search(words) or (before.endswith(":") and UNSURE.search(before))
    return () if supposed or doubted else (value,)
