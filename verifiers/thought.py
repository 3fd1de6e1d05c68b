"""The thought in front of an answer, `<think> ... </think>`: it is not part of what is said."""

import re

OPENING = re.compile(r"\s*<think>")
NEVER_ENDS = "the thinking never ends"


def said(completion: str) -> str | None:
    """What stands behind the thought, or all of it where there is none; `None` where the thought never ends."""
    _, closed, after = completion.rpartition("</think>")
    if closed:
        return after
    return None if OPENING.match(completion) else completion
