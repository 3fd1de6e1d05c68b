"""Texts become trees, and an attempt that fails leaves nothing behind."""

from verifiers.math.tree.parse import parse


def test_an_argument_that_is_none_is_read_again_from_its_first_digit() -> None:
    assert parse(r"h(x + \frac12)") == parse(r"h(x + \frac{1}{2})")
    assert parse(r"h(x + \frac12)").head == "mul"
