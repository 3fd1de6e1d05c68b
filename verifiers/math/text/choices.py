r"""Letters of a multiple choice, alone or with the value that they label: `(B)`, `B. 17`, `\textbf{(B)}\ 17`."""

import re

from verifiers.math.text.dressing import undress
from verifiers.math.text.wording import unwrapped

CHOICE = re.compile(r"\(?([A-Z])\)?", re.ASCII)
CHOSEN = re.compile(
    r"(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s+)?(?:\(?([A-Za-z])(?:\)|[.:]|\)[.:])(?:[\s~\\].*)?|([A-Za-z]))",
    re.ASCII | re.DOTALL,
)
GAP = r"(?:[\s:~]|\.(?!\d)|\\[,;:! ]|\\q?quad(?![A-Za-z]))*+"
LABEL = r"(?:\([A-J]\)[.:]?|[A-J]\)[.:]?|[A-J][.:](?!\w))"  # (B), B), B. and B: but not B.5 or a ratio
LABELLED_CHOICE = re.compile(
    rf"(?:(?:[Oo]ption|[Cc]hoice)\s+)?(?P<label>{LABEL}){GAP}(?P<value>\S.*)", re.ASCII | re.DOTALL
)
VALUE_COMMAND = (  # what a value can begin with: any other command behind a letter may join it to a second one
    r"(?:[dtc]?frac|sqrt|pi|left|[bB]igg?l?|displaystyle|d?binom|log|ln|sin|cos|tan|arc(?:sin|cos|tan)|infty|emptyset"
    r"|varnothing|mathbb|angle|begin|lfloor|lceil|langle|pm)(?![A-Za-z])|[\[({$]"
)
HEDGED_CHOICE = re.compile(
    rf"^\)?{GAP}(?:or\b|and\b|[,;/&]|\\(?!{VALUE_COMMAND}))|(?<![A-Za-z\\]){LABEL}|\b(?:or|and)\b\s*\(?[A-J]\b",
    re.ASCII,
)


def without_choice(text: str, other: str) -> str:
    """`(B) 17` and `B. 17` as 17, if the other answer is a value and not a letter."""
    labelled, others = (LABELLED_CHOICE.fullmatch(unwrapped(one)) for one in (text, other))
    if labelled is None or other.startswith("(") or CHOICE.fullmatch(unwrapped(other)):
        return text
    if others and others["label"].strip(".:()") != labelled["label"].strip(".:()"):
        return text
    return text if HEDGED_CHOICE.search(labelled["value"]) else undress(labelled["value"])


def same_choice(ours: str, truth: str) -> bool | None:
    """Whether two answers choose the same letter; `None` if they are not a letter and a choice."""
    letter, other = CHOICE.fullmatch(unwrapped(truth)), unwrapped(ours)
    if letter is None:
        letter, other = CHOICE.fullmatch(unwrapped(ours)), unwrapped(truth)
    if letter is None or (letter[1] > "J"):
        return None
    chosen = CHOSEN.fullmatch(other)
    if chosen is None:
        return None
    if chosen[1] and HEDGED_CHOICE.search(other[chosen.end(1) :]):
        return False
    return (chosen[1] or chosen[2]).upper() == letter[1]
