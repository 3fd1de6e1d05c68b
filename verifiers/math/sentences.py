"""Answers in prose, for completions without a mark: announced, concluded, bare, or the last value.

A number is taken out of a sentence only where the words around it just name it: "18 dollars a day" is 18, but
"x + 5", "5 squared" and "between 3 and 5" are not 5.
"""

import re

from verifiers.math.counting import recounts
from verifiers.math.limits import MAX_ANSWER_CHARS
from verifiers.math.wording import MONTHS

ANNOUNCED_CHARS = 4_000  # an announcement is looked for in so much of the end
ANNOUNCED = re.compile(
    r"(?:final\s+answer|answer|result|solution|option|choice)(?:\s+(?:to|of|for)\s[^.\n:$]{0,80}?)?"
    r"(?:\s*(?:\*\*|__)?\s*(?:\bis\b|\bare\b|\bwould be\b|\bwill be\b|:|=)\s*(?:\*\*|__)?:?"
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
MATH_SPAN = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$((?:[^$\\\n]|\\.)+?)(?<!\\)\$(?!\d)", re.DOTALL
)
TAKES_BACK = re.compile(  # how a sentence behind an answer begins that takes the answer back
    r"[\s.…]*(?:no\s*[,.!:;—–-]|(?:wait|hmm+|oops|actually|correction|sorry|scratch that|on second thought)\b"
    r"|I think\b[^.!?\n]{0,40}\d"
    r"|(?:(?:but|however),?\s)?(?:that|this|it)(?:'s| is) "
    r"(?:wrong|incorrect|impossible|too|not (?:right|correct|possible))\b"
    r"|(?:but|however)\b(?=[^.!?\n]{0,120}\d)[^.!?\n]{0,120}?"
    r"(?:\b(?:not|no|cannot|impossible|wrong|too|must be)\b|n't))",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z*\\<(\[]|\s*$)|\n|。|<\|")


def announced(text: str) -> tuple[str, ...]:
    """What follows the last "the answer is", unless it is a question or the next sentence takes it back."""
    last_line = LAST_LINE.search(text[-MAX_ANSWER_CHARS:])
    if last_line:
        return tuple(dict.fromkeys((last_line[1], *loosely(last_line[1]))))
    lowered = text.lower()
    position = max(lowered.rfind(word) for word in ANNOUNCING_WORDS)
    while position >= 0:
        start = max(0, position - 16)
        end = min(len(text), position + 200)
        found = ANNOUNCED.match(text, position, end) or ANNOUNCED.search(
            text, start, end
        )  # the last one, if there are two
        if found:
            break
        position = lowered.rfind("answer", 0, position)
        if position >= 0 and len(text) - position > ANNOUNCED_CHARS:
            return ()
    if position < 0 or not found or HYPOTHETICAL.search(text[max(0, found.start() - 80) : found.start()]):
        return ()
    rest = text[found.end() : found.end() + 2 * MAX_ANSWER_CHARS].lstrip(" \t*_:\n")
    rest = FILLER.sub("", rest)
    sentence = rest
    math_span = MATH_SPAN.match(rest)
    if math_span:
        tail = rest[math_span.end() : math_span.end() + 12].lstrip()
        inside = _inside(math_span)
        if re.match(r"(?:\\?%|percent|pct)", tail):
            inside += r"\%"
        ending = SENTENCE_END.search(rest, math_span.end())
        if is_taken_back(rest, ending):
            return ()
        sentence = rest[: ending.start()] if ending else rest
        around = sentence.strip(" .").removeprefix(math_span.group())
        return (inside,) if _is_prose(around) and not recounts(around) else (_untag(sentence),)
    ending = SENTENCE_END.search(rest)
    if is_taken_back(rest, ending):
        return ()
    if ending:
        sentence = rest[: ending.start()]
    sentence = _untag(_without_reason(sentence))
    if not sentence:
        return ()
    return tuple(dict.fromkeys((sentence, *loosely(sentence))))


def is_taken_back(text: str, ending: "re.Match[str] | None") -> bool:
    """Whether a sentence that ends there is a question, or is followed by one that takes it back."""
    return ending is not None and (ending.group() == "?" or TAKES_BACK.match(text, ending.end()) is not None)


def _without_reason(sentence: str) -> str:
    """`15 (since 3*5 = 15)` and `12, which is an integer` as what they state."""
    found = REASON.search(sentence)
    if found is None or (
        not found[0].strip(" ,(") and not AFTERTHOUGHT.fullmatch(sentence[found.end() :].strip(" .!"))
    ):
        return sentence
    return sentence[: found.start()]


FINAL_ANSWER = re.compile(r"final answer\**\s*(?:is|:)\s*:?\s*(?=[$\d-]|\\\(|\\\[)", re.IGNORECASE)


def final_answer(text: str) -> tuple[str, ...]:
    """A final answer that is announced in so many words behind the last mark, and replaces it."""
    return announced(text[-4_000:]) if FINAL_ANSWER.search(text[-4_000:]) else ()


CONCLUDED_VALUE = re.compile(
    r"(?:\b[A-Za-z]{2,}\s+(?:[-+*/().,$×\\\d\s]|(?<=\d\s)x(?=\s\\?\$?\d))*\d\s*="  # arithmetic: "makes 9 * 2 = 18"
    r"|\b(?:is|are|equals|be|(?<!divisible )(?<!divided )(?<!multiplied )by|was|total of"
    r"|have|has|makes?|costs?|takes?|needs?|gets?)\b\s*:?"
    r"|(?<![\w^+*/)-])(?<![\w^+*/)-]\s)[A-Za-z]+\s*=)\s*\**\s*"  # a name alone: "y = 5", but not "x + y = 5"
    r"(?P<value>\$[^$]+\$|\\\(.+?\\\)|\\\[.+?\\\]|(?:[-$€£]|\\\$){0,2}\d[\d,./]*\d?\s?\\?%?)"
    r"(?:\s?(?:[cmk]?m[²³]|€|£))?(?:\*\*(?!\S))?(?![\w^+*/=-])",
    re.IGNORECASE | re.ASCII,
)
STATED = re.compile(
    r"\b(?:which|it|this|that|answer|number|result|total|value)(?:\s+is|'s|\s+equals)\s+"
    r"(?P<value>[-$€£]{0,2}\d[\d,./]*)(?:\s?(?:[cmk]?m[²³]|[€£%]))?\s*[.!]?\s*\Z",
    re.IGNORECASE | re.ASCII,
)
HEDGE = re.compile(
    r"\b(?:or|and|if|whether|either|maybe|perhaps|might|may|could|would|unless|half|twice|of|assum\w*|suppos\w*)\b",
    re.IGNORECASE,
)
ONE_OF_SEVERAL = re.compile(r"=\s*\$?[-\d./]+\$?\s*(?:,|,?\s*\b(?:and|or)\b)\s*\$?\Z")  # x = 41, y =
SHARE = re.compile(
    r"(?:\b(?:half|third|quarter|fourth|fifth|sixth|tenth|double|triple|percent|most|all|out|rest|sum|product)s?|%|\d)\s+\Z",
    re.IGNORECASE,
)
ASSUMED = re.compile(r"\b(?:assum\w*|suppos\w*|imagin\w*|pretend\w*)\b[^,\n]*\Z", re.IGNORECASE)
CONCLUSION = re.compile(r"\b(?:therefore|thus|hence|so|consequently)\b", re.IGNORECASE)
ODD_END = re.compile(r"['!]{2}|;|\?")  # 42!! and 42'' are no prose, 42? is a question
ODD_START = re.compile(r"[()]{2}\s*\Z")
# Possessive: a long word must not be tried in all the ways that it can be cut into shorter ones.
PROSE = re.compile(r"(?:[\s,.;:!?'\"*()€£$_-]|[A-Za-z]{2,}+|\ba\b|\bI\b)*+", re.ASCII)
MISLEADING = re.compile(  # what stands before a number that is not what the sentence states
    r"\b(?:of|by|after|before|than|from|through|first|next|last|another|but|except|near|nearly|almost|close to|up to|"
    r"check|try|see|example|page|step|question|problem|case)\s+[-$€£]?\Z",
    re.IGNORECASE,
)
AMOUNT_OF = re.compile(
    r"\b(?:total|profit|cost|price|distance|value|score|average|amount|answer|result|area|length|sum|income|bill|speed|rate)"
    r"\s+of\s+[-$€£]?\Z",
    re.IGNORECASE,
)
HYPOTHETICAL = re.compile(r"\b(?:assum\w*|suppos\w*|if|whether|unless|imagine|pretend)\b[^.!?\n]*\Z", re.IGNORECASE)
ARGUMENT = re.compile(r"\s*(?:let|suppose|assume|since|if|when|given|because|consider)\b", re.IGNORECASE)
COMPUTING = re.compile(
    r"\b(?:sqrt|root|log|ln|a?r?c?(?:sin|cos|tan)h?|sec|csc|cot|exp|abs|max|min|gcd|lcm|det|floor|ceil|pi|or|"
    r"wait|hmm+|oops|actually|correction|sorry|too\s+[a-z]+|wrong|incorrect|false|never|maybe|perhaps|cannot|\w+n't|neither|nor|impossible|unlikely|doubt\w*|if|whether|instead|could|might|assum\w+|suppos\w+|let|since|because|when|differ\w*|unlike|under|below|above|more|less|fewer|greater|until|except|unless|and|not|no|minus|plus|times|over|squared?|cubed?|factorial|negative|half|"
    r"between|than|least|most|about|divided|power|percent|pct|infinity|twice|thrice|doubled?|tripled?|january|february|march|april|may|june|july|august|september|october|november|december|thousand|million|billion|hundred|dozen|lambda)\b|\s-\s|\w\(|\)\(",
    re.IGNORECASE,
)


MORE = re.compile(r"\A[\s*]+more(?=\s+(?!than\b|or\b|of\b)[A-Za-z]{2})")
MONTH = rf"(?:{'|'.join(sorted(MONTHS))})"
IN_MONTHS = re.compile(rf"\s(?:in|during)\s+{MONTH}(?:\s+and\s+{MONTH})?(?=[\s.!]*\Z)", re.IGNORECASE)


def concluded(text: str) -> tuple[str, ...]:
    """The value at the end of a last sentence that begins with "Therefore" or the like."""
    tail = re.split(r"<\||</s>|I hope it is correct", text[-3_000:])[0].rstrip()
    tail = re.sub(r"<<[^<>]*>>", "", tail)  # GSM8K's calculator notes
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z*])|\n", tail)[-1]
    if not CONCLUSION.search(sentence):
        return ()
    spans = [span.span() for span in MATH_SPAN.finditer(sentence)]
    value, begin, end = "", 0, 0
    for found in CONCLUDED_VALUE.finditer(sentence):  # the last one counts
        if not any(start < found.start("value") < stop for start, stop in spans):
            value, begin, end = found["value"], found.start(), found.end()
    if SHARE.search(sentence[max(0, begin - 24) : begin]) and sentence[begin:].startswith("of"):
        return ()  # "half of 18"
    if ONE_OF_SEVERAL.search(sentence[:begin]) or ASSUMED.search(sentence[:begin]):
        return ()
    after = _plainly(sentence[end:])
    return (value,) if value and _is_prose(after) and not recounts(after) and not ODD_END.match(after) else ()


