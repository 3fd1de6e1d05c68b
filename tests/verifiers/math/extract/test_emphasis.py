"""What a bold last line states is the answer; a heading, a hedge or one of several values is none."""

import pytest

from verifiers import MathVerifier
from verifiers.math.extract.emphasis import emphasized

VERIFIER = MathVerifier()
WORK = (
    "The first ball is red with probability $a$, and the second one with probability $b$.\n\n"
    "- There are $16$ balls in the bag, of which $7$ are red.\n"
    "- The two draws depend on each other.\n\n"
)
VALUES = (
    (r"\frac{7}{40}", r"\frac{14}{80}"),
    ("2x^2+3", "3+2x^2"),
    ("(2,-5)", "(2,-5)"),
    (r"3.4\times10^{-5}", "0.000034"),
)
STATED = (
    "**We get $X$.**",
    "**we obtain $X$**",
    "- **We get $X$.**",
    "**Simplifying, $a_n=X$.**",
    "**The midpoint is $X$.**",
    "**Multiplying, the probability that both are red is $X$.**",
    "**The remainder when $p(x)$ is divided by $x+1$ is $X$.**",
    "**The distance between the two points is $X$.**",
    "**This gives $X$.**",
    "**That is, $X$.**",
    "**The whole simplifies to $X$.**",
    "**Result: $X$**",
    "**The value is \\(X\\).**",
    "The probability is **$X$**.",
    "We add them up. The probability is **$X$**.",
    "**$X$**",
    "**$p = X$**",
    "**There are $X$ ways.**",
)
NOT_STATED = (
    "**maybe $X$**",
    "**not $X$**",
    "**$X$ or $5$**",
    "**We get $5$ or $X$.**",
    "**We do not get $X$.**",
    "**We get $X$.** Now we add one.",
    "**We get $X$.**\n\nNow we add one.",
    "**Do we get $X$?**",
    "**We get $X$...**",
    "**We might get $X$.**",
    "**$5$** and **$X$**",
    "**We get $5$.** **We get $X$.**",
    "**We get $5$.**\n**We get $X$.**",
    "**The radius is $5$, the area is $X$.**",
    "**If we add, we get $X$.**",
    "If we suppose that they differ,\n\n**we get $X$.**",
    "A wrong attempt:\n\n**We get $X$.**",
    "**Suppose $p = X$.**",
    "**Case $p = X$.**",
    "**Step 2: $p = X$**",
    "**Check $X$.**",
    "**To get $X$**",
    "**We need to find $X$.**",
    "**It remains to show that it is $X$.**",
    "**The upper bound is $X$.**",
    "**Our hypothesis is $X$.**",
    "**So far we have $X$.**",
    "**We get $X$, so we add one.**",
    "**We get $X$ squared.**",
    "**We get $X$ is larger.**",
    "**$5$ and $X$**",
    "**Therefore $5$ and $X$ are the roots.**",
    "**We get $X$ more than before.**",
    "**We get $y + X$.**",
    "**We get $y^2 = X$.**",
    "**We get $y + z = X$.**",
    "**The other answer is $X$.**",
    "**The previous result is $X$.**",
    "**The probability is** found from $X$.",
)


@pytest.mark.parametrize("line", STATED)
def test_a_bold_last_line_states_its_value(line: str) -> None:
    assert [value for value, truth in VALUES if VERIFIER(WORK + line.replace("X", value), truth).score != 1.0] == []


@pytest.mark.parametrize("line", NOT_STATED)
def test_bold_type_that_states_nothing_is_no_answer(line: str) -> None:
    assert [value for value, truth in VALUES if VERIFIER(WORK + line.replace("X", value), truth).score == 1.0] == []


def test_arithmetic_with_a_bold_result_is_read_where_it_is_true() -> None:
    assert VERIFIER("17 × 23 = **391**", "391").score == 1.0
    assert VERIFIER(WORK + "3 * (16.50 + 22.50 + 42) = **$243**", "243").score == 1.0
    assert VERIFIER("17 × 23 = **392**", "392").score == 0.0
    assert VERIFIER("17 × 23 = **391**\n17 + 23 = **40**", "40").score == 0.0
    assert VERIFIER("17 × 23 = **391** and 1", "391").score == 0.0
    assert VERIFIER("If we add, \n17 + 23 = **40**", "40").score == 0.0


def test_a_last_line_of_stars_has_no_value() -> None:
    for line in ("**", "****", "** **", "**.", "**$**", "**$$**", "**is $5**"):
        assert emphasized(WORK + line) == ()
