r"""Which part of a completion is its answer.

Marks, in one left-to-right pass: `\boxed{}` and `\fbox{}`, `#### 42`, `<answer>42</answer>`. The last mark counts,
since a corrected answer replaces the earlier one; marks with nothing but punctuation between them are one list, so that
naming two answers is naming a list and not choosing. A last box that is never closed is no answer. Without a mark:
"the answer is ...", then a short completion that is nothing but an answer, and in lenient mode the last formula or
number. Time is linear in the length of the text.
"""

import re
from dataclasses import dataclass
from typing import Literal

from verifiers.math.limits import MAX_ANSWER_CHARS, MAX_COMPLETION_CHARS

Mode = Literal["marked", "standard", "lenient"]


@dataclass(frozen=True)
class Extraction:
    """The candidates for the answer, the most literal first, or none and the reason."""

    candidates: tuple[str, ...]
    source: str
    detail: str = ""
    parts: tuple[str, ...] = ()  # the marks that make up one list: they may also be one answer, said several times


MARK = re.compile(
    r"\\(?:boxed|fbox)(?![A-Za-z])\s*|\\[{}\\]|[{}]|^[ \t]*#{4}(?!#)|(?<=[\s.])#{4}(?!#)|</?answer>",
    re.MULTILINE | re.IGNORECASE,
)
LINE_END = re.compile(r"\n|<\||</s>|<eos>")
BETWEEN_ADJACENT = re.compile(
    r"(?:[\s$.,;:&*|/~_{}-]|\\[\[\]()\\,;! ]|\\q?quad\b|\\(?:text|mathrm|textbf)\s*\{[^{}]{0,12}\}"
    r"|\b(?:and|or|und|et|ou)\b)*",
    re.IGNORECASE,
)


@dataclass
class _Mark:
    start: int
    end: int
    content: str
    prose: bool = False  # a line or a tag may hold a sentence, a box holds an answer


def extract(text: str, mode: Mode = "standard") -> Extraction:
    """The answer of a completion. `marked` reads marks and announced answers only; see the module for the others."""
    text = text[-MAX_COMPLETION_CHARS:]
    _, closed, after = text.rpartition("</think>")
    if closed:
        text = after
    if "\\\\boxed" in text:  # escaped twice on its way here
        text = text.replace("\\\\boxed", "\\boxed")
    marks, broken = _marks(text)
    if broken:
        return Extraction((), "box", "the last box is never closed")
    if marks:
        if len(text) - marks[-1].end > 12 and (final := _final_answer(text[marks[-1].end :])):
            return Extraction(final, "announced")
        group = _last_group(text, marks)
        joined = _join(group)
        loose = _loosely(joined) if len(group) == 1 and marks[-1].prose else ()
        return Extraction((joined, *loose), "mark", parts=tuple(group))
    announced = _announced(text)
    if announced:
        return Extraction(announced, "announced")
    if mode == "marked":
        return Extraction((), "", "no marked answer")
    concluded = _concluded(text)
    if concluded:
        return Extraction(concluded, "concluded")
    stripped = text.strip()
    if stripped and len(stripped) <= MAX_ANSWER_CHARS and _looks_bare(stripped):
        return Extraction(_bare(stripped), "bare")
    if mode == "lenient" and (last := _last_value(text)):
        return Extraction((last,), "last value")
    return Extraction((), "", "no marked answer" if stripped else "an empty completion")


