"""Functions that were written for TRL, as verifiers."""

import re

import pytest

from verifiers import get_verifier, verify_batch
from verifiers.trl import TRLFunction

HERE = "tests.verifiers.trl_functions"
QUESTION = {"prompt": ({"role": "user", "content": "o"},), "problem_id": "p"}


def scores(spec: object, *pairs: tuple[object, ...]) -> list[float | None]:
    return [verdict.score for verdict in verify_batch(pairs, spec)]  # type: ignore[arg-type]


def test_a_function_gets_the_completions_and_columns_of_a_batch_as_lists() -> None:
    assert scores({"trl": f"{HERE}:shorter_is_better"}, ("abc", ""), ("a", "")) == [-3.0, -1.0]
    assert scores({"trl": f"{HERE}:is_the_answer"}, ("7", "7"), ("8", "7")) == [1.0, -1.0]
    pairs = [("x", "", {"task": kind}) for kind in ("code", "math")]
    assert scores({"trl": f"{HERE}:only_for_code"}, *pairs) == [0.5, None]
    assert scores({"trl": f"{HERE}:best_of_the_batch"}, ("a", ""), ("c", ""), ("b", "")) == [0.0, 1.0, 0.0]


def test_messages_are_what_a_function_gets_that_asks_for_them() -> None:
    spec = {"trl": {"function": f"{HERE}:of_messages", "completions": "messages"}}
    assert scores(spec, ("foo", "", QUESTION), ("bar", "", QUESTION)) == [2.0, 0.0]
    (verdict,) = verify_batch([("foo", "", QUESTION)], {"trl": f"{HERE}:of_messages"})
    assert (verdict.score, verdict.status) == (None, "error")
    assert verdict.detail.endswith("; with completions: messages it would get messages")


def test_none_is_no_part_of_a_weighted_sum() -> None:
    spec = {
        "weighted_sum": {
            "right": {"weight": 1.0, "verifier": {"trl": f"{HERE}:is_the_answer"}},
            "code": {"weight": 2.0, "verifier": {"trl": f"{HERE}:only_for_code"}},
        }
    }
    verdicts = verify_batch([("7", "7", {"task": "code"}), ("7", "8", {"task": "math"})], spec)
    assert [(verdict.score, verdict.parts) for verdict in verdicts] == [
        (2.0, {"right": 1.0, "code": 0.5}),
        (-1.0, {"right": -1.0}),
    ]
    (alone,) = verify_batch([("7", "7", {"task": "math"})], {"trl": f"{HERE}:only_for_code"})
    assert (alone.score, alone.status) == (None, "not_applicable")


def test_a_column_that_is_not_there_and_a_list_that_is_too_short_are_failures_with_a_reason() -> None:
    (needs,) = verify_batch([("a", "", QUESTION)], {"trl": f"{HERE}:needs_more"})
    assert needs.detail.startswith("TypeError: it needs 'level', and there is only answer, prompts, problem_ids, comp")
    short = verify_batch([("a", ""), ("b", "")], {"trl": f"{HERE}:forgets_one"})
    assert [verdict.detail for verdict in short] == ["expected a value for each of 2 completions: got 1 values"] * 2


def test_chunks_bound_how_many_completions_a_call_gets() -> None:
    verifier = TRLFunction(f"{HERE}:best_of_the_batch", chunk=2)
    assert [verdict.score for verdict in verify_batch([("a", ""), ("c", ""), ("b", "")], verifier)] == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (f"{HERE}:shorter_is_better", f"takes lists of completions, as TRL calls it: write {{trl: '{HERE}:shorter_is_"),
        (
            {"trl": f"{HERE}:absent"},
            "v.trl.function: 'tests.verifiers.trl_functions:absent' cannot be loaded: Attribut",
        ),
        ({"trl": 3}, "v.trl: got 3, expected module:function, or {function: ..., completions: messages}"),
        ({"trl": {"function": f"{HERE}:forgets_one", "completions": "chat"}}, "expected one of text, messages"),
        ({"trl": {"function": f"{HERE}:HERE"}}, "cannot be loaded"),
        ({"trl": {"function": f"{HERE}:re"}}, "is no function"),
    ],
)
def test_what_is_no_function_for_trl_is_refused(spec: object, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        get_verifier(spec, "v")  # type: ignore[arg-type]
