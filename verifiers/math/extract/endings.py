"""The end of a completion with no marked or announced answer: a conclusion, or a text that is only an answer."""

import re

from verifiers.math.extract.prose import (
    DOUBTING,
    MATH_SPAN,
    ODD_END,
    SENTENCE_START,
    is_prose,
    one_of,
    only_number,
    plainly,
    spanned,
)
from verifiers.math.limits import MAX_ANSWER_CHARS
from verifiers.math.text.counting import CARDINALS, WORD, recounts
from verifiers.math.text.dressing import undress
from verifiers.math.text.numbers import read_number
from verifiers.math.text.vocabulary import words

SUMMARY = re.compile(
    r"\b(?:therefore|thus|hence|so(?! far\b)|consequently|total|altogether|overall|finally|in all)\b", re.IGNORECASE
)
CHAT = re.compile(  # what an assistant says behind an answer
    r"(?:let me know|I hope|hope (?:this|that)|feel free|please (?:let me|feel)|if you (?:have|need)|thank"
    r"|is there any|this (?:checks out|is consistent|agrees|matches|satisfies)|(?:great|good) (?:question|luck)"
    r"|happy to help)[^\d$\\]*\Z",
    re.IGNORECASE,
)
DECORATION = re.compile("[\U0001f300-\U0001faff\u2705\u2713\u2714\u2728\ufe0f\\s]+\\Z")  # but no crosses
MAX_CHAT_SENTENCES = 3
CONCLUSION = re.compile(r"\b(?:therefore|thus|hence|so(?! far\b)|consequently)\b", re.IGNORECASE)
TOTALLING = re.compile(r"(?:in total|altogether|in all|overall|finally)\b,?", re.IGNORECASE)  # only of a whole sentence
CONCLUDED_VALUE = re.compile(
    r"(?:\b(?!(?:not|never|than)\b)[A-Za-z]{2,}\s+"  # arithmetic: "makes 9 * 2 = 18"
    r"(?:[-+*/().,$×\\\d\s]|(?<=\d\s)x(?=\s\\?\$?\d))*\d\s*="
    r"|\b(?:is|are|equals|be|(?<!divisible )(?<!divided )(?<!multiplied )by|was|total of"
    r"|have|has|makes?|costs?|takes?|needs?|gets?)\b\s*:?"
    r"|(?<![\w^+*/)-])(?<![\w^+*/)-]\s)[A-Za-z]+\s*=)\s*\**\s*"  # a name alone: "y = 5", but not "x + y = 5"
    r"(?P<value>\$[^$]+\$|\\\(.+?\\\)|\\\[.+?\\\]|(?:[-$€£]|\\\$){0,2}\d[\d,./]*\d?\s?\\?%?)"
    r"(?:\s?(?:[cmk]?m[²³]|€|£))?(?:\*\*(?!\S))?(?![\w^+*/=-])",
    re.IGNORECASE | re.ASCII,
)
SHARE = re.compile(
    r"(?:\b(?:half|third|quarter|fourth|fifth|sixth|tenth|double|triple|percent|most|all|out|rest|sum|product)s?|%|\d)\s+\Z",
    re.IGNORECASE,
)
ONE_OF_SEVERAL = re.compile(r"=\s*\$?[-\d./]+\$?\s*(?:,|,?\s*\b(?:and|or)\b)\s*\$?\Z")  # x = 41, y =
ASSUMED = re.compile(r"\b(?:assum\w*|suppos\w*|imagin\w*|pretend\w*)\b[^,\n]*\Z", re.IGNORECASE)
STATED = re.compile(
    r"\b(?:which|it|this|that|answer|number|result|total|value)(?:\s+is|'s|\s+equals)\s+"
    r"(?P<value>[-$€£]{0,2}\d[\d,./]*)(?:\s?(?:[cmk]?m[²³]|[€£%]))?\s*[.!]?\s*\Z",
    re.IGNORECASE | re.ASCII,
)
HEDGE = re.compile(
    r"\b(?:or|and|if|whether|either|maybe|perhaps|might|may|could|would|unless|half|twice|of|assum\w*|suppos\w*)\b",
    re.IGNORECASE,
)
STATING = (
    "is|are|was|were|equals|(?:will )?have|has|had|makes?|made|costs?|takes?|took|needs?|gets?|got|earns?|earned|pays?"
    "|paid|spends?|spent|saves?|saved|sells?|sold|scores?|scored|collects?|collected|finds?|found|receives?|received|runs?|ran"
    "|ate|uses?|used|weighs?|leaves?|owes?|gains?|gained"
)
CLOSING = re.compile(  # a subject, a verb that states, a value, and what it counts
    rf"(?!\D*\b(?:[Ee]ach|[Ee]very)\b)[A-Z][\w'-]*(?:\s[\w'-]+){{0,8}}?\s(?<!\b[Tt]o\s)(?:{STATING})\s"
    r"(?:a total of\s|exactly\s)?[-$\\(*€£]*\d[\d,./]*%?[\\)$*]*(?:\s[a-zA-Z'-]+){0,9}[.!]\**",
    re.ASCII,
)
SAYING = words(
    r"""says? said told thinks? thought believes? claim\w* recall remember bounds? candidates? problem question
    book page"""
)
NOT_STATED = re.compile(one_of(SAYING), re.IGNORECASE)
UNSURE = re.compile(  # words of a line that states nothing, or takes back what it states
    one_of(
        DOUBTING
        | SAYING
        | words(
            r"""note notice know given not try check seems? appears? looks? expect\w* hop\w+ want\w* meant
            originally initial\w* before first start\w* began would should may either possibl[ey]
            hypothes\w+ conjectur\w+ theorem lemma trap goal target another show remains\sto
            so\sfar short off used\sto step next trial attempt example sample digits? even odd prime"""
        )
    ),
    re.IGNORECASE,
)
ARGUMENT = re.compile(r"\s*(?:let|suppose|assume|since|if|when|given|because|consider)\b", re.IGNORECASE)
LAST_LINE = re.compile(r"(?:\A|\n)[ \t]*+((?:\\\[|\$\$)\s*+[^\n$]++\n\s*+(?:\\\]|\$\$)|[^\n]++)\s*+\Z")
MAX_LINE_CHARS = 80  # of one that is nothing but a number
UNIT_OF_LINE = re.compile(
    r"(?P<value>[-$\\]*[\d,.]*\d) (?:(?:an?|per|each|every) )?[A-Za-z]{3,}(?: [A-Za-z]{3,})?", re.ASCII
)
LEADS_ON = re.compile(  # a line behind which a number is one of several, or the rest of a formula
    r"(?:\b(?:or|and|not|by|than|of|if|to|from|plus|minus|times|try|say|maybe|perhaps)|[-+*/=^<>,(&×÷])[\s$*]*\Z",
    re.IGNORECASE,
)
SEVERAL = re.compile(r"\b(?:options|choices|values|numbers|divisors|factors|steps|answers|solutions)\b", re.IGNORECASE)
MERE_PROSE = re.compile(r"[A-Za-z\s.,;:!?'*-]+", re.ASCII)
CHOSEN_OPTION = re.compile(
    r"(?:option|choice|answer)\s+\(?([A-J])\)?\s+is\s+(?:the\s+)?(?:correct|right)"
    r"(?:\s+(?:answer|option|choice|one))?\s*[.!]?\s*\Z",
    re.IGNORECASE,
)
IS = re.compile(r"\s*(?:is|are|equals|is equal to)\s*", re.IGNORECASE)
NAMED_SPAN = re.compile(r"[^=<>,&]+")


