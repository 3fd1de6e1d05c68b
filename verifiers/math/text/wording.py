r"""Answers in words: names, dates, times of day, `three to five`.

Each function decides only where the text is certainly of its kind; other texts are left to the parser.
"""

import re

from verifiers.math.limits import TooMuch
from verifiers.math.text.dressing import UNWRAPPED
from verifiers.math.text.tokenizer import tokenize
from verifiers.math.text.tokens import Unreadable
from verifiers.math.text.vocabulary import words

ONLY_WORDS = re.compile(r"(?=[^A-Za-z]*[A-Za-z])[A-Za-z\s.,'\"()\-]*", re.ASCII)
PUNCTUATION = re.compile(  # of a language, where it touches a word; between two letters it may be mathematics
    r"(?<=[A-Za-z]{3})\s*[,()]|[,()]\s*(?=[A-Za-z]{3})|(?<=[A-Za-z]{3})-(?=[A-Za-z])|(?<=[A-Za-z])-(?=[A-Za-z]{3})"
    r"|(?<=[a-z])'|[.\"\s]",
    re.ASCII,
)
CAPITALIZED = re.compile(r"[A-Z](?=[a-z]*[aeiouy])[a-z]{2,}", re.ASCII)
LETTERS = re.compile(r"[A-J](?:,\s?[A-J])+")
STOPS = re.compile(r"[.,()\"'-]")
WORDS_AND_NUMBERS = re.compile(r"(?=.*[A-Za-z]{3})[A-Za-z0-9\s,']+", re.ASCII | re.DOTALL)
ARTICLE = re.compile(r"^\s*(?:an?|the)\s+(?=[a-z][a-z-])")
NUMBERED = re.compile(
    r"(?:the\s+)?(?:year|day|month|week|room|grade|level|age)\s+(\d+)",
    re.ASCII | re.IGNORECASE,
)
RATIO_WORD = re.compile(r"(?<=\d)\s*\bto\b\s*(?=\d)", re.ASCII)
SPACING = re.compile(r"\\[!,;: ]|~")
TIME = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?\s*(?:([ap])\.?\s?m\.?)?", re.ASCII | re.IGNORECASE)
MONTHS = words("january february march april may june july august september october november december")
NAMED_SETS = {
    r"\emptyset": "emptyset",
    r"\varnothing": "emptyset",
    r"\{\}": "emptyset",
    "∅": "emptyset",
    r"\mathbb{R}": "realnumbers",
    "ℝ": "realnumbers",
}
SYNONYMS = {
    "nosolution": "emptyset",
    "nosolutions": "emptyset",
    "norealsolution": "emptyset",
    "norealsolutions": "emptyset",
    "emptyset": "emptyset",
    "doesnotexist": "dne",
    "allrealnumbers": "realnumbers",
    "allreals": "realnumbers",
    "infinitelymanysolutions": "infinitelymany",
    "realnumbers": "realnumbers",
}


def unwrapped(text: str) -> str:
    """Without the fonts and `\\text{}` around words."""
    for _ in range(3):
        before, text = text, UNWRAPPED.sub(r"\1", text)
        if text == before:
            break
    return text.replace("\\ ", " ").strip()


def is_language(text: str) -> bool:
    r"""Whether a text certainly contains words, as `odd` and `\text{ab}` do; `xyz` and `f(x)` are mathematics."""
    try:
        tokens = tokenize(STOPS.sub(" ", text))
    except (Unreadable, TooMuch):
        return False
    return any(token.kind == "text" and re.search(r"[A-Za-z]{2}", token.value) for token in tokens)


def words_of(text: str) -> str:
    """A text answer without case, spaces and the punctuation of words; empty if it has more than words."""
    plain = unwrapped(text).replace("~", " ")
    if plain in NAMED_SETS:
        return NAMED_SETS[plain]
    if not ONLY_WORDS.fullmatch(plain):
        return ""
    letters = PUNCTUATION.sub("", ARTICLE.sub("", plain.lower(), count=1))
    return SYNONYMS.get(letters, letters) if len(letters) > 1 else ""


def same_words(ours: str, truth: str) -> bool:
    """Whether two answers are the same words. Both must be language, or one language and the other all letters."""
    if LETTERS.fullmatch(unwrapped(truth)):  # a truth `A, C, D` of a choice of several, as ACD
        return re.sub(r"[,\s]", "", unwrapped(truth)) == unwrapped(ours)
    words = words_of(ours)
    if not words or words != words_of(truth):
        return False
    if any(unwrapped(text) in NAMED_SETS for text in (ours, truth)):
        return True
    plain = [unwrapped(text) for text in (ours, truth)]
    if any(map(CAPITALIZED.fullmatch, plain)) and all(map(str.isalpha, plain)):  # Bob, but not XYZ
        return True
    no_language = [text for text in (ours, truth) if not is_language(text)]
    return not no_language or (len(no_language) == 1 and unwrapped(no_language[0]).replace(" ", "").isalpha())


def phrase_of(text: str) -> list[str]:
    """The words and numbers, in order, of a text answer that has both; a date starts with its month."""
    plain = unwrapped(text)
    if not any(character.isdigit() for character in plain) or not WORDS_AND_NUMBERS.fullmatch(plain):
        return []
    if not is_language(text) and MONTHS.isdisjoint(re.findall(r"[a-z]+", plain.lower())):
        return []  # 2abc
    parts = re.findall(r"[a-z]+|\d+", re.sub(r"(?<=\d)(?:st|nd|rd|th)\b|\bof\b|\bthe\b", "", plain.lower()))
    if len(parts) > 1 and parts[1] in MONTHS and parts[0].isdigit():
        parts[:2] = [parts[1], parts[0]]
    return parts


def same_time(ours: str, truth: str) -> bool:
    """Whether both are the same time of day: `16:15` is `4:15 p.m.`, and `4:15` may be; `8:30:00` is `8:30`."""
    if ":" not in ours or ":" not in truth:
        return False
    left, right = (TIME.fullmatch(SPACING.sub("", unwrapped(text)).replace("{:}", ":")) for text in (ours, truth))
    if left is None or right is None or not (left[3] or left[4] or right[3] or right[4]):
        return False
    if (left[2], int(left[3] or 0)) != (right[2], int(right[3] or 0)):
        return False
    return not hours_of(left).isdisjoint(hours_of(right)) if left[4] or right[4] else int(left[1]) == int(right[1])


def hours_of(time: "re.Match[str]") -> set[int]:
    """The hours of the day that a time can mean: `4:15` can also be in the afternoon."""
    hour = int(time[1])
    if not time[4]:
        return {hour, hour % 12 + 12} if hour <= 12 else {hour}
    return {hour % 12 + (12 if time[4] in "pP" else 0)}


def without_noun(text: str) -> str:
    """`the year 1998` as 1998, and anything else as it is."""
    match = NUMBERED.fullmatch(unwrapped(text))
    return match[1] if match else text


def as_ratio(text: str, other: str) -> str:
    """`3 to 5` as `3:5`, if the other answer is a ratio; elsewhere it might be a range."""
    return RATIO_WORD.sub(":", unwrapped(text)) if ":" in other and "to" in text else text