def _marks(text: str) -> tuple[list[_Mark], bool]:
    """All outermost complete marks in order, and whether the last box is broken."""
    marks: list[_Mark] = []
    stack: list[int] = []  # for each open brace: where its box starts, or -1
    open_boxes = 0
    broken_after = -1  # where a box without an argument starts
    pending: tuple[int, int] | None = None  # a box command, and where its brace must open
    tag_opened = -1
    line_marks: list[int] = []
    for found in MARK.finditer(text):
        token = found.group()
        lead = token[0]
        if lead == "{":
            if pending is not None and pending[1] == found.start():
                stack.append(pending[0])
                open_boxes += 1
                pending = None
            else:
                stack.append(-1)
        elif lead == "}":
            if stack and (box := stack.pop()) >= 0:
                open_boxes -= 1
                if open_boxes == 0:
                    inside = text.index("{", box) + 1
                    marks.append(_Mark(box, found.end(), text[inside : found.start()]))
        elif lead == "<":
            if token[1] != "/":
                tag_opened = found.end()
            elif tag_opened >= 0:
                content = text[tag_opened : found.start()]
                start = tag_opened - len("<answer>")
                while marks and marks[-1].start >= start:
                    marks.pop()
                inner, inner_broken = _marks(content)
                if inner_broken:
                    broken_after = start
                else:
                    value = _join([mark.content for mark in inner]) if inner else content
                    marks.append(_Mark(start, found.end(), value, prose=True))
                tag_opened = -1
        elif token.lstrip().startswith("#"):
            line_marks.append(found.end())
        elif len(token) > 2:
            follows = text[found.end() : found.end() + 1]
            if follows == "{":
                pending = (found.start(), found.end())
            elif follows and follows not in "\n$\\":
                if open_boxes == 0:
                    marks.append(_Mark(found.start(), found.end() + 1, follows))
            else:
                broken_after = found.start()
    for start in line_marks:
        line = LINE_END.split(text[start : start + 2 * MAX_ANSWER_CHARS], maxsplit=1)[0]
        inner, _ = _marks(line) if "\\boxed" in line or "\\fbox" in line else ([], False)
        if not inner and line.strip():
            marks.append(_Mark(start - 4, start + len(line), line, prose=True))
    if line_marks:
        marks.sort(key=lambda mark: mark.start)
    unclosed = max((box for box in stack if box >= 0), default=-1)
    last_start = marks[-1].start if marks else -1
    return marks, max(unclosed, broken_after) >= 0 and (unclosed >= 0 or broken_after > last_start)


def _last_group(text: str, marks: list[_Mark]) -> list[str]:
    """The contents of the last mark and of those that adjoin it."""
    group = [marks[-1]]
    for mark in reversed(marks[:-1]):
        gap = text[mark.end : group[0].start]
        if len(gap) > 200 or not BETWEEN_ADJACENT.fullmatch(gap):
            break
        group.insert(0, mark)
        if len(group) > 64:
            break
    contents: list[str] = []
    for mark in group:
        if mark.content.strip() not in contents:
            contents.append(mark.content.strip())
    last = marks[-1].end
    suffix = re.match(r"\s*(\\?%|percent\b|pct\b)", text[last : last + 40].lstrip("$\\)] \t"))
    if suffix and len(contents) == 1:
        return [contents[0] + r"\%"]
    return contents


def _join(contents: list[str]) -> str:
    return ", ".join(contents)


ANNOUNCED_CHARS = 4_000  # an announcement is looked for in so much of the end
ANNOUNCED = re.compile(
    r"(?:final\s+answer|answer|result|solution)(?:\s+(?:to|of|for)\s[^.\n:$]{0,80}?)?"
    r"(?:\s*(?:\*\*|__)?\s*(?:\bis\b|\bare\b|\bwould be\b|\bwill be\b|:|=)\s*(?:\*\*|__)?:?"
    r"|\s*(?:\*\*)?\s*(?=\$|\\\[|\\\())",
    re.IGNORECASE,
)
MATH_SPAN = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$((?:[^$\\\n]|\\.)+?)(?<!\\)\$", re.DOTALL)
SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z*\\<(\[]|\s*$)|\n|<\|")


def _announced(text: str) -> tuple[str, ...]:
    """What follows the last "the answer is"."""
    lowered = text.lower()
    position = max(lowered.rfind("answer"), lowered.rfind("answer is"))
    while position >= 0:
        start = max(0, position - 7)
        found = ANNOUNCED.search(text, start, min(len(text), position + 200))
        if found:
            break
        position = lowered.rfind("answer", 0, position)
        if position >= 0 and len(text) - position > ANNOUNCED_CHARS:
            return ()
    if position < 0 or not found:
        return ()
    rest = text[found.end() : found.end() + 2 * MAX_ANSWER_CHARS].lstrip(" \t*_:\n")
    sentence = rest
    math_span = MATH_SPAN.match(rest)
    if math_span:
        tail = rest[math_span.end() : math_span.end() + 12].lstrip()
        inside = _inside(math_span)
        if re.match(r"(?:\\?%|percent|pct)", tail):
            inside += r"\%"
        following = SENTENCE_END.search(rest, math_span.end())
        sentence = rest[: following.start()] if following else rest
        around = sentence.strip(" .").removeprefix(math_span.group())
        return (inside,) if _is_prose(around) else (_untag(sentence),)
    ending = SENTENCE_END.search(rest)
    if ending:
        sentence = rest[: ending.start()]
    sentence = _untag(sentence)
    if not sentence:
        return ()
    return tuple(dict.fromkeys((sentence, *_loosely(sentence))))


