"""Held-out questions: by content, in the number that the documentation gives, and where they stay."""

from array import array

import pytest

from tasks.problem import Messages
from tasks.splits import content_key, split_by_content, split_from_test


def keys(*values: int) -> "array[int]":
    return array("Q", values)


def asked(text: str, system: str = "") -> Messages:
    prompt = ({"role": "user", "content": text},)
    return ({"role": "system", "content": system}, *prompt) if system else prompt  # type: ignore[return-value]


def test_white_space_and_system_messages_make_no_other_question_but_letters_do() -> None:
    assert content_key(asked("a  b\n")) == content_key(asked(" a b", "Think."))
    assert len({content_key(asked(text)) for text in ("a b", "A b", "ab", "a. b")}) == 4
    two_turns = (*asked("a"), {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"})
    assert content_key(two_turns) != content_key(asked("a b c"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("different", "wanted", "places"),
    [
        (2, None, [0]),
        (10, None, [0, 5]),
        (11, None, [0, 5, 10]),
        (11, 3, [0, 5, 10]),
        (11, 4, [0, 3, 6, 9]),
        (11, 10, list(range(10))),
        (4, 1, [0]),
        (4, 0, []),
    ],
)
def test_held_out_questions_are_spread_over_the_rows(different: int, wanted: int | None, places: list[int]) -> None:
    split = split_by_content(keys(*range(different)), wanted)
    assert list(split.held_out) == places
    assert list(split.train) == [place for place in range(different) if place not in places]


def test_each_copy_of_a_held_out_question_is_held_out() -> None:
    split = split_by_content(keys(7, 8, 7, 9, 8, 7, 10, 11, 12), 1)
    assert (list(split.held_out), list(split.train), split.different) == ([0], [1, 3, 4, 6, 7, 8], 6)


@pytest.mark.parametrize("before", [5, 12, 99, 3000])
def test_rows_added_at_the_end_move_nothing(before: int) -> None:
    first, later = (split_by_content(keys(*range(count)), None) for count in (before, before + 700))
    assert list(later.held_out)[: len(first.held_out)] == list(first.held_out)
    assert set(first.train) <= set(later.train)


def test_rows_whose_question_is_in_the_test_set_are_left_out() -> None:
    split = split_from_test(keys(1, 2, 3, 2, 4), frozenset({2, 9}))
    assert (list(split.train), split.overlapping, split.different) == ([0, 2, 4], 2, 4)
