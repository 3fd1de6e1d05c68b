"""What counts as the expected value, and as the expected output."""

import math
from typing import Any

import pytest

from sandbox import asserts
from sandbox.asserts import as_call
from sandbox.compare import Rule, same_output, same_value
from sandbox.inside.values import PlainArray

NAN = float("nan")


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (1, 1), (1, 1.0), (1.0, 1), ("a", "a"), (None, None), (True, True), ([1, [2]], [1, [2]]), ((1,), (1,)),
        ({1, 2}, {2, 1}), ({"a": [1]}, {"a": [1]}), (NAN, NAN), ([NAN], [NAN]), ({NAN}, {NAN}), (0.0, -0.0),
        (float("inf"), float("inf")), (1 + 2j, 1 + 2j), (b"x", b"x"), (10**400, 10**400), ({(1, 2): 3}, {(1, 2): 3}),
        (PlainArray("<i8", (2,), (1, 2)), PlainArray("<i4", (2,), (1, 2))),
    ],
)  # fmt: skip
def test_equal_values_are_the_same(expected: Any, actual: Any) -> None:
    assert same_value(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (1, True), (True, 1), (0, False), (False, 0.0), (20, "20"), ("20", 20), ([1], (1,)), ((1,), [1]), (None, 0),
        (1, NAN), (NAN, 1), ("nan", NAN), ([1, 2], [2, 1]), ({1}, {True}), ({1: 2}, {True: 2}), ({1}, [1]), ({1}, {1, 2}),
        ({1: 2}, {1: 3}), ({1: 2}, {}), (1, 1 + 0j), (b"x", "x"), ([], None), (0.1 + 0.2, 0.3), ({1}, frozenset({1})),
        (PlainArray("<i8", (2,), (1, 2)), PlainArray("<f8", (2,), (1.0, 2.0))), (PlainArray("<i8", (2,), (1, 2)), [1, 2]), (10**400, 1e300),
    ],
)  # fmt: skip
def test_other_values_are_not(expected: Any, actual: Any) -> None:
    assert not same_value(expected, actual)


def test_a_tolerance_holds_for_finite_floats_only() -> None:
    rule = Rule(tol=1e-6)
    assert same_value([1.0], [1.0 + 1e-9], rule)
    assert same_value({1.0, 2.0}, {1.0 + 1e-9, 2.0}, rule)
    assert not same_value(1.0, 1.1, rule)
    assert not same_value(math.inf, 1e308, rule)
    assert not same_value(1.0, math.inf, rule)
    assert not same_value(1.0, NAN, rule)
    assert not same_value(1, 2, Rule(tol=5))  # integers are exact


def test_sequences_can_be_alike() -> None:
    assert same_value([1, [2]], (1, (2,)), Rule(sequences_alike=True))
    assert not same_value([1, 2], (1,), Rule(sequences_alike=True))


@pytest.mark.parametrize(
    ("rule", "expected", "actual", "same"),
    [
        ("exact", "a\n", "a\n", True), ("exact", "a\n", "a", False), ("lines", "a\n", "a", True),
        ("lines", "a\nb\n", "a  \r\nb\n\n", True), ("lines", "a b", "a  b", False), ("lines", "a", "\na", False),
        ("tokens", "a b\n", "a\n  b", True), ("tokens", "a b", "ab", False), ("lines", "", "", True), ("lines", "", "x", False),
        ("lines", "1", "1.0", False), ("tokens", "1 2", "1 2 3", False),
    ],
)  # fmt: skip
def test_output_is_compared_by_the_rule(rule: str, expected: str, actual: str, same: bool) -> None:
    assert same_output(expected, actual, rule) is same


@pytest.mark.parametrize(
    ("actual", "same"), [("0.5000001", True), ("nan", False), ("inf", False), ("5e-1", True), ("0_5", False)]
)
def test_a_tolerance_for_output_reads_finite_numbers_only(actual: str, same: bool) -> None:
    assert same_output("0.5", actual, "lines", 1e-6) is same
    assert same_output("0.5", actual, "tokens", 1e-6) is same
    assert not same_output("nan", "nan2", "tokens", 1e-6)


def test_an_assert_of_a_call_and_a_literal_is_read() -> None:
    call = as_call("assert f(1, [2, 'a']) == (3, {'k': -1.5})", "f")
    assert call is not None
    assert (call.args, call.expected) == ((1, [2, "a"]), (3, {"k": -1.5}))
    assert as_call("assert 3 == f()", "f") is not None
    assert as_call("assert f() is None, 'message'", "f") is not None


@pytest.mark.parametrize(
    "source",
    [
        "assert g(1) == 2", "assert f(1) != 2", "assert f(x) == 2", "assert f(1) == g(1)", "assert f(a=1) == 2", "f(1) == 2",
        "assert f(1)", "assert f(1) == 2 == 3", "assert f(*[1]) == 2", "assert o.f(1) == 2", "assert f(1) is 5", "assert (",
        "x = 1\nassert f(1) == 2", "assert f(1) < 2", "assert f(__import__('os')) == 2",
    ],
)  # fmt: skip
def test_any_other_statement_is_left_to_the_tester(source: str) -> None:
    assert as_call(source, "f") is None


def test_the_tests_of_a_file_are_known_before_they_run() -> None:
    source = "def test_a(): ...\ndef helper(): ...\nclass TestB:\n    def test_c(self): ...\n    def other(self): ...\n"
    assert asserts.tests_in({"sub/test_x.py": source, "conftest.py": source}) == [
        "test_x.py::TestB::test_c",
        "test_x.py::test_a",
    ]
