r"""Dressing: what surrounds an answer (`undress` removes it), and what changes only its look (`flat` removes that)."""

import re

WRAPPERS = (
    ("$$", "$$"),
    ("$", "$"),
    (r"\(", r"\)"),
    (r"\[", r"\]"),
    ("**", "**"),
    ("__", "__"),
    ("*", "*"),
    ("`", "`"),
    ('"', '"'),
)
DRESSING = re.compile(
    r"\\(?:left|right)(?![A-Za-z])\.?"  # the point is an empty delimiter; elsewhere it is a number's: \,.5
    r"|\\(?:bigl?|bigr?|Bigl?|Bigr?|displaystyle|limits|!|,|;|:|>|quad|qquad|ensuremath|phantom\{[^{}]*\}|,)(?![A-Za-z])"
    r"|\\ |[\s\u200b\u200c\u200d\u200e\u200f\u2060\ufeff]"
)
UNWRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|texttt|mathrm|mathbf|mathit|mathcal|mathsf|mathtt|boldsymbol|mbox|operatorname\*?|rm|bf)\s*\{([^{}]*)\}"
)
ANNOUNCING = re.compile(
    r"^\\(?:text|textbf|mathrm|mathbf)\s*\{\s*(?:the )?(?:final )?answer\s?(?:is|:|=)?\s?:?\s*\}\s*:?(?=.)",
    re.IGNORECASE,
)
ESCAPED_TWICE = re.compile(
    r"\\\\(?=(?:d?frac|sqrt|left|right|pi|leq?|geq?|text|infty|cdot|times|cup|in|pm|circ|theta|sin|cos|tan|log|boxed)\b)"
)
INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"  # noise around an answer, something else between two digits
BETWEEN_DIGITS = re.compile(  # "4 2" is not 42
    rf"(?<=\d)(?:[\s{INVISIBLE}]|~|\\[,;:! ]|\\q?quad(?![A-Za-z]))+(?=\d)", re.ASCII
)
SAME = (
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(?:degree|deg)(?![A-Za-z])|\^\{?\\circ\}?|°"), ""),
    (re.compile(r"\\?[$]"), ""),
    (re.compile(r"(?<!\\)\{([^{}\\])\}"), r"\1"),  # only around one character: \frac{1}{23} is not \frac{12}{3}
)


def undress(text: str) -> str:
    """The answer without its surroundings: math delimiters, emphasis, a full stop at the end."""
    text = " ".join(text.split())
    if not text.isascii():
        text = text.strip(INVISIBLE + " ")
    if "\\\\" in text:
        text = ESCAPED_TWICE.sub("\\\\", text)
    text = ANNOUNCING.sub("", text)
    for _ in range(4):
        before = text
        if text.endswith("}") and text.count("}") == text.count("{") + 1:  # a brace that closes nothing
            text = text[:-1].rstrip()
        text = text.removesuffix("\\\\").removesuffix("\\").rstrip()
        text = text.rstrip(".,;: \n\t") if not text.endswith(("...", r"\,", r"\;", r"\:")) else text
        for left, right in WRAPPERS:
            if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
                inside = text[len(left) : -len(right)]
                if left not in inside and right not in inside and not inside.endswith("\\"):
                    text = inside.strip()
        if text == before:
            break
    return text


def flat(text: str) -> str:
    """The text without spacing, fonts and size commands. Two texts that agree in this form are the same answer."""
    text = BETWEEN_DIGITS.sub("~", UNWRAPPED.sub(r"\1", text))
    text = DRESSING.sub("", text)
    for pattern, replacement in SAME:
        text = pattern.sub(replacement, text)
    return text
