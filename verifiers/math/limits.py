"""How much work one answer may need. Beyond a limit only string equality can make an answer correct.

The numbers are far above what answers need (the longest official MATH answer has 159 characters) and far below what
could take a noticeable time.
"""

MAX_COMPLETION_CHARS = 300_000  # some 80,000 tokens; of a longer completion the end is read
MAX_ANSWER_CHARS = 1_000  # one extracted answer
MAX_TOKENS = 400
MAX_DEPTH = 40
MAX_NODES = 400
MAX_LIST_ITEMS = 64
MAX_DIGITS = 60  # of one written number
MAX_EXPONENT = 400  # of a power of ten, and of an exact integer power
MAX_BITS = 4_096  # of any exact integer in a computation


class TooMuch(Exception):
    """An answer would take more work than a limit allows; the message names the limit."""