FINAL_ANSWER = re.compile(r"final answer\**\s*(?:is|:)\s*:?\s*(?=[$\d-]|\\\(|\\\[)", re.IGNORECASE)


def _final_answer(text: str) -> tuple[str, ...]:
    """A final answer that is announced in so many words behind the last mark, and replaces it."""
    return _announced(text[-4_000:]) if FINAL_ANSWER.search(text[-4_000:]) else ()


CONCLUDED_VALUE = re.compile(
    r"(?:\b(?:is|are|equals|be|by|was|of|have|has|makes?|costs?|takes?|needs?|gets?)\b\s*:?|[=:])\s*\**\s*"
    r"(?P<value>\$[^$]+\$|\\\(.+?\\\)|\\\[.+?\\\]|[-$€£]{0,2}\d[\d,./]*\d?\s?\\?%?)(?![\w^+*/=-])",
    re.IGNORECASE,
)
CONCLUSION = re.compile(r"\b(?:therefore|thus|hence|so|consequently)\b", re.IGNORECASE)
PROSE = re.compile(r"(?:[\s,.;:!?'\"*()€£$_-]|[A-Za-z]{2,}|\ba\b|\bI\b)*", re.ASCII)
COMPUTING = re.compile(
    r"\b(?:sqrt|root|log|ln|sin|cos|tan|pi|or|and|not|no|minus|plus|times|over|squared?|cubed?|factorial|negative|half|"
    r"between|than|least|most|about|divided|power|percent|pct|infinity|thousand|million|billion|hundred|dozen)\b|\s-\s",
    re.IGNORECASE,
)


def _concluded(text: str) -> tuple[str, ...]:
    """The value at the end of a last sentence that begins with "Therefore" or the like."""
    tail = re.split(r"<\||</s>|I hope it is correct", text[-3_000:])[0].rstrip()
    tail = re.sub(r"<<[^<>]*>>", "", tail)  # GSM8K's calculator notes
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z*])|\n", tail)[-1]
    if not CONCLUSION.search(sentence):
        return ()
    last = None
    for last in CONCLUDED_VALUE.finditer(sentence):  # noqa: B007  the last one counts
        pass
    return (last["value"],) if last and _is_prose(sentence[last.end() :]) else ()


def _loosely(sentence: str) -> tuple[str, ...]:
    """What a sentence states: the words after its last "is", and its only number."""
    after_is = re.split(r"\s(?:is|are|equals|be|by)\s", sentence)[-1].strip()
    return ((after_is,) if after_is else ()) + _only_number(sentence)


def _is_prose(text: str) -> bool:
    """Whether words around a number only name it: "18 dollars a day", but not "18 squared" or "18 + x"."""
    return PROSE.fullmatch(text) is not None and COMPUTING.search(text) is None


def _only_number(text: str) -> tuple[str, ...]:
    """The one number in a sentence that is prose otherwise."""
    numbers = list(LAST_NUMBER.finditer(text))
    if len(numbers) != 1:
        return ()
    before, after = text[: numbers[0].start()], text[numbers[0].end() :]
    if not re.search(r"[A-Za-z]{2}", before + after) or re.match(r"\w", after) or re.search(r"\w$", before):
        return ()
    return (numbers[0].group(),) if _is_prose(before + " " + after) else ()


def _untag(sentence: str) -> str:
    return sentence.strip().strip('*"').strip()


def _inside(span: re.Match[str]) -> str:
    return next(group for group in span.groups() if group is not None).strip()


def _looks_bare(text: str) -> bool:
    """Whether a text can be an answer and nothing else: short and not several sentences of prose."""
    outside = MATH_SPAN.sub(" ", text)
    words = re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", re.sub(r"\\[a-z]+\s*\{[^{}]*\}", " ", outside))
    return len(words) <= 12


def _bare(text: str) -> tuple[str, ...]:
    spans = list(MATH_SPAN.finditer(text))
    if len(spans) == 1 and _is_prose(text[: spans[0].start()] + " " + text[spans[0].end() :]):
        return (text, _inside(spans[0]))
    return (text, *_only_number(text))


LAST_NUMBER = re.compile(r"-?[$€£]?[0-9][0-9,]*(?:\.[0-9]+)?(?:/[0-9]+)?(?:\s?\\?%)?|-?\.[0-9]+")


def _last_value(text: str) -> str:
    tail = text[-4_000:]
    best = ""
    end = -1
    for span in MATH_SPAN.finditer(tail):
        best, end = _inside(span), span.end()
    for number in LAST_NUMBER.finditer(tail, max(end, 0)):
        best = number.group().rstrip(",")
    return best