def loosely(sentence: str) -> tuple[str, ...]:
    """What a sentence states: the words after its last "is", and its only number."""
    after_is = re.split(r"\s(?:is|are|equals|be|given by)\s", sentence)[-1].strip()
    return ((after_is,) if after_is else ()) + _only_number(sentence)


def _is_prose(text: str) -> bool:
    """Whether words around a number only name it: "18 dollars a day", but not "18 squared" or "18 + x"."""
    return PROSE.fullmatch(text) is not None and COMPUTING.search(text) is None


def _plainly(after: str) -> str:
    """What follows a number, without words that only look as if they computed: "15 more apples", "in April and May"."""
    return IN_MONTHS.sub("", MORE.sub(" ", after))


def _only_number(text: str) -> tuple[str, ...]:
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
    after = _plainly(after)
    return (numbers[0].group(),) if _is_prose(before + " " + after) and not recounts(after) else ()


def _untag(sentence: str) -> str:
    return sentence.strip().strip('*"').strip()


def _inside(span: re.Match[str]) -> str:
    return next(group for group in span.groups() if group is not None).strip()


def looks_bare(text: str) -> bool:
    """Whether a text can be an answer and nothing else: short and not several sentences of prose."""
    if ARGUMENT.match(text):
        return False
    outside = MATH_SPAN.sub(" ", text)
    words = re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", re.sub(r"\\[a-z]+\s*\{[^{}]*\}", " ", outside))
    return len(words) <= 12


