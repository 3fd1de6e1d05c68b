"""JSON values keep every digit, through text, pickles and copies."""

import copy
import json
import math
import pickle

import pytest

from verifiers.values import Numeral, as_text, is_empty, json_text, parse_json

ROW = '{"a": 0.10, "b": 12345678901234567890123, "c": [1e-7, true, null, "x", 2.50], "d": -0.0, "e": 1E400}'


def test_numbers_keep_their_digits() -> None:
    row = parse_json(ROW)
    assert json_text(row) == ROW
    assert [str(row["a"]), f"{row['a']}", repr(row["c"][0]), row["b"]] == [
        "0.10",
        "0.10",
        "1e-7",
        12345678901234567890123,
    ]
    assert (row["a"], row["c"][0], row["e"]) == (0.1, 1e-7, math.inf)
    assert [type(value) for value in row["c"]] == [Numeral, bool, type(None), str, Numeral]


def test_a_numeral_survives_a_pickle_and_a_copy_and_calculates_as_a_float() -> None:
    number = Numeral("2.50")
    for again in (pickle.loads(pickle.dumps(number)), copy.deepcopy(number)):
        assert (str(again), again, type(again)) == ("2.50", 2.5, Numeral)
    assert type(number * 2) is float
    assert json.loads(json.dumps({"n": number})) == {"n": 2.5}


def test_an_integer_too_long_for_python_keeps_its_digits() -> None:
    digits = "7" * 5_000
    assert json_text(parse_json(f"[{digits}]")) == f"[{digits}]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("007", "007"),
        (7, "7"),
        (True, "true"),
        (Numeral("1e-7"), "1e-7"),
        (["a", 1], '["a", 1]'),
        ({"é": 1.5}, '{"\\u00e9": 1.5}'),
    ],
)
def test_a_value_as_text_is_json_unless_it_is_text(value: object, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("value", "empty"),
    [(None, True), (" ", True), ([], True), ({}, True), (math.nan, True), (0, False), (False, False), ([""], False)],
)
def test_zero_and_false_say_something(value: object, empty: bool) -> None:
    assert is_empty(value) is empty
