r"""Words after a number that change its value: `5 and a half`, `5 feet six inches`, `5 less than ten`.

Words that only name the thing counted leave the number as it is: `5 apples left`, `18 dollars in two weeks`. So a
second number may follow only a word that introduces a second thing (`in two weeks`), and no word may compute, compare
or negate.
"""

import re

from verifiers.math.text.vocabulary import words

WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
CARDINALS = words(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen"""
)
ORDINALS = words("third fourth fifth sixth seventh eighth ninth tenth hundredth thousandth millionth billionth")
PARTS = words("half halves quarter") | {f"{ordinal}s" for ordinal in ORDINALS}  # "quarters" are coins
SAID_AGAIN = re.compile(rf"\((?:{'|'.join(sorted(CARDINALS))}|[\s-])+\)")
CHANGING = words("halved doubled tripled quadrupled inverse inverted reciprocal negative negated below least most")
LEADING = words(
    """in for per every each the these those this that all both any after before within during with on at across among
    first last next only"""
)
TRANSPARENT = words("a an the")


def recounts(phrase: str) -> bool:
    """Whether the words after a number change its value; `5 (five)` only repeats it."""
    before = led_by = ""  # the word before, and the last one that is no article and no number
    for word in WORD.findall(SAID_AGAIN.sub("", phrase.lower())):
        changes = word in CHANGING or word.endswith("n't") or (word.endswith("fold") and is_number(word[:-4]))
        if changes or (word in ORDINALS and led_by == "to"):
            return True
        if is_number(word):
            if before not in LEADING and led_by not in LEADING:
                return True
        elif word not in TRANSPARENT:
            led_by = word
        before = word
    return False


def is_number(word: str) -> bool:
    """`two`, `twenty-five`, `thirds`, `two-thirds`, but not `two-digit`."""
    parts = word.split("-")
    return all(part in CARDINALS or part in PARTS for part in parts)
