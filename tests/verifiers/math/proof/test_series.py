"""Sums and products of rational numbers have their exact values, in bounded work."""

import time
from fractions import Fraction

import pytest

from verifiers.math.limits import TooMuch
from verifiers.math.proof.equality import Equality
from verifiers.math.proof.series import rational_value
from verifiers.math.tree.nodes import Node
from verifiers.math.tree.parse import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\sum_{k=1}^{10} k", 55),
        (r"\sum_{i=1}^{3} i^2", 14),
        (r"\sum_{k=1}^{4} \frac{1}{k(k+1)}", Fraction(4, 5)),
        (r"\prod_{k=2}^{5} \left(1-\frac1k\right)", Fraction(1, 5)),
        (r"\sum_{i=1}^{3}\sum_{j=1}^{i} ij", 25),
        (r"\sum_{k=0}^{4} \binom{4}{k}", 16),
        (r"\sum_{k=-2}^{2} k^3", 0),
    ],
)
def test_a_short_sum_or_product_has_its_value(text: str, value: Fraction) -> None:
    assert rational_value(parse(text)) == value


@pytest.mark.parametrize(
    "text",
    [
        r"\sum_{k=1}^{n} k",
        r"\sum_{k=1}^{3} x^k",
        r"\sum_{k=0}^{3} \frac1k",
        r"\sum_{k=3}^{1} k",
        r"\sum_{k=1}^{10^9} k",
        r"\prod_{k=1}^{1000} k",
        r"\int_{k=1}^{3} k",
        r"\sum_{k=1}^{999}\sum_{j=1}^{999} jk",
        r"\sum_{k=1}^{9}" * 6 + "k",
    ],
)
def test_what_has_no_value_or_takes_too_long_is_left_alone(text: str) -> None:
    started = time.process_time()
    assert rational_value(parse(text)) is None
    assert time.process_time() - started < 1.0


def test_all_comparisons_of_one_answer_share_one_bound_of_work() -> None:
    equality, one = Equality(), Node("num", (Fraction(1),))
    heavy = [parse(rf"(\sqrt2+\sqrt3+{n})^{{20}}") for n in range(2, 102)]
    with pytest.raises(TooMuch, match="too many comparisons"):
        [equality.equal(node, one) for node in heavy]
