"""What is held out. Generated problems: a hash of their content decides. Rows of a table: their content decides too,
never their number, so that no copy of a held-out question is trained on.
"""

import hashlib
from array import array
from collections.abc import Iterable, Set
from dataclasses import dataclass

from tasks.problem import Messages

MOST_HELD_OUT = 512  # questions by default: the confidence interval of an accuracy is then at most 0.09 wide
ONE_IN = 5


def is_in_share(text: str, share: float) -> bool:
    """Whether `text` belongs to a fixed pseudo-random `share` of all texts."""
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32


def content_key(prompt: Messages) -> int:
    """What two prompts with the same content share: their messages but for the system message, with runs of white
    space as one space."""
    text = "\0".join(
        " ".join(message["content"].split()) for message in prompt if message["role"] not in ("system", "developer")
    )
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Split:
    """Row numbers of a table: those to train on and the first row of each held-out question.

    `different` is the number of different questions in the table, `overlapping` the number of rows that are left out
    because a question of the test set is the same.
    """

    train: "array[int]"
    held_out: "array[int]"
    different: int
    overlapping: int = 0


def split_by_content(keys: "array[int]", held_out: int | None) -> Split:
    """Hold out `held_out` questions with all their rows; by default a fifth of the different ones, at most 512.

    Of the different questions, in the order of the rows, every fifth is held out, beginning with the first, until there
    are enough; where more than a fifth is asked for, every fourth, third, second or each. So rows that are added at the
    end of a table neither bring a held-out question into training nor a trained one into the evaluation.
    """
    first: dict[int, int] = {}
    for row, key in enumerate(keys):
        first.setdefault(key, row)
    count = min(MOST_HELD_OUT, -(-len(first) // ONE_IN)) if held_out is None else held_out
    step = max(1, min(ONE_IN, (len(first) - 1) // (count - 1))) if count > 1 else ONE_IN
    chosen = dict(list(first.items())[::step][:count])
    train = array("Q", (row for row, key in enumerate(keys) if key not in chosen))
    return Split(train, array("Q", chosen.values()), len(first))


def split_from_test(keys: "array[int]", test: Set[int]) -> Split:
    """Train on the rows whose question is not in the test set."""
    train = array("Q", (row for row, key in enumerate(keys) if key not in test))
    return Split(train, array("Q"), len(set(keys)), len(keys) - len(train))


def keys_of(prompts: Iterable[Messages]) -> "array[int]":
    return array("Q", map(content_key, prompts))
