"""What an answer reads as: a number, a tree, or neither and why."""

import functools

from verifiers.math.limits import MAX_ANSWER_CHARS, TooMuch
from verifiers.math.text.dressing import undress
from verifiers.math.text.numbers import MAX_NUMBER_CHARS, Number, read_number
from verifiers.math.text.wording import unwrapped, words_of
from verifiers.math.tree.nodes import INFINITY, Node, symbol, walk
from verifiers.math.tree.parse import Unreadable, parse

MEANINGS = {"emptyset": Node("set", ()), "realnumbers": symbol("mathbb R"), "infinity": INFINITY}


@functools.lru_cache(maxsize=8_192)
def number_of(text: str) -> Number | None:
    """The number that an undressed answer is; `None` if it is more than one number or something else."""
    if len(text) > 2 * MAX_NUMBER_CHARS:
        return None
    return read_number(unwrapped(text) if text.startswith("\\") else text)


@functools.lru_cache(maxsize=8_192)
def tree_of(text: str) -> Node | str:
    """The tree of an undressed answer, or why there is none."""
    try:
        node = parse(text)
        return MEANINGS.get(words_of(node.args[0]), node) if node.head == "text" else node
    except (Unreadable, TooMuch) as problem:
        return str(problem)
    except RecursionError:
        return "nested too deeply"


def is_readable(text: str) -> bool:
    """Whether an undressed text is a number or an expression as it stands."""
    if len(text) > MAX_ANSWER_CHARS or number_of(text) is not None:
        return True
    tree = tree_of(text)
    if isinstance(tree, str):
        return False
    if tree.head == "text":
        return not any(character.isdigit() for character in text)  # else a sentence with a number in it
    return tree.head == "rel" or not any(one.head == "text" for one in walk(tree))


def why_unreadable(answer: str) -> str:
    """Why a ground truth can be matched as text only; empty if it is a number, words or an expression."""
    text = undress(answer)
    if not text:
        return "it is empty"
    if number_of(text) is not None or words_of(text):
        return ""
    tree = tree_of(text)
    return tree if isinstance(tree, str) else ""
