"""The call that trainers use: order, deadlines, and failures that are not wrong answers."""

import sys
import time
from pathlib import Path

import pytest

from tests.verifiers import plugins
from verifiers import get_verifier, verify_batch

HERE = "tests.verifiers.plugins"


def test_a_plain_function_is_a_verifier_by_its_path() -> None:
    verdicts = verify_batch([("abc", "xyz"), ("ab", "xyz")], f"{HERE}:same_length")
    assert [(verdict.score, verdict.status) for verdict in verdicts] == [(1.0, "correct"), (0.0, "wrong")]


def test_an_async_function_is_a_verifier() -> None:
    verdicts = verify_batch([("abc", "xyz"), ("ab", "xyz")], f"{HERE}:same_length_async")
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0]


def test_a_batch_function_is_called_in_chunks_and_keeps_the_order() -> None:
    verdicts = verify_batch([("a", "a"), ("b", "c"), ("d", "d")], f"{HERE}:same_many")
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0, 1.0]


def test_a_verifier_may_be_handed_over_as_an_object() -> None:
    assert [verdict.score for verdict in verify_batch([("a", "a")], plugins.same_many)] == [1.0]


@pytest.mark.parametrize("name", ["Penalizes", "PenalizesAsync", "ScoresAtOnce"])
def test_a_class_may_return_bare_numbers_too(name: str) -> None:
    verdicts = verify_batch([("a", "a"), ("b", "c")], f"{HERE}:{name}")
    assert [(verdict.score, verdict.status) for verdict in verdicts] == [(1.0, "correct"), (-1.0, "wrong")]
    assert {type(verdict.score) for verdict in verdicts} == {float}


def test_a_broken_verifier_is_not_a_wrong_answer() -> None:
    pairs = [("fine", ""), ("raise", ""), ("die", ""), ("junk", ""), ("fine", "")]
    verdicts = verify_batch(pairs, f"{HERE}:misbehaves", timeout_seconds=30.0)
    assert [verdict.score for verdict in verdicts] == [1.0, None, None, None, 1.0]
    assert [verdict.status for verdict in verdicts] == ["correct", "error", "error", "error", "correct"]
    assert verdicts[1].detail == "RuntimeError: no"


def test_a_verifier_inherits_its_deadline_even_in_big_integer_code() -> None:
    started = time.monotonic()
    verdicts = verify_batch([("hang", ""), ("burn", ""), ("fine", "")], f"{HERE}:misbehaves", timeout_seconds=3.0)
    assert time.monotonic() - started < 50.0  # the first would have slept for 60
    assert [verdict.status for verdict in verdicts] == ["timeout", "timeout", "correct"]
    assert [verdict.score for verdict in verdicts] == [None, None, 1.0]


def test_the_deadline_of_a_check_does_not_include_the_import_of_its_verifier() -> None:
    verdicts = verify_batch([("a", "a"), ("a", "b")] * 4, "tests.verifiers.slow_to_import:check", timeout_seconds=1.0)
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0] * 4


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match="no verifier is called 'maths': did you mean 'math'"):
        get_verifier("maths")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def check(:\n", r"SyntaxError: invalid syntax \(mine_0.py, line 1\)"),
        ("check = nothing\n", "NameError: name 'nothing' is not defined"),
        ("raise SystemExit('bye')\n", "SystemExit: bye"),
        ("class check:\n    def __init__(self, size): ...\n", "cannot be made of its class: .*'size'"),
    ],
)
def test_a_file_with_a_mistake_is_one_sentence(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_0.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_0", raising=False)
    with pytest.raises(ValueError, match=rf"the verifier 'mine_0:check' .*{said}"):
        get_verifier("mine_0:check")


def test_a_path_that_cannot_be_loaded_says_so() -> None:
    with pytest.raises(ValueError, match=r"cannot be loaded from tests\.verifiers\.plugins:absent"):
        get_verifier(f"{HERE}:absent")
