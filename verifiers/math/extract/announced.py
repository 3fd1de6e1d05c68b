"""Announced answers: "the answer is 18", `A: 18` as the last line, and announcements behind a mark.

A sentence that supposes, asks or takes back announces nothing.
"""

import re

from verifiers.math.extract.endings import UNSURE
from verifiers.math.extract.prose import (
    HYPOTHETICAL,
    MATH_SPAN,
    SENTENCE_END,
    SENTENCE_START,
    is_prose,
    loosely,
    spanned,
)
from verifiers.math.extract.retractions import DENIED, correction, taken_back
from verifiers.math.limits import MAX_ANSWER_CHARS
from verifiers.math.text.counting import recounts
from verifiers.math.text.dressing import undress
from verifiers.math.tree.reading import is_readable

ANNOUNCED_CHARS = 4_000  # how much of the end is searched for an announcement
ANNOUNCED = re.compile(
    r"(?:final\s+answer|answer|result|solution|option|choice)(?:\s+(?:to|of|for)\s[^.\n:$]{0,80}?)?"
    r"(?:\s*(?:\*\*|__)?\s*(?:\bis\b|\bare\b|\b(?:would|will|should) be\b|:|=)\s*(?:\*\*|__)?:?"
    r"|\s*(?:\*\*)?\s*(?=\$|\\\[|\\\())"
    r"|^#{1,4}\s*(?:the\s+)?(?:final\s+)?answer\W*\n\s*"
    r"|答案\s*(?:应?该?是|为|[:：])",
    re.IGNORECASE | re.MULTILINE,
)
ANNOUNCING_WORDS = ("answer", "option is", "choice is", "solution is", "result is", "答案")
LAST_LINE = re.compile(r"^A(?:ns)?:[ \t]*+(\S[^\n]*?)\s*+(?:<\|[^\n]*+|</s>)?+\s*+\Z", re.M)  # as in GSM8K's "A: 18"
FILLER = re.compile(
    r"^(?:(?:therefore|thus|then|clearly|obviously|approximately|about|roughly|simply|exactly|just|equal to)\b[\s,:]*)+"
)
REASON = re.compile(r"(?:,?\s|\s\()(?:since|because)\s|\s\(as\s|,\s(?=as\s|which\s|and\swe\s)")
AFTERTHOUGHT = re.compile(  # what may follow a comma; anything else might take the value back
    r"as (?:required|desired|expected|claimed|stated|needed|wanted)|and we(?:'re| are) done"
    r"|which is (?:an?|the) (?:(?:positive|whole|natural|valid|prime|even|odd|perfect|correct|required|final) )*"
    r"(?:integer|number|answer|value|result|solution|square)",
    re.IGNORECASE,
)
APPROXIMATELY = re.compile(  # "5/9, or approximately 0.556" states one value, and the parser compares both
    r"(?:,?\s+or\s+|,\s*|\s*\(\s*)(?:approximately|approx\.?|about|roughly|around)\s+"
    r"(?P<value>\$?-?\d*\.\d+\$?|\\\(-?\d*\.\d+\\\))\)?[.\s]*\Z",
    re.ASCII,
)
NOT_ANOTHER = re.compile(r"(?:,|\s*\(|\s+and|,\s+and)\s*not\s+(?P<value>\$?-?\d+(?:[./]\d+)?\$?)\)?[.\s]*\Z", re.ASCII)
NEW_QUESTION = re.compile(r"\n\s*(?:Q|Question|Problem|Human|User|Exercise)\b[ \d]*:")
ANSWERED = re.compile(
    r"\banswer\W{0,4}\s?(?:is|:|should be|would be|=)(?!\s(?:approximately|about|roughly)\b)", re.IGNORECASE
)
WRONG = re.compile(r"\b(?:wrong|incorrect|false|another|other|previous|earlier|intermediate)\s+\Z", re.IGNORECASE)
OTHER_ANSWER = re.compile(
    r"\b(?:wrong|incorrect|false|another|other|alternative|previous|earlier|intermediate|approximate|numerical|decimal"
    r"|expected|given|reference)\s+\Z",
    re.IGNORECASE,
)

CALLED = re.compile(r"answer|final (?:result|solution)", re.IGNORECASE)
CALLED_ANSWER = re.compile(
    r"(?<![,\s])[,\s]+(?P<verb>as|is|to be)\s+(?:the|my|our|your)\s+"
    r"(?:(?:(?:final|correct|required|desired)\s+)?answer|final (?:result|solution))[.!*\s]*\Z",
    re.IGNORECASE,
)
CONCLUDING = r"(?:(?:so|thus|hence|therefore|finally|and|consequently|in conclusion)(?:,\s*|\s+))*"
BEFORE_IS = re.compile(rf"{CONCLUDING}(?:(?:we|I) (?:conclude|find|get|see) that\s+)?", re.IGNORECASE)
BEFORE_AS = re.compile(  # "we get", with a clause before it
    rf"(?P<clause>(?:[A-Za-z\s-]+,\s+)??){CONCLUDING}"
    r"(?:(?:we|I)\s+(?:(?:finally|then|thus|therefore)\s+)?(?:get|got|obtain|have|find|found)"
    r"|(?:(?:this|that|which|it|(?!nothing)[a-z]+ing)\s+)?(?:gives|yields|leaves|giving|leaving)(?:\s+us)?)\s+",
    re.IGNORECASE,
)


