"""Answers that are named behind their value: "5 is the answer", "we get 5 as the final answer"."""

import pytest

from verifiers import MathVerifier
from verifiers.math.extract.announced import called_answer

VERIFIER = MathVerifier()
WORK = "The first term is $10$ and the second $7$, as the problem says at its beginning and its end.\n\n"
VALUES = ((r"$\frac{7}{40}$", r"\frac{14}{80}"), ("2, 4, 0.1", "0.1, 4, 2"), ("(2,-5)", "(2,-5)"), ("3 > x", "x < 3"))
CALLED = (
    "So, we get X as the final answer.",
    "we get X as the final answer",
    "We find X to be the answer.",
    "Adding the terms, we obtain X as our final answer.",
    "This gives X as the final answer.",
    "Simplifying gives us X as the correct answer.",
    "X is the final answer.",
    "**X** is the answer.",
    "Therefore, X is the correct answer. I hope this helps!",
    "Hence we conclude that X is the answer.",
    "We get X as the final result.",
    "Using the given formula,\n\nwe get X as the final answer.",
    "Putting all together:\nX is the answer.",
)
NOT_CALLED = (
    "X is not the final answer.",
    "Is X the final answer?",
    "X is the answer?",
    "X is the wrong answer.",
    "X might be the answer.",
    "Maybe X is the answer.",
    "Suppose X is the answer.",
    "It is false that X is the answer.",
    "Twice X is the answer.",
    "X plus one is the answer.",
    "X is the answer plus one.",
    "X is the final answer to the first part.",
    "X is the final answer. No, it is wrong.",
    "X is the final answer. The answer is 99.",
    "We do not get X as the final answer.",
    "We cannot get X as the answer.",
    "We would get X as the answer.",
    "If we add, we get X as the final answer.",
    "Not adding, we get X as the final answer.",
    "Nobody gets X as the answer.",
    "The book gives X as the final answer.",
    "X as the answer.",
    "Bob claims:\nX is the answer.",
    "If both are even,\nX is the answer.",
)


@pytest.mark.parametrize("sentence", CALLED)
def test_a_value_that_is_called_the_answer_is_read(sentence: str) -> None:
    refused = [value for value, truth in VALUES if VERIFIER(WORK + sentence.replace("X", value), truth).score != 1.0]
    assert refused == []


@pytest.mark.parametrize("sentence", NOT_CALLED)
def test_a_value_that_is_only_spoken_of_is_not(sentence: str) -> None:
    rewarded = [value for value, truth in VALUES if VERIFIER(WORK + sentence.replace("X", value), truth).score == 1.0]
    assert rewarded == []


def test_what_is_called_the_answer_last_replaces_an_earlier_announcement() -> None:
    assert VERIFIER("The answer is 4. Hmm.\nSo 5 is the final answer.", "5").score == 1.0
    assert VERIFIER("The answer is 4. Hmm.\nSo 5 is the final answer.", "4").score == 0.0


def test_one_item_of_a_list_is_not_the_whole_answer() -> None:
    assert called_answer("We get x, 5 as the final answer.") == ("x, 5",)
    assert VERIFIER("5 or 6 is the answer.", "5").score == 0.0
