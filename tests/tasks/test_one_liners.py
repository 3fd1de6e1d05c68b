"""Generated functions: their own solution passes, constants and neighbours fail, splits do not meet."""

import pytest

from tasks.one_liners import OneLiners, calculate, is_held_out, write_out
from verifiers.code import CodeVerifier, extract_code

EVERYTHING = ("add", "subtract", "times", "add x", "subtract x", "square", "negate")


def test_the_expression_means_what_the_words_say() -> None:
    for steps, text in (
        ([("add", 3), ("times", 2), ("subtract x", 5)], "(x + 3) * 2 - x"),
        ([("times", 4), ("times", 2)], "x * 4 * 2"),
        ([("negate", 2), ("square", 2)], "(-x) ** 2"),
        ([("square", 2), ("negate", 2)], "-x ** 2"),
        ([("negate", 2), ("times", 3)], "(-x) * 3"),
    ):
        assert write_out(steps) == text
        for x in (-3, 0, 7):
            assert calculate(steps, x) == eval(text, {"x": x})


def test_a_slip_leaves_out_a_bracket_and_nothing_else() -> None:
    steps = [("add", 3), ("times", 2), ("subtract", 4), ("times", 5)]
    assert write_out(steps) == "((x + 3) * 2 - 4) * 5"
    assert write_out(steps, {1}) == "(x + 3 * 2 - 4) * 5"
    assert write_out(steps, {0, 1, 2, 3}) == "x + 3 * 2 - 4 * 5"
    wrong = OneLiners(min_steps=3, max_steps=4, slip_share=1.0)
    right = OneLiners(min_steps=3, max_steps=4)
    assert [wrong.problem(i).answer for i in range(50)] == [right.problem(i).answer for i in range(50)]
    assert all("(" not in (wrong.problem(i).solution or "").split("return")[1] for i in range(50))
    assert any("(" in (right.problem(i).solution or "").split("return")[1] for i in range(50))


def test_every_solution_passes_and_constants_fail() -> None:
    task = OneLiners(max_steps=3, operations=EVERYTHING)
    verifier = CodeVerifier()
    problems = [task.problem(i) for i in range(20)] + task.held_out(5)
    good = verifier.verify_batch([(p.solution or "", p.answer) for p in problems], workers=1, timeout_seconds=5.0)
    assert [verdict.score for verdict in good] == [1.0] * 25
    flat = [("```python\ndef f(x): return 0\n```", p.answer) for p in problems]
    assert {verdict.score for verdict in verifier.verify_batch(flat, workers=1, timeout_seconds=5.0)} == {0.0}


def test_a_problem_is_the_same_each_time_and_held_out_ones_are_never_trained_on() -> None:
    task = OneLiners()
    assert task.problem(5) == OneLiners().problem(5)
    assert task.problem(5) != OneLiners(seed=1).problem(5)
    assert task.held_out(10) == OneLiners(seed=1).held_out(10)
    trained = {extract_code(task.problem(i).solution or "") for i in range(300)}
    assert not trained & {extract_code(p.solution or "") for p in task.held_out(30)}
    assert is_held_out("x + 1") in (True, False)


@pytest.mark.parametrize("knobs", [{"min_steps": 0}, {"max_steps": 0}, {"max_number": 1}, {"operations": ("divide",)}])
def test_knobs_that_describe_nothing_are_refused(knobs: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="one_liners: "):
        OneLiners(**knobs)