def called_answer(text: str) -> tuple[str, ...]:
    """The value of a last sentence that calls it the answer: `5 is the answer`, `we get $5$ as the final answer`."""
    if not CALLED.search(text[-24:]):
        return ()  # as nearly always
    tail = text[-MAX_ANSWER_CHARS:]
    sentence = SENTENCE_START.split(tail)[-1]
    before = tail[: len(tail) - len(sentence)].rstrip().rpartition("\n")[2]
    sentence = sentence.lstrip("* ")
    called = CALLED_ANSWER.search(sentence)
    stated = called and (BEFORE_IS if called["verb"].lower() == "is" else BEFORE_AS).match(sentence)
    if not called or not stated:
        return ()
    if HYPOTHETICAL.search(before) or (before.endswith(":") and UNSURE.search(before)):  # "Bob says:"
        return ()
    clause = stated.groupdict().get("clause") or ""
    value = sentence[stated.end() : called.start()].strip("* ")
    return (value,) if is_prose(clause) and is_readable(undress(value)) else ()


def announced(text: str, words: tuple[str, ...] = ANNOUNCING_WORDS) -> tuple[str, ...]:
    """The candidates after the last "the answer is"; none if it is a question or is taken back."""
    last_line = LAST_LINE.search(text[-MAX_ANSWER_CHARS:])
    if last_line:
        return tuple(dict.fromkeys((last_line[1], *loosely(last_line[1]))))
    lowered = text.lower()
    position = max(lowered.rfind(word) for word in words)
    while position >= 0:
        start = max(0, position - 16)
        end = min(len(text), position + 200)
        match = ANNOUNCED.match(text, position, end) or ANNOUNCED.search(
            text, start, end
        )  # the last one, if there are two
        if match:
            break
        position = lowered.rfind("answer", 0, position)
        if position >= 0 and len(text) - position > ANNOUNCED_CHARS:
            return ()
    if position < 0 or not match:
        return ()
    before = text[max(0, match.start() - 80) : match.start()]
    if HYPOTHETICAL.search(before) or WRONG.search(before):
        return ()
    rest = text[match.end() : match.end() + 2 * MAX_ANSWER_CHARS].lstrip(" \t*_:\n")
    rest = NEW_QUESTION.split(FILLER.sub("", rest), maxsplit=1)[0]
    math_span = MATH_SPAN.match(rest)
    ending = SENTENCE_END.search(rest, math_span.end() if math_span else 0)
    if ending and ending.group() == "?":
        return ()
    if ending and (later := taken_back(rest[ending.end() :])) is not None:
        return later
    sentence = _without_reason(rest[: ending.start()] if ending else rest)
    if math_span:
        tail = rest[math_span.end() : math_span.end() + 12].lstrip()
        inside = spanned(math_span)
        if re.match(r"(?:\\?%|percent|pct)", tail):
            inside += r"\%"
        sentence = _one_value(sentence)
        around = sentence.strip(" .").removeprefix(math_span.group()).removeprefix(inside)
        return (inside,) if is_prose(around) and not recounts(around) else (_untag(sentence),)
    sentence = _one_value(_untag(sentence))
    return tuple(dict.fromkeys((sentence, *loosely(sentence)))) if sentence else ()


def _one_value(sentence: str) -> str:
    """`5/9, or approximately 0.556` as an approximation that can be checked, and `5, not 6` as 5."""
    rounded = APPROXIMATELY.search(sentence)
    if rounded:
        return rf"{sentence[: rounded.start()].strip(' $')} \approx {rounded['value'].strip(' $()' + chr(92))}"
    denied = NOT_ANOTHER.search(sentence)
    if denied and sentence[: denied.start()].strip(" $") != denied["value"].strip("$"):
        return sentence[: denied.start()]
    return sentence


def _without_reason(sentence: str) -> str:
    """`15 (since 3*5 = 15)` and `12, which is an integer` without the reason or the afterthought."""
    reason = REASON.search(sentence)
    if reason is None or (
        not reason[0].strip(" ,(") and not AFTERTHOUGHT.fullmatch(sentence[reason.end() :].strip(" .!"))
    ):
        return sentence
    return sentence[: reason.start()]


def _untag(sentence: str) -> str:
    return sentence.strip().strip('*"').strip()


def revised(after: str) -> tuple[str, ...] | None:
    """The answer announced after the last mark; empty if the mark is only taken back, `None` if it stands."""
    after = NEW_QUESTION.split(after[:ANNOUNCED_CHARS], maxsplit=1)[0]
    last = max((match.start() for match in ANSWERED.finditer(after)), default=-1)
    if last >= 0 and not OTHER_ANSWER.search(after[max(0, last - 20) : last]) and not DENIED.search(after[:last][-12:]):
        candidates = announced(after, ("answer",))
        if candidates:
            return candidates
    return correction(after)
