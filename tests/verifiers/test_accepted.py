"""Ground truths that are not text: numbers as they are written, lists of accepted answers, and what is none."""

import pytest

from verifiers import get_verifier, verify_batch
from verifiers.values import Numeral


@pytest.mark.parametrize(
    ("verifier", "completion", "answer", "score"),
    [
        ("math", r"\boxed{42}", 42, 1.0),
        ("math", r"\boxed{0.1}", Numeral("0.10"), 1.0),
        ("math", r"\boxed{12345678901234567890}", 12345678901234567890, 1.0),
        ("math", r"\boxed{12345678901234567891}", 12345678901234567890, 0.0),
        ("math", r"\boxed{3}", [2, "3"], 1.0),
        ("math", r"\boxed{5}", [2, "3"], 0.0),
        ("numeric", "the answer is 7.0", 7, 1.0),
        ("exact", "1e-7", Numeral("1e-7"), 1.0),
        ("exact", "true", True, 1.0),
        ("exact", "b", ["a", "b"], 1.0),
        ("choice", "C", ["B", "C"], 1.0),
        ("regex", "so abc", ["^x", "ab+c"], 1.0),
        ("math", r"\boxed{5}", {"value": 5}, None),
        ("math", r"\boxed{5}", [], None),
        ("exact", "[[1]]", [[1]], None),
        ("numeric", "5", None, None),
    ],
)
def test_an_answer_of_any_type_is_compared_or_said_to_be_broken(
    verifier: str, completion: str, answer: object, score: float | None
) -> None:
    verdict = verify_batch([(completion, answer)], verifier)[0]
    assert verdict.score == score
    assert verdict.status == ("bad_gold" if score is None else "correct" if score else "wrong")
    assert get_verifier(verifier)(completion, answer).score == score


def test_a_batch_of_mixed_types_keeps_its_order() -> None:
    pairs = [
        (r"\boxed{1}", "1"),
        (r"\boxed{2}", [1, 2]),
        (r"\boxed{3}", {}),
        (r"\boxed{4}", 5),
        (r"\boxed{6}", [5, 6, 7]),
    ]
    assert [verdict.score for verdict in verify_batch(pairs, "math")] == [1.0, 1.0, None, 0.0, 1.0]


def test_an_accepted_answer_that_cannot_be_read_does_not_decide() -> None:
    assert verify_batch([("5", ["x", "5"])], "numeric")[0].score == 1.0
    assert verify_batch([("6", ["x", "5"])], "numeric")[0].score == 0.0
    assert verify_batch([("6", ["x", "y"])], "numeric")[0].status == "bad_gold"


def test_tests_of_a_program_may_be_an_object() -> None:
    tests = {"tests": [{"type": "function", "fn_name": "f", "cases": [{"args": [2], "expected": 3}]}]}
    right = "```python\ndef f(x): return x + 1\n```"
    assert verify_batch([(right, tests)], "code", timeout_seconds=20.0)[0].score == 1.0
