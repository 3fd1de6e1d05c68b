r"""Which part of a completion is its answer.

Marks come first: `\boxed{}`, `####`, `<answer>` (see `marks`). The last mark counts, since a corrected answer replaces
an earlier one. A last box that is never closed is no answer. Words after the last mark may take it back, or announce a
different value: to see that it differs, the two are compared with each other (`rules`). Without a mark, these are tried
in order: `{"answer": 42}`; "the answer is ..."; a last line or sentence that states a value; a short completion that is
only an answer; in lenient mode the last formula or number. The ground truth plays no part here. Time is linear in the
length of the text.
"""

import re
from dataclasses import dataclass
from typing import Literal

from verifiers.math.extract.announced import announced, called_answer, revised
from verifiers.math.extract.emphasis import emphasized
from verifiers.math.extract.endings import bare, closing, concluded, last_sentence, looks_bare, without_chat
from verifiers.math.extract.marks import Mark, find_marks, join, last_group, without_suppositions
from verifiers.math.extract.prose import last_value, loosely
from verifiers.math.extract.retractions import is_denied
from verifiers.math.limits import MAX_ANSWER_CHARS, MAX_COMPLETION_CHARS
from verifiers.math.rules import decide
from verifiers.math.text.choices import CHOICE
from verifiers.math.text.dressing import UNWRAPPED, undress
from verifiers.math.tree.reading import is_readable
from verifiers.thought import NEVER_ENDS, said

Mode = Literal["marked", "standard", "lenient"]


@dataclass(frozen=True)
class Extraction:
    """The candidates for the answer, the most literal first, or none and the reason."""

    candidates: tuple[str, ...]
    source: str
    detail: str = ""
    parts: tuple[str, ...] = ()  # the marks that make up one list: they may also be one answer, given several times


END_MARKS = re.compile(r"(?:</s>|<eos>|<\|[\w-]{1,40}\|>|\s)+\Z")  # what a tokenizer leaves at the end
NAMED_ANSWER = re.compile(  # {"answer": 42}
    r'"(?:final[ _])?answer"\s*+:\s*+(?:"(?P<text>[^"\n\\]++)"|(?P<number>-?\d[\d.]*+))\s*+[,}]', re.IGNORECASE
)


def extract_answer(text: str, mode: Mode = "standard") -> Extraction:
    """The candidates of a completion. `marked` mode stops after announced answers; `lenient` goes to the end."""
    behind_thought = said(text)
    if behind_thought is None:
        return Extraction((), "", NEVER_ENDS)
    text = behind_thought[-MAX_COMPLETION_CHARS:]
    text = text[:-200] + END_MARKS.sub("", text[-200:])
    if "\\\\boxed" in text:  # escaped twice on its way here
        text = text.replace("\\\\boxed", "\\boxed")
    marks, broken = find_marks(text)
    if broken:
        return Extraction((), "box", "the last box is never closed")
    marks = without_suppositions(text, marks)
    if marks:
        group = last_group(text, marks)
        joined = join(group)
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
    if candidates := called_answer(stripped) or announced(stripped):
        return Extraction(candidates, "announced")
    if mode == "marked":
        return Extraction((), "", "no marked answer")
    if candidates := concluded(stripped) or closing(stripped) or emphasized(stripped):
        return Extraction(candidates, "concluded")
    last = last_value(text) if mode == "lenient" else ""
    sentence = last_sentence(stripped)
    if sentence and len(sentence) <= MAX_ANSWER_CHARS and looks_bare(sentence):
        return Extraction((*bare(sentence), *filter(None, [last])), "bare")
    if last:
        return Extraction((last,), "last value")
    return Extraction((), "", "no marked answer" if stripped else "an empty completion")


STARTS_WITH_A_WORD = re.compile(r"[a-z]{3}", re.IGNORECASE)


def replaces(later: str, marked: str) -> bool:
    """Whether an announcement after a mark replaces it: it must state a different value of the same kind."""
    later, marked = undress(later), undress(marked)
    if CHOICE.fullmatch(later):
        return CHOICE.fullmatch(marked) is not None and not decide(later, marked).same
    if STARTS_WITH_A_WORD.match(later) or not any(character.isdigit() for character in later):
        return False
    if not is_readable(later) or "\\approx" in later:
        return False
    return not decide(later, marked).same


def in_words(group: list[str], mark: Mark) -> tuple[str, ...]:
    """The candidates of a mark that holds a sentence and not just an answer."""
    if len(group) != 1 or len(group[0]) > MAX_ANSWER_CHARS:
        return ()
    sentence = UNWRAPPED.sub(r" \1 ", group[0]).replace(r"\ ", " ").replace(r"\$", "$")
    stated = mark.prose or r"\text" in group[0] or sentence.startswith("USD")
    return loosely(sentence) if stated else ()
