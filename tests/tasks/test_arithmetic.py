import re
from collections import Counter

import pytest

from tasks.arithmetic import Arithmetic, is_held_out
from verifiers import get_verifier

CALCULATION = re.compile(r"(-?\d+)([+*-])(\d+)=(-?\d+)")


def calculation(problem) -> tuple[int, list[tuple[str, int]]]:
    steps = CALCULATION.findall(problem.solution)
    return int(steps[0][0]), [(operator, int(n)) for _, operator, n, _ in steps]


def test_a_problem_and_its_solution_read_as_in_gsm8k() -> None:
    problem = Arithmetic().problem(0)
    assert problem.prompt == (
        {
            "role": "user",
            "content": "Sam has 20 stamps. Sam sells 10. Then Sam gets 3 times as many. "
            "How many stamps does Sam have now?",
        },
    )
    assert problem.solution == "20-10=10\n10*3=30\n#### 30"
    assert problem.answer == "30"
    assert problem.cohort == "2 steps"


def test_every_solution_is_right_and_the_verifier_agrees() -> None:
    verify = get_verifier("math")
    for number in range(500):
        problem = Arithmetic().problem(number)
        value = None
        for left, operator, right, result in CALCULATION.findall(problem.solution):
            assert value is None or int(left) == value
            value = {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}[operator]
            assert value == int(result)
        assert str(value) == problem.answer
        assert verify(problem.solution, problem.answer).score == 1.0


def test_the_same_number_is_the_same_problem_and_seeds_differ() -> None:
    assert Arithmetic(seed=3).problem(7) == Arithmetic(seed=3).problem(7)
    assert Arithmetic(seed=3).problem(7).prompt != Arithmetic(seed=4).problem(7).prompt


def test_no_held_out_calculation_is_ever_trained_on_and_all_seeds_are_evaluated_alike() -> None:
    held_out = Arithmetic().held_out(256)
    assert held_out == Arithmetic(seed=9).held_out(256)
    assert len({problem.prompt[0]["content"] for problem in held_out}) == 256
    assert all(is_held_out(*calculation(problem)) for problem in held_out)
    trained = [Arithmetic(seed=seed).problem(number) for seed in range(3) for number in range(2000)]
    assert not any(is_held_out(*calculation(problem)) for problem in trained)
    seen = {str(calculation(problem)) for problem in trained}
    assert not seen & {str(calculation(problem)) for problem in held_out}


def test_the_knobs_bound_what_is_asked() -> None:
    task = Arithmetic(min_steps=2, max_steps=4, max_number=12, max_value=25, max_factor=2, operators=("+", "*"))
    lengths = set()
    for number in range(300):
        problem = task.problem(number)
        start, steps = calculation(problem)
        lengths.add(len(steps))
        assert 2 <= start <= 12
        assert all(2 <= n <= (2 if operator == "*" else 12) for operator, n in steps)
        assert all(int(result) <= 25 for *_, result in CALCULATION.findall(problem.solution))
        assert problem.cohort == f"{len(steps)} steps"
    assert lengths == {2, 3, 4}


def test_slips_take_multiplications_for_additions_in_the_solution_and_never_in_the_answer() -> None:
    sound, slipping = Arithmetic(), Arithmetic(slip_share=0.25)
    slips = multiplications = 0
    for number in range(2000):
        right, slipped = sound.problem(number), slipping.problem(number)
        assert (right.prompt, right.answer) == (slipped.prompt, slipped.answer)
        (_, true_steps), (_, slipped_steps) = calculation(right), calculation(slipped)
        for (operator, n), (shown_operator, m) in zip(true_steps, slipped_steps, strict=True):
            assert n == m
            assert shown_operator == operator or (operator, shown_operator) == ("*", "+")
            multiplications += operator == "*"
            slips += shown_operator != operator
    assert 0.20 < slips / multiplications < 0.30


def test_rambling_lengthens_wrong_solutions_only_and_changes_neither_problem_nor_result() -> None:
    plain, rambling = Arithmetic(slip_share=0.5), Arithmetic(slip_share=0.5, ramble_share=0.6, ramble_steps=4)
    extra, wrong = [], 0
    for number in range(2000):
        short, long = plain.problem(number), rambling.problem(number)
        assert (short.prompt, short.answer) == (long.prompt, long.answer)
        assert short.solution is not None
        assert long.solution is not None
        *lines, end = short.solution.splitlines()
        *more, same_end = long.solution.splitlines()
        value = end.removeprefix("#### ")
        assert same_end == end
        assert more == lines + [f"{value}+0={value}"] * (len(more) - len(lines))
        is_wrong = calculation(plain.problem(number)) != calculation(Arithmetic().problem(number))
        assert is_wrong or more == lines
        wrong += is_wrong
        extra += [len(more) - len(lines)] if more != lines else []
    assert set(extra) == {1, 2, 3, 4}
    assert 0.55 < len(extra) / wrong < 0.65


def test_shares_of_steps_mix_training_and_leave_evaluation_balanced() -> None:
    task = Arithmetic(min_steps=2, max_steps=4, max_number=15, max_value=40, step_shares=(0.85, 0, 0.15))
    trained = Counter(task.problem(number).cohort for number in range(2000))
    assert set(trained) == {"2 steps", "4 steps"}
    assert 0.83 < trained["2 steps"] / 2000 < 0.87
    assert Counter(problem.cohort for problem in task.held_out(200)) == {"2 steps": 100, "4 steps": 100}
    assert len({problem.prompt[0]["content"] for problem in task.held_out(200)}) == 200


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"min_steps": 3, "max_steps": 2}, "expected 1 <= min_steps <= max_steps"),
        ({"max_number": 1}, "expected 2 <= max_number"),
        ({"step_shares": (0.5, 0.4, 0.1)}, "expected 2 numbers of 0 or more, one for each number of steps"),
        ({"step_shares": (0.0, 0.0)}, "expected 2 numbers of 0 or more"),
        ({"ramble_steps": 0}, "got ramble_steps=0, expected 1 or more"),
        ({"operators": ("+", "^")}, r"unknown operators \['\^'\]"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(knobs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arithmetic(**knobs)


def test_asking_for_more_held_out_problems_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match=r"describe only \d+ different held-out problems and 1000 were asked for"):
        Arithmetic(min_steps=1, max_steps=1, max_number=9, max_value=20).held_out(1000)
