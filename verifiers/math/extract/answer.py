r"""Which part of a completion is its answer.

Marks, in one left-to-right pass: `\boxed{}` and `\fbox{}`, `#### 42`, `<answer>42</answer>`. The last mark counts,
since a corrected answer replaces the earlier one; marks with nothing but punctuation between them are one list, so that
naming two answers is naming a list and not choosing. A last box that is never closed is no answer. Without a mark:
`{"answer": 42}`, "the answer is ...", then a last line or sentence that states a value, a short completion that is
nothing but an answer, and in lenient mode the last formula or number. Time is linear in the length of the text.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal

from verifiers.math.extract.announced import announced, called_answer, revised
from verifiers.math.extract.emphasis import emphasized
from verifiers.math.extract.endings import bare, closing, concluded, last_sentence, looks_bare, without_chat
from verifiers.math.extract.prose import last_value, loosely
from verifiers.math.extract.retractions import is_denied
from verifiers.math.limits import MAX_ANSWER_CHARS, MAX_COMPLETION_CHARS
from verifiers.math.rules import decide
from verifiers.math.text.choices import CHOICE
from verifiers.math.text.dressing import UNWRAPPED, undress
from verifiers.math.tree.reading import is_readable

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
END_MARKS = re.compile(r"(?:</s>|<eos>|<\|[\w-]{1,40}\|>|\s)+\Z")  # what a tokenizer leaves at the end
NAMED_ANSWER = re.compile(  # {"answer": 42}
    r'"(?:final[ _])?answer"\s*+:\s*+(?:"(?P<text>[^"\n\\]++)"|(?P<number>-?\d[\d.]*+))\s*+[,}]', re.IGNORECASE
)
MAX_SUPPOSED = 8  # last marks that may answer another question
MAX_GROUP = 64  # marks that are looked at for one list
THINKING = re.compile(r"\s*<think>")
LINE_END = re.compile(r"\n|<\||</s>|<eos>")
BETWEEN_ADJACENT = re.compile(
    r"(?:[\s$.,;:&*|/~_{}-]|\\[\[\]()\\,;! ]|\\q?quad\b|\\(?:text|mathrm|textbf)\s*\{[^{}]{0,12}\}"
    r"|\b(?:and|or|und|et|ou)\b)*",
    re.IGNORECASE,
)

IF_IT_WERE = re.compile(  # "However, if we allow repetition, it would be \\boxed{16}" behind another box
    r"(?:[.!?\n]|\A)[\s$)]*(?:(?:however|but|note|otherwise|alternatively|conversely|in contrast|on the other hand)\b"
    r"[^.!?\n]*\b(?:if|with|without)\b|(?=[^.!?\n]*\b(?:were|had)\b)[^.!?\n]*\bif\b)[^.!?\n]*\bwould\b[^.!?\n]*\Z",
    re.IGNORECASE,
)
NAMED = re.compile(  # the name in "x = \\boxed{3}, y = \\boxed{4}", but not in "x + y ="
    r"(?:\A|[$,;:&(]|\\[\[(,; ]|\\q?quad|\b(?:and|or|so|is|are|have|get|gives|that|then|thus|therefore))\s*+"
    r"(?P<name>[A-Za-z](?:_\{?[A-Za-z0-9]\}?)?)\s*=\s*\Z",
    re.IGNORECASE,
)
# "1 paper and 2 bins", "x = 1 and y = 2": marks joined by a word, where nothing takes the first one back.
JOINED = re.compile(
    r"(?![^\0]*\b(?:then|so|thus|wait|actually|but|not?|hence|therefore|gives?|get|instead|rather|correct\w*|wrong|sorry)\b)"
    r"[^.!?\n=]{0,60}\b(?:and|or)\b[^.!?\n=]{0,40}(?:[A-Za-z](?:_\{?[0-9]\}?)?\s*=\s*)?",
    re.IGNORECASE,
)


@dataclass
class _Mark:
    start: int
    end: int
    content: str
    prose: bool = False  # a line or a tag may hold a sentence, a box holds an answer


def extract_answer(text: str, mode: Mode = "standard") -> Extraction:
    """The answer of a completion. `marked` reads marks and announced answers only; see the module for the others."""
    text = text[-MAX_COMPLETION_CHARS:]
    text = text[:-200] + END_MARKS.sub("", text[-200:])
    _, closed, after = text.rpartition("</think>")
    if closed:
        text = after
    elif THINKING.match(text):
        return Extraction((), "", "the thinking never ends")
    if "\\\\boxed" in text:  # escaped twice on its way here
        text = text.replace("\\\\boxed", "\\boxed")
    marks, broken = _marks(text)
    if broken:
        return Extraction((), "box", "the last box is never closed")
    marks = _without_suppositions(text, marks)
    if marks:
        group = _last_group(text, marks)
        joined = _join(group)
        before, after = text[max(0, marks[-1].start - 40) : marks[-1].start], text[marks[-1].end :]
        later = revised(after)
        if later and replaces(later[0], joined):
            return Extraction(later, "announced")
        if later == () or (later is None and is_denied(before, after)):
            return Extraction((), "mark", "the last mark is taken back")
        return Extraction((joined, *in_words(group, marks[-1])), "mark", parts=tuple(group))
    if '"' in text and (named := list(NAMED_ANSWER.finditer(text))):
        return Extraction((named[-1]["text"] or named[-1]["number"],), "mark")
    stripped = without_chat(text)
    if found := called_answer(stripped) or announced(stripped):
        return Extraction(found, "announced")
    if mode == "marked":
        return Extraction((), "", "no marked answer")
    if found := concluded(stripped) or closing(stripped) or emphasized(stripped):
        return Extraction(found, "concluded")
    last = last_value(text) if mode == "lenient" else ""
    sentence = last_sentence(stripped)
    if sentence and len(sentence) <= MAX_ANSWER_CHARS and looks_bare(sentence):
        return Extraction((*bare(sentence), *filter(None, [last])), "bare")
    if last:
        return Extraction((last,), "last value")
    return Extraction((), "", "no marked answer" if stripped else "an empty completion")


STARTS_WITH_A_WORD = re.compile(r"[a-z]{3}", re.IGNORECASE)


def replaces(later: str, marked: str) -> bool:
    """Whether an announcement behind a mark states another value, and one of the same kind; `correct` is none."""
    later, marked = undress(later), undress(marked)
    if CHOICE.fullmatch(later):
        return CHOICE.fullmatch(marked) is not None and not decide(later, marked).same
    if STARTS_WITH_A_WORD.match(later) or not any(character.isdigit() for character in later):
        return False
    if not is_readable(later) or "\\approx" in later:
        return False
    return not decide(later, marked).same


def in_words(group: list[str], mark: "_Mark") -> tuple[str, ...]:
    """What a marked sentence states, where the mark holds a sentence and not just an answer."""
    if len(group) != 1 or len(group[0]) > MAX_ANSWER_CHARS:
        return ()
    sentence = UNWRAPPED.sub(r" \1 ", group[0]).replace(r"\ ", " ").replace(r"\$", "$")
    stated = mark.prose or r"\text" in group[0] or sentence.startswith("USD")
    return loosely(sentence) if stated else ()


def _marks(text: str) -> tuple[list[_Mark], bool]:
    """All outermost complete marks in order, and whether the last box is broken."""
    marks: list[_Mark] = []
    stack: list[int] = []  # for each open brace: where its box starts, or -1
    open_boxes = 0
    broken_after = -1  # where a box without an argument starts
    pending: tuple[int, int] | None = None  # a box command, and where its brace must open
    tag_opened = -1
    after_hashes: list[int] = []
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
            after_hashes.append(found.end())
        elif len(token) > 2:
            follows = text[found.end() : found.end() + 1]
            if follows == "{":
                pending = (found.start(), found.end())
            elif follows and follows not in "\n$\\":
                if open_boxes == 0:
                    marks.append(_Mark(found.start(), found.end() + 1, follows))
            else:
                broken_after = found.start()
    if after_hashes:
        marks += _line_marks(text, after_hashes[-MAX_GROUP:], marks)
        marks.sort(key=lambda mark: mark.start)
    unclosed = max((box for box in stack if box >= 0), default=-1)
    last_start = marks[-1].start if marks else -1
    return marks, max(unclosed, broken_after) >= 0 and (unclosed >= 0 or broken_after > last_start)


def _without_suppositions(text: str, marks: list[_Mark]) -> list[_Mark]:
    """Without the last marks that only say what the answer would be if something else were asked."""
    kept = len(marks)
    while kept > max(1, len(marks) - MAX_SUPPOSED):
        gap = text[marks[kept - 2].end : marks[kept - 1].start]
        if not IF_IT_WERE.search(gap[-300:]):
            break
        kept -= 1
    return marks[:kept]


def _line_marks(text: str, starts: list[int], marks: list[_Mark]) -> list[_Mark]:
    """The lines behind `####`, except those that hold one of `marks` (in order): a box is its line's mark."""
    lines: list[_Mark] = []
    for start in starts:
        line = LINE_END.split(text[start : start + 2 * MAX_ANSWER_CHARS], maxsplit=1)[0]
        first = bisect_left(marks, start, key=lambda mark: mark.start)
        holds_a_mark = first < len(marks) and marks[first].end <= start + len(line)
        if line.strip() and not holds_a_mark:
            lines.append(_Mark(start - 4, start + len(line), line, prose=True))
    return lines


