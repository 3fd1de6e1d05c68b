r"""The marks of a completion: `\boxed{}` and `\fbox{}`, `#### 42`, `<answer>42</answer>`.

Found in one pass from left to right, in linear time. The last mark counts, and with it those that adjoin it: marks with
nothing but punctuation, a name or "and" and "or" between them are one list.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass

from verifiers.math.limits import MAX_ANSWER_CHARS

MARK = re.compile(
    r"\\(?:boxed|fbox)(?![A-Za-z])\s*|\\[{}\\]|[{}]|^[ \t]*#{4}(?!#)|(?<=[\s.])#{4}(?!#)|</?answer>",
    re.MULTILINE | re.IGNORECASE,
)
MAX_SUPPOSED = 8  # how many of the last marks may answer a hypothetical question
MAX_GROUP = 64  # how many marks make one list at most
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
class Mark:
    start: int
    end: int
    content: str
    prose: bool = False  # a line or a tag may hold a sentence, a box holds an answer


def find_marks(text: str) -> tuple[list[Mark], bool]:
    """All outermost complete marks in order, and whether the last box is broken."""
    marks: list[Mark] = []
    stack: list[int] = []  # for each open brace: where its box starts, or -1
    open_boxes = 0
    broken_after = -1  # where a box without an argument starts
    pending: tuple[int, int] | None = None  # a box command, and where its brace must open
    tag_opened = -1
    after_hashes: list[int] = []
    for match in MARK.finditer(text):
        token = match.group()
        lead = token[0]
        if lead == "{":
            if pending is not None and pending[1] == match.start():
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
                    marks.append(Mark(box, match.end(), text[inside : match.start()]))
        elif lead == "<":
            if token[1] != "/":
                tag_opened = match.end()
            elif tag_opened >= 0:
                content = text[tag_opened : match.start()]
                start = tag_opened - len("<answer>")
                while marks and marks[-1].start >= start:
                    marks.pop()
                inner, inner_broken = find_marks(content)
                if inner_broken:
                    broken_after = start
                else:
                    value = join([mark.content for mark in inner]) if inner else content
                    marks.append(Mark(start, match.end(), value, prose=True))
                tag_opened = -1
        elif token.lstrip().startswith("#"):
            after_hashes.append(match.end())
        elif len(token) > 2:
            follows = text[match.end() : match.end() + 1]
            if follows == "{":
                pending = (match.start(), match.end())
            elif follows and follows not in "\n$\\":
                if open_boxes == 0:
                    marks.append(Mark(match.start(), match.end() + 1, follows))
            else:
                broken_after = match.start()
    if after_hashes:
        marks += _line_marks(text, after_hashes[-MAX_GROUP:], marks)
        marks.sort(key=lambda mark: mark.start)
    unclosed = max((box for box in stack if box >= 0), default=-1)
    last_start = marks[-1].start if marks else -1
    return marks, max(unclosed, broken_after) >= 0 and (unclosed >= 0 or broken_after > last_start)


def without_suppositions(text: str, marks: list[Mark]) -> list[Mark]:
    """The marks without the last ones that only answer a hypothetical question."""
    kept = len(marks)
    while kept > max(1, len(marks) - MAX_SUPPOSED):
        gap = text[marks[kept - 2].end : marks[kept - 1].start]
        if not IF_IT_WERE.search(gap[-300:]):
            break
        kept -= 1
    return marks[:kept]


def _line_marks(text: str, starts: list[int], marks: list[Mark]) -> list[Mark]:
    """The lines after `####`, except those that hold one of `marks` (sorted): there the box is the mark."""
    lines: list[Mark] = []
    for start in starts:
        line = LINE_END.split(text[start : start + 2 * MAX_ANSWER_CHARS], maxsplit=1)[0]
        first = bisect_left(marks, start, key=lambda mark: mark.start)
        holds_a_mark = first < len(marks) and marks[first].end <= start + len(line)
        if line.strip() and not holds_a_mark:
            lines.append(Mark(start - 4, start + len(line), line, prose=True))
    return lines


def last_group(text: str, marks: list[Mark]) -> list[str]:
    """The contents of the last mark and of those that adjoin it, with their names if each has its own."""
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


def _name_before(text: str, mark: Mark) -> str:
    named = NAMED.search(text[max(0, mark.start - 24) : mark.start])
    return named["name"] if named else ""


def join(contents: list[str]) -> str:
    return ", ".join(contents)