def without_chat(text: str) -> str:
    """Without "I hope this helps!" and the like at the end."""
    text = text[:-40] + DECORATION.sub("", text[-40:])
    text = text.strip()
    for _ in range(MAX_CHAT_SENTENCES):
        tail = text[-300:]
        start = max((match.end() for match in SENTENCE_START.finditer(tail)), default=0)
        if start == 0 or not CHAT.match(tail, start):
            break
        text = text[: len(text) - len(tail) + start].rstrip()
    return text


def last_sentence(text: str) -> str:
    """The last sentence if it sums up the text, or if the text before it is short; else the whole text."""
    sentence = SENTENCE_START.split(text[-3_000:])[-1]
    if SUMMARY.search(sentence):
        return sentence
    if len(text) <= MAX_ANSWER_CHARS and sentence.endswith((".", "!")) and looks_bare(text):
        return sentence
    return text


def concluded(text: str) -> tuple[str, ...]:
    """The value at the end of a last sentence that says "therefore", or begins with "In total" and is complete."""
    tail = re.split(r"<\||</s>|I hope it is correct", text[-3_000:])[0].rstrip()
    tail = re.sub(r"<<[^<>]*>>", "", tail)  # GSM8K's calculator notes
    sentence = SENTENCE_START.split(tail)[-1]
    total = TOTALLING.match(sentence)
    if total and sentence.endswith((".", "!")) and not UNSURE.search(sentence):
        sentence = "total" + sentence[total.end() :]  # without a comma before the arithmetic
    elif not CONCLUSION.search(sentence):
        return ()
    spans = [span.span() for span in MATH_SPAN.finditer(sentence)]
    value, begin, end = "", 0, 0
    for match in CONCLUDED_VALUE.finditer(sentence):  # the last one counts
        if not any(start < match.start("value") < stop for start, stop in spans):
            value, begin, end = match["value"], match.start(), match.end()
    if not total and not CONCLUSION.search(sentence[:end]):
        return ()  # "It is 5, so we add one"
    if SHARE.search(sentence[max(0, begin - 24) : begin]) and sentence[begin:].startswith("of"):
        return ()  # "half of 18"
    if ONE_OF_SEVERAL.search(sentence[:begin]) or ASSUMED.search(sentence[:begin]):
        return ()
    after = plainly(sentence[end:])
    return (value,) if value and is_prose(after) and not recounts(after) and not ODD_END.match(after) else ()