MERE_PROSE = re.compile(r"[A-Za-z\s.,;:!?'*-]+", re.ASCII)


def is_mere_prose(text: str) -> bool:
    """Whether a text has neither a number nor a formula and more words than a text answer: `The answer is clearly`."""
    return MERE_PROSE.fullmatch(text) is not None and len(text.split()) > 3


def bare(text: str) -> tuple[str, ...]:
    spans = list(MATH_SPAN.finditer(text))
    if len(spans) == 1 and _is_prose(text[: spans[0].start()] + " " + text[spans[0].end() :]):
        return (text, _inside(spans[0]))
    stated = STATED.search(text)  # "not 41, it's 42"
    return (text, *_only_number(text), *([stated["value"]] if stated and not HEDGE.search(text) else ()))


LAST_NUMBER = re.compile(r"-?(?:\\?\$|[€£])?[0-9][0-9,]*(?:\.[0-9]+)?(?:/[0-9]+)?(?:\s?\\?%)?|-?\.[0-9]+")


def last_value(text: str) -> str:
    tail = text[-4_000:]
    best = ""
    end = -1
    for span in MATH_SPAN.finditer(tail):
        best, end = _inside(span), span.end()
    for number in LAST_NUMBER.finditer(tail, max(end, 0)):
        best = number.group().rstrip(",")
    return best
