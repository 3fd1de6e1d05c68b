"""Whether an answer is taken back: "No, 13", "Actually", "That is wrong", `not \\boxed{7}`, `\\boxed{7}?`."""

import re

from verifiers.math.extract.prose import SENTENCE_START, loosely

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
ERROR = (
    r"\b(?:this|that|it|which|my answer|the answer)(?:'s| is| was) "
    r"(?:wrong|incorrect|not (?:right|correct))\b"
    r"|\b(?:cannot|can't) be (?:right|correct)\b|\bI(?:'ve| have)? made an? (?:[a-z]+ )?(?:error|mistake)\b"
    r"|\bI (?:meant|forgot|miscalculated|misread)\b|\b(?:it|that|this) should (?:be|have been)\s+[-$\\(]{0,3}\d"
)
RETRACTION = re.compile(  # stricter than TAKES_BACK: "Wait, let me check this" behind a box takes nothing back
    r"[\s.…$*)\]\\]*(?:(?:correction|edit)\s*:|scratch that\b|just kidding\b|no wait\b"
    r"|(?:no|wait|actually|sorry|oops)[,.:;!\s]+(?:it(?:'s| is) )?[-$\\(]{0,3}\d+[).$]*\s*\Z"
    rf"|(?:(?:oh|no|wait|hmm+|oops|actually|sorry|hold on|but|however)\b[^.!?\n]{{0,160}}?)?(?:{ERROR}))",
    re.IGNORECASE,
)
CORRECTED = re.compile(
    r"\b(?:it|that|this) should (?:be|have been)\s+|[;,:–—-]\s*(?:it|the answer)(?:'s| is)\s+(?:actually\s+)?",
    re.IGNORECASE,
)
DENIED = re.compile(r"(?:\bnot|n't|\bnever|\bcannot be)[ \t]+(?:equal to |exactly )?[*$\\(\[ ]*\Z", re.IGNORECASE)
QUESTIONED = re.compile(r"[\s$*)\]\\]{0,6}\?")


def correction(after: str) -> tuple[str, ...] | None:
    """The correction in sentences that admit an error; empty if they give no value, `None` if none admits one."""
    admitted = [sentence for sentence in SENTENCE_START.split(after) if RETRACTION.match(sentence)]
    for sentence in admitted:
        corrected = CORRECTED.search(sentence)
        if corrected:
            return loosely("It is " + sentence[corrected.end() :].strip(" .!"))
    return () if admitted else None


def taken_back(after: str) -> tuple[str, ...] | None:
    """The same for an unmarked answer, which weaker words can take back."""
    corrected = correction(after)
    return () if corrected is None and TAKES_BACK.match(after) else corrected


def is_denied(before: str, after: str) -> bool:
    """Whether the words around a mark deny or question it: `not \\boxed{7}`, `\\boxed{7}?`."""
    return DENIED.search(before) is not None or QUESTIONED.match(after) is not None
