"""The `countdown` verifier: expressions as models write them, and attempts to get around the rules."""

import pytest

from verifiers import verify_batch

PUZZLE = {"numbers": [19, 36, 55, 7], "target": 65}


@pytest.mark.parametrize(
    "text",
    [
        "<answer> 55 + 36 - 7 - 19 </answer>",
        "<answer>55+36-7-19 = 65</answer>",
        "<answer>65 = 55+36-7-19</answer>",
        r"so \boxed{55 + 36 - 7 - 19 = 65}",
        r"$\boxed{\left(55+36\right)-(7+19)}$",
        "<think>36 - 7 = 29</think>\n<answer>(55 − 19) + 36 - 7</answer>",
        "<answer>`55 + 36 - [7 + 19]`</answer>",
        "the answer is 55 + 36 - 7 - 19",
        "<answer>-(7+19-55-36)</answer>",
    ],
)
def test_an_expression_of_the_numbers_is_right(text: str) -> None:
    assert verify_batch([(text, PUZZLE)], "countdown")[0].score == 1.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<answer>65</answer>", "uses 65"),
        ("<answer>55+36-7-19+7-7</answer>", "uses 7"),
        ("<answer>55+36-26</answer>", "uses 26"),
        ("<answer>55+36-7</answer>", "the value is 84, and not 65"),
        ("<answer>55+36-7-19=66</answer>", "the value is 65, and not 66"),
        ("<answer>1/(7-7)</answer>", "divides by zero"),
        ("<answer>55**36</answer>", "expected a number or a bracket, got '*'"),
        ("<answer>__import__('os').abort()</answer>", "no expression"),
        ("<answer>6.5*10</answer>", "no expression"),
        ("<answer>(55+36</answer>", "a bracket is not closed"),
        ("<answer>55 36</answer>", "no complete expression"),
        ("<answer>55+36=84+7=91</answer>", "more than one expression"),
        ("<answer>" + "(" * 400 + "</answer>", "more than 50 brackets"),
        ("<answer>" + "-" * 400 + "7</answer>", "more than 50 brackets"),
        ("<answer>" + "1+" * 400 + "1</answer>", "more than 500 characters"),
    ],
)
def test_everything_else_is_wrong_with_its_reason(text: str, reason: str) -> None:
    verdict = verify_batch([(text, PUZZLE)], "countdown")[0]
    assert verdict.score == 0.0
    assert reason in verdict.detail


def test_fractions_are_exact() -> None:
    puzzle = {"nums": [1, 3, 3, 8], "target": "8/3"}
    assert verify_batch([(r"\boxed{\frac{8}{3}}", puzzle)], "countdown")[0].score == 1.0
    assert verify_batch([("<answer>8/(3-1/3)</answer>", {**puzzle, "target": 3})], "countdown")[0].score == 1.0


def test_all_numbers_can_be_asked_for() -> None:
    text, puzzle = "<answer>55+36</answer>", {**PUZZLE, "target": 91}
    assert verify_batch([(text, puzzle)], "countdown")[0].score == 1.0
    assert verify_batch([(text, puzzle)], {"name": "countdown", "use_all": True})[0].score == 0.0


@pytest.mark.parametrize("answer", ["65", "x", {"target": 1}, {"numbers": [1], "target": "x"}, ["1"], ""])
def test_a_truth_that_is_no_puzzle_is_broken(answer: object) -> None:
    assert verify_batch([("<answer>1</answer>", answer)], "countdown")[0].status == "bad_gold"


def test_a_puzzle_may_be_json_text() -> None:
    answer = '{"target": 65, "numbers": [19, 36, 55, 7]}'
    assert verify_batch([("<answer>55 + 36 - 7 - 19</answer>", answer)], "countdown")[0].score == 1.0


def test_no_answer_is_said() -> None:
    assert verify_batch([("I give up", PUZZLE)], "countdown")[0].status == "no_answer"