def closing(text: str) -> tuple[str, ...]:
    """The number that is all of a last line, or that a last sentence states: `18`, "She makes 18 dollars a day."

    A sentence counts only if it is complete, and a line only if the line before does not lead on to it. Otherwise the
    completion may have been cut off, or may list numbers.
    """
    line = LAST_LINE.search(text[-400:])
    before = text[: -len(line[0])].rstrip()[-400:] if line else ""
    if line and before and (value := _number_of_line(line[1])):
        lead = before.rpartition("\n")[2]
        return () if _number_of_line(lead) or leads_on(lead) else (value,)
    *others, sentence = SENTENCE_START.split(text[-MAX_ANSWER_CHARS:])
    sentence = sentence.strip("*")
    if not others or not CLOSING.fullmatch(sentence) or UNSURE.search(sentence) or ARGUMENT.match(others[-1]):
        return ()
    counted = not CARDINALS.isdisjoint(WORD.findall(sentence.lower()))
    return () if counted or ARGUMENT.match(sentence) else only_number(sentence)


def leads_on(line: str) -> bool:
    """Whether a line makes what follows it one of several, a guess, or the rest of a sentence or formula."""
    finished = line.endswith((*".:!?)]}$*|0123456789", " is", " are", " get", " equals", "nswer")) or "=" in line
    if not finished or ARGUMENT.match(line) or LEADS_ON.search(line):
        return True
    return line.endswith(":") and (UNSURE.search(line) or SEVERAL.search(line)) is not None


def _number_of_line(line: str) -> str:
    """The number of a line that is only a number, perhaps with its unit; empty for other lines and for `18.`"""
    plain = undress(line) if len(line) <= MAX_LINE_CHARS else ""
    if line.rstrip().endswith((".", ",", ";", ":")) or not plain.lstrip("-$\\")[:1].isdigit():
        return ""
    counted = UNIT_OF_LINE.fullmatch(plain)
    if counted is not None and not recounts(plain) and is_prose(plain[counted.end("value") :]):
        plain = counted["value"]
    return plain if read_number(plain) is not None else ""


def looks_bare(text: str) -> bool:
    """Whether a text can be only an answer: it is short, and not several sentences of prose."""
    if ARGUMENT.match(text):
        return False
    outside = MATH_SPAN.sub(" ", text)
    words = re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", re.sub(r"\\[a-z]+\s*\{[^{}]*\}", " ", outside))
    return len(words) <= 12


def bare(text: str) -> tuple[str, ...]:
    """The candidates of a short text that is only an answer, or one sentence."""
    chosen = CHOSEN_OPTION.search(text)
    if chosen and is_prose(text[: chosen.start()]):
        return (chosen[1].upper(),)
    spans = list(MATH_SPAN.finditer(text))
    if len(spans) == 2 and IS.fullmatch(text[spans[0].end() : spans[1].start()]):  # The value of $x$ is $18$
        named, value = spans
        if NAMED_SPAN.fullmatch(spanned(named)) and is_prose(text[: named.start()] + " " + text[value.end() :]):
            return (spanned(value),)
    if spans and (text.rstrip().endswith("?") or CONCLUSION.search(text, spans[-1].end())):
        return (text,)  # "It is $5$, so we add one"
    if len(spans) == 1 and is_prose(text[: spans[0].start()] + " " + text[spans[0].end() :]):
        return (text, spanned(spans[0]))
    stated = STATED.search(text)  # "not 41, it's 42"
    if NOT_STATED.search(text):
        return (text,)
    return (text, *only_number(text), *([stated["value"]] if stated and not HEDGE.search(text) else ()))


def is_mere_prose(text: str) -> bool:
    """Whether a text has no number, no formula, and too many words for a text answer: `The answer is clearly`."""
    return MERE_PROSE.fullmatch(text) is not None and len(text.split()) > 3
