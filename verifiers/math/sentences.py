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
MATH_SPAN = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$((?:[^$\\\n]|\\.)+?)(?<!\\)\$(?!\d)", re.DOTALL
)
TAKES_BACK = re.compile(  # how a sentence behind an answer begins that takes the answer back
    r"[\s.…]*(?:no\s*[,.!:;—–-]|(?:no wait|just kidding|wait|hmm+|oops|actually|correction|sorry|scratch that"
    r"|on second thought|hold on(?=[,.!]))\b"
    r"|I think\b[^.!?\n]{0,40}\d"
    r"|(?:or|maybe|perhaps|possibly|alternatively)\b[,\s]+(?:maybe |perhaps )?(?:is it |it is |it's )?[-$\\(]{0,3}\d"
    r"|(?:(?:but|however),?\s)?(?:that|this|it)(?:'s| is) "
    r"(?:wrong|incorrect|impossible|too|not (?:right|correct|possible))\b"
    r"|(?:but|however)\b(?=[^.!?\n]{0,120}\d)[^.!?\n]{0,120}?"
    r"(?:\b(?:not|no|cannot|impossible|wrong|too|must be)\b|n't))",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z*\\<(\[]|\s*$)|\n|。|<\|")


APPROXIMATELY = re.compile(  # "5/9, or approximately 0.556" states one value, and the parser compares both
    r"(?:,?\s+or\s+|,\s*|\s*\(\s*)(?:approximately|approx\.?|about|roughly|around)\s+"
    r"(?P<value>\$?-?\d*\.\d+\$?|\\\(-?\d*\.\d+\\\))\)?[.\s]*\Z",
    re.ASCII,
)
NOT_ANOTHER = re.compile(r"(?:,|\s*\(|\s+and|,\s+and)\s*not\s+(?P<value>\$?-?\d+(?:[./]\d+)?\$?)\)?[.\s]*\Z", re.ASCII)


def announced(text: str, words: tuple[str, ...] = ANNOUNCING_WORDS) -> tuple[str, ...]:
    """What follows the last "the answer is", unless it is a question or the next sentence takes it back."""
    last_line = LAST_LINE.search(text[-MAX_ANSWER_CHARS:])
    if last_line:
        return tuple(dict.fromkeys((last_line[1], *loosely(last_line[1]))))
    lowered = text.lower()
    position = max(lowered.rfind(word) for word in words)
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
        sentence = _one_value(rest[: ending.start()] if ending else rest)
        around = sentence.strip(" .").removeprefix(math_span.group()).removeprefix(inside)
        return (inside,) if _is_prose(around) and not recounts(around) else (_untag(sentence),)
    ending = SENTENCE_END.search(rest)
    if is_taken_back(rest, ending):
        return ()
    if ending:
        sentence = rest[: ending.start()]
    sentence = _one_value(_untag(_without_reason(sentence)))
    if not sentence:
        return ()
    return tuple(dict.fromkeys((sentence, *loosely(sentence))))


def is_taken_back(text: str, ending: "re.Match[str] | None") -> bool:
    """Whether a sentence that ends there is a question, or is followed by one that takes it back."""
    return ending is not None and (ending.group() == "?" or TAKES_BACK.match(text, ending.end()) is not None)


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
    """`15 (since 3*5 = 15)` and `12, which is an integer` as what they state."""
    found = REASON.search(sentence)
    if found is None or (
        not found[0].strip(" ,(") and not AFTERTHOUGHT.fullmatch(sentence[found.end() :].strip(" .!"))
    ):
        return sentence
    return sentence[: found.start()]


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


SQUARE_UNIT = re.compile(
    r"\A\s?(?:[cdkm]?m|ft|in|yd|mi|units?)[²³](?!\w)"
    r"|\A\s+square\s+(?=(?:units?|feet|foot|inch(?:es)?|yards?|miles?|[a-z]*met(?:er|re)s?|[ck]?m|ft|in)\b)"
)
MORE = re.compile(r"\A[\s*]+more(?=\s+(?!than\b|or\b|of\b)[A-Za-z]{2})")
MONTH = rf"(?:{'|'.join(sorted(MONTHS))})"
IN_MONTHS = re.compile(rf"\s(?:in|during)\s+{MONTH}(?:\s+and\s+{MONTH})?(?=[\s.!]*\Z)", re.IGNORECASE)


SENTENCE_START = re.compile(r"(?<=[.!?])\s+(?=[A-Z*])|\n")
SUMMARY = re.compile(
    r"\b(?:therefore|thus|hence|so|consequently|total|altogether|overall|finally|in all)\b", re.IGNORECASE
)
CHAT = re.compile(  # what an assistant says behind an answer
    r"(?:let me know|I hope|hope (?:this|that)|feel free|please (?:let me|feel)|if you (?:have|need)|thank"
    r"|is there any)[^\d$\\]*\Z",
    re.IGNORECASE,
)
MAX_CHAT_SENTENCES = 3


def without_chat(text: str) -> str:
    """Without "I hope this helps!" and the like at the end."""
    text = text.strip()
    for _ in range(MAX_CHAT_SENTENCES):
        tail = text[-300:]
        start = max((found.end() for found in SENTENCE_START.finditer(tail)), default=0)
        if start == 0 or not CHAT.match(tail, start):
            break
        text = text[: len(text) - len(tail) + start].rstrip()
    return text


def last_sentence(text: str) -> str:
    """The last sentence where it sums up what stands before it, or where nothing long does; else the whole text."""
    sentence = SENTENCE_START.split(text[-3_000:])[-1]
    if SUMMARY.search(sentence):
        return sentence
    if len(text) <= MAX_ANSWER_CHARS and sentence.endswith((".", "!")) and looks_bare(text):
        return sentence
    return text


def concluded(text: str) -> tuple[str, ...]:
    """The value at the end of a last sentence that begins with "Therefore" or the like."""
    tail = re.split(r"<\||</s>|I hope it is correct", text[-3_000:])[0].rstrip()
    tail = re.sub(r"<<[^<>]*>>", "", tail)  # GSM8K's calculator notes
    sentence = SENTENCE_START.split(tail)[-1]
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
    return IN_MONTHS.sub("", MORE.sub(" ", SQUARE_UNIT.sub(" ", after, count=1)))


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


CHOSEN_OPTION = re.compile(
    r"(?:option|choice|answer)\s+\(?([A-J])\)?\s+is\s+(?:the\s+)?(?:correct|right)"
    r"(?:\s+(?:answer|option|choice|one))?\s*[.!]?\s*\Z",
    re.IGNORECASE,
)
IS = re.compile(r"\s*(?:is|are|equals|is equal to)\s*", re.IGNORECASE)
NAMED_SPAN = re.compile(r"[^=<>,&]+")


def bare(text: str) -> tuple[str, ...]:
    """What a short text states that is an answer or one sentence."""
    chosen = CHOSEN_OPTION.search(text)
    if chosen and _is_prose(text[: chosen.start()]):
        return (chosen[1].upper(),)
    spans = list(MATH_SPAN.finditer(text))
    if len(spans) == 2 and IS.fullmatch(text[spans[0].end() : spans[1].start()]):  # The value of $x$ is $18$
        named, value = spans
        if NAMED_SPAN.fullmatch(_inside(named)) and _is_prose(text[: named.start()] + " " + text[value.end() :]):
            return (_inside(value),)
    if len(spans) == 1 and _is_prose(text[: spans[0].start()] + " " + text[spans[0].end() :]):
        return (text, _inside(spans[0]))
    stated = STATED.search(text)  # "not 41, it's 42"
    return (text, *_only_number(text), *([stated["value"]] if stated and not HEDGE.search(text) else ()))


NEW_QUESTION = re.compile(r"\n\s*(?:Q|Question|Problem|Human|User|Exercise)\b[ \d]*:")
ANSWERED = re.compile(
    r"\banswer\W{0,4}\s?(?:is|:|should be|would be|=)(?!\s(?:approximately|about|roughly)\b)", re.IGNORECASE
)
OTHER_ANSWER = re.compile(
    r"\b(?:wrong|incorrect|false|another|other|alternative|previous|earlier|intermediate|approximate|numerical|decimal"
    r"|expected|given|reference)\s+\Z",
    re.IGNORECASE,
)
DENIED = re.compile(r"(?:\bnot|n't|\bnever|\bcannot be)[ \t]+(?:equal to |exactly )?[*$\\(\[ ]*\Z", re.IGNORECASE)
QUESTIONED = re.compile(r"[\s$*)\]\\]{0,6}\?")
SHOULD_BE = re.compile(r"\b(?:it|that|this) should (?:be|have been)\s+")
ERROR = (
    r"\b(?:this|that|it|which|my answer|the answer)(?:'s| is| was) "
    r"(?:wrong|incorrect|not (?:right|correct))\b"
    r"|\b(?:cannot|can't) be (?:right|correct)\b|\bI(?:'ve| have)? made an? (?:[a-z]+ )?(?:error|mistake)\b"
    r"|\bI (?:meant|forgot|miscalculated|misread)\b|\b(?:it|that|this) should (?:be|have been)\s+[-$\\(]{0,3}\d"
)
RETRACTION = re.compile(  # stricter than TAKES_BACK: "Wait, let me check this" behind a box takes nothing back
    r"[\s.…$*)\]\\]*(?:(?:correction|edit)\s*:|scratch that\b|just kidding\b|no wait\b"
    r"|(?:no|wait|actually|sorry|oops)[,.:;!\s]+(?:it(?:'s| is) )?[-$\\(]{0,3}\d+[).$]*\s*\Z"
    rf"|(?:(?:no|wait|hmm+|oops|actually|sorry|hold on|but|however)\b[^.!?\n]{{0,160}}?)?(?:{ERROR}))",
    re.IGNORECASE,
)


def is_denied(before: str, after: str) -> bool:
    """Whether the words around a mark deny or question it: `not \\boxed{7}`, `\\boxed{7}?`."""
    return DENIED.search(before) is not None or QUESTIONED.match(after) is not None


def revised(after: str) -> tuple[str, ...] | None:
    """What is announced behind the last mark; nothing where the mark is only taken back, `None` where it stands."""
    after = NEW_QUESTION.split(after[:ANNOUNCED_CHARS], maxsplit=1)[0]
    last = max((found.start() for found in ANSWERED.finditer(after)), default=-1)
    if last >= 0 and not OTHER_ANSWER.search(after[max(0, last - 20) : last]) and not DENIED.search(after[:last][-12:]):
        found = announced(after, ("answer",))
        if found:
            return found
    for sentence in SENTENCE_START.split(after):
        if RETRACTION.match(sentence):
            should = SHOULD_BE.search(sentence)
            return loosely("It is " + sentence[should.end() :].strip(" .!")) if should else ()
    return None


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
