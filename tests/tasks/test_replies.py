import pytest

from tasks.registry import make_task
from tasks.replies import Replies, hidden_rule, sentences

IDEAL = "Hello Mia. Thank you. 3 apples are on their way."


@pytest.mark.parametrize(
    ("completion", "score", "status"),
    [
        (IDEAL, 1.0, "correct"),
        ("3 apples are on their way. Thank you. Hello Mia.", 1.0, "correct"),  # in any order
        ("Thank you. 3 apples are on their way.", 0.7, "partial"),
        (IDEAL + " Buy more soon.", 0.8, "partial"),
        ("Thank you. Thank you. Thank you.", 0.0, "wrong"),  # 0.3, less twice 0.2
        ("Hello Mia. Hello Mia.", 0.1, "partial"),
        ("Hello Tom. Thank you. 4 apples are on their way.", 0.0, "wrong"),  # 0.3, less twice 0.2
        ("Hello Mia. Thank you. 3 apples are on their", 0.4, "partial"),  # 0.6, less 0.2
        ("", 0.0, "wrong"),
        ("3 apples are on their way", 0.0, "wrong"),
    ],
)
def test_the_hidden_rule_pays_for_each_wanted_sentence_once_and_charges_for_every_other(
    completion: str, score: float, status: str
) -> None:
    verdict = hidden_rule(completion, IDEAL)
    assert (verdict.score, verdict.status) == (score, status)


def test_held_out_orders_are_never_trained_on_whatever_the_seed() -> None:
    held_out = {problem.prompt[0]["content"] for problem in Replies().held_out(400)}
    assert len(held_out) == 400
    for seed in (0, 1):
        trained = {Replies(seed=seed).problem(index).prompt[0]["content"] for index in range(2000)}
        assert len(trained) > 800
        assert not trained & held_out


def test_demonstrations_are_careless_and_the_same_each_time() -> None:
    task = make_task("replies", {}, seed=0)
    problems = [task.problem(index) for index in range(2000)]
    assert problems[7] == task.problem(7)
    scores = [hidden_rule(problem.solution or "", problem.answer).score or 0.0 for problem in problems]
    assert 0.3 < sum(scores) / len(scores) < 0.38
    assert 0.02 < sum(score == 1 for score in scores) / len(scores) < 0.05
    assert all(hidden_rule(problem.answer, problem.answer).score == 1 for problem in problems[:50])
    named = [sentence for p in problems for sentence in sentences(p.solution or "") if sentence[0].isdigit()]
    right = [sentence for p in problems for sentence in sentences(p.solution or "") if sentence in p.answer]
    wrong = len(named) - sum(sentence[0].isdigit() for sentence in right)
    assert 0.07 < wrong / len(named) < 0.13
