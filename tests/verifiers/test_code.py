"""The code verifier: what counts as an answer, what it is worth, and whose fault a failure is."""

import json

import pytest

from verifiers.code import CodeVerifier, extract_code

TESTS = json.dumps(
    {"type": "function", "fn_name": "f", "cases": [{"args": [1], "expected": 2}, {"args": [5], "expected": 6}]}
)
RIGHT = "```python\ndef f(x):\n    return x + 1\n```"
HALF = "```python\ndef f(x):\n    return 2\n```"


@pytest.fixture(scope="module")
def verifier() -> CodeVerifier:
    return CodeVerifier()


@pytest.mark.parametrize(
    ("completion", "code"),
    [
        ("```python\na\n```", "a\n"),
        ("text\n```py\na\n```\nmore\n```python\nb\n```\nend", "b\n"),
        ("```\na\n```", "a\n"),
        ("```python\na\n```\n```\noutput\n```", "a\n"),
        ("~~~python\na\n~~~", "a\n"),
        ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''\n"),
        ("```python\nunclosed", "unclosed"),
        ("```Python3\na\n```", "a\n"),
        ("  ```python\n  a\n  ```", "  a\n"),
        ("```javascript\na\n```", None),
        ("```cpp\na\n```\n```java\nb\n```", None),
        ("no code at all", None),
        ("```python\n\n```", None),
        ("", None),
    ],
)
def test_the_last_python_block_is_the_answer(completion: str, code: str | None) -> None:
    assert extract_code(completion) == code


def test_a_program_that_passes_all_tests_scores_one(verifier: CodeVerifier) -> None:
    verdict = verifier(RIGHT, TESTS)
    assert (verdict.score, verdict.status, verdict.extracted) == (1.0, "correct", "def f(x):\n    return x + 1\n")
    assert verdict.parts == {"tests": 1.0}


def test_half_of_the_tests_are_worth_nothing_or_half(verifier: CodeVerifier) -> None:
    assert (verifier(HALF, TESTS).score, verifier(HALF, TESTS).status) == (0.0, "wrong")
    partly = CodeVerifier(partial_credit=True)(HALF, TESTS)
    assert (partly.score, partly.status, partly.parts) == (0.5, "partial", {"tests": 0.5})


def test_another_language_is_no_answer(verifier: CodeVerifier) -> None:
    verdict = verifier("```rust\nfn f() {}\n```", TESTS)
    assert (verdict.score, verdict.status, verdict.detail) == (0.0, "no_answer", "only blocks in rust")


@pytest.mark.parametrize(
    "answer", ["", "x", "[]", "3", '{"type": "other"}', '{"type": "function", "fn_name": "f", "cases": []}']
)
def test_broken_tests_are_not_the_completions_fault(verifier: CodeVerifier, answer: str) -> None:
    verdict = verifier(RIGHT, answer)
    assert (verdict.score, verdict.status) == (None, "bad_gold")
    assert verdict.detail


def test_a_program_that_loops_scores_zero_in_time() -> None:
    verdict = CodeVerifier(timeout_seconds=0.5)("```python\ndef f(x):\n    while True: pass\n```", TESTS)
    assert (verdict.score, verdict.status) == (0.0, "timeout")
    assert 0.4 < verdict.seconds < 15.0


@pytest.mark.parametrize(
    "body", ["import os; os._exit(0)", "x = bytearray(1 << 40)", "import ctypes; ctypes.string_at(0)"]
)
def test_a_program_that_dies_is_wrong_and_says_why(verifier: CodeVerifier, body: str) -> None:
    verdict = verifier(f"```python\ndef f(x):\n    {body}\n```", TESTS)
    assert (verdict.score, verdict.status) == (0.0, "wrong")
    assert "0 of 2 tests" in verdict.detail


def test_a_preamble_is_run_first(verifier: CodeVerifier) -> None:
    answer = json.dumps({"tests": [json.loads(TESTS)], "preamble": "from math import ceil\ndef g(x): return x + 1"})
    assert verifier("```python\ndef f(x): return g(ceil(x))\n```", answer).score == 1.0


def test_a_completion_without_a_fence_can_be_allowed() -> None:
    assert CodeVerifier(require_fence=False)("def f(x): return x + 1", TESTS).score == 1.0


def test_a_batch_keeps_its_order(verifier: CodeVerifier) -> None:
    verdicts = verifier.verify_batch([(RIGHT, TESTS), (HALF, TESTS), ("", TESTS)] * 20, workers=2, timeout_seconds=30.0)
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0, 0.0] * 20
    assert [verdict.status for verdict in verdicts[:3]] == ["correct", "wrong", "no_answer"]


def test_a_program_in_a_thought_is_no_answer(verifier: CodeVerifier) -> None:
    never = verifier(f"<think>\n{RIGHT}", TESTS)
    assert (never.score, never.status, never.detail) == (0.0, "no_answer", "the thinking never ends")
    assert verifier(f"<think>\n{RIGHT}\n</think>\n\nDone.", TESTS).status == "no_answer"
    assert verifier(f"<think>\n{HALF}\n</think>\n\n{RIGHT}", TESTS).score == 1.0