def _last_group(text: str, marks: list[_Mark]) -> list[str]:
    """The contents of the last mark and of those that adjoin it, with their names where each has its own."""
    group = [marks[-1]]
    names = [_name_before(text, marks[-1])] if len(marks) > 1 else [""]
    for mark in reversed(marks[:-1]):
        gap = text[mark.end : group[0].start]
        name = _name_before(text, mark)
        if len(gap) > 200 or len(group) > MAX_GROUP:
            break
        between = gap.rstrip(" =")[: -len(names[0])] if name and names[0] else gap  # without the name of the next
        if not (BETWEEN_ADJACENT.fullmatch(between) or JOINED.fullmatch(gap)):
            break
        group.insert(0, mark)
        names.insert(0, name)
    named = len(group) > 1 and "" not in names and len(set(names)) == len(names)
    contents: list[str] = []
    for mark, name in zip(group, names, strict=True):
        content = mark.content.strip()
        content = f"{name}={content}" if named and "=" not in content else content
        if content not in contents:
            contents.append(content)
    last = marks[-1].end
    suffix = re.match(r"\s*(\\?%|percent\b|pct\b)", text[last : last + 40].lstrip("$\\)] \t"))
    if suffix and len(contents) == 1:
        return [contents[0] + r"\%"]
    return contents


def _name_before(text: str, mark: _Mark) -> str:
    named = NAMED.search(text[max(0, mark.start - 24) : mark.start])
    return named["name"] if named else ""


def _join(contents: list[str]) -> str:
    return ", ".join(contents)
