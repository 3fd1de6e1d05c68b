"""What reaches a verifier besides completion and answer: whatever its signature asks for."""

from functools import partial

import pytest

from tests.verifiers import columns
from verifiers import verify_batch
from verifiers.context import accepted, as_lists

HERE = "tests.verifiers.columns"
CONTEXT = {
    "level": 3,
    "completion_length": 2,
    "prompt": ({"role": "user", "content": "q"},),
    "problem_id": "train-1",
    "columns": {"level": 3, "extra info": "x", "completion_length": 2},
}


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("fixed", "text text"),
        ("asks_for_a_column", "level 3"),
        ("asks_for_all", "level 3, extra x, prompt q, id train-1"),
        ("Checks", "an object, level 3"),
        ("gets_everything", "columns,completion_length,level,problem_id,prompt"),
        ("has_other_names", "level 3"),
    ],
)
def test_a_verifier_gets_what_it_names(name: str, detail: str) -> None:
    verdict = verify_batch([("text", "text", CONTEXT)], f"{HERE}:{name}", timeout_seconds=20.0)[0]
    assert (verdict.score, verdict.detail) == (1.0, detail)


def test_a_setting_is_never_replaced_by_a_column() -> None:
    spec = {"name": f"{HERE}:with_a_setting", "level": 9}
    assert verify_batch([("c", "a", CONTEXT)], spec, timeout_seconds=20.0)[0].detail == "level 9"
    assert accepted(partial(columns.asks_for_a_column, level=1), CONTEXT) == {}


def test_a_column_named_as_the_first_two_arguments_does_not_collide() -> None:
    context = {"response": "x", "truth": "y", "level": 1}
    assert accepted(columns.has_other_names, context) == {"level": 1}


def test_a_batch_function_gets_prompts_and_columns_as_lists() -> None:
    other = {**CONTEXT, "level": 4, "columns": {"level": 4}}
    pairs = [("a", "a", CONTEXT), ("b", "x", other), ("c", "c")]
    verdicts = verify_batch(pairs, f"{HERE}:batch", timeout_seconds=20.0)
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0, 1.0]
    assert [verdict.detail for verdict in verdicts] == ["3 q train-1 x", "4 q train-1 None", "None None None None"]
    assert [v.score for v in verify_batch(pairs, f"{HERE}:plain_batch", timeout_seconds=20.0)] == [1.0, 0.0, 1.0]


def test_contexts_as_lists_say_none_where_a_row_has_no_such_column() -> None:
    assert as_lists([{"a": 1, "prompt": "p"}, {"b": 2}]) == {"a": [1, None], "prompts": ["p", None], "b": [None, 2]}


def test_parts_of_a_composition_get_the_context_too() -> None:
    spec = {"all_of": {"one": f"{HERE}:asks_for_a_column", "two": f"{HERE}:fixed"}}
    assert verify_batch([("text", "text", CONTEXT)], spec, timeout_seconds=20.0)[0].score == 1.0
