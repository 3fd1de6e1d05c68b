"""The value of a function, a length or a probability: what stands before the equals sign only names it."""

import pytest

from verifiers import MathVerifier

VERIFIER = MathVerifier()

NAMED_FIVES = (
    "p(-1) = 5",
    "f(-3)=5",
    "P(3) = 5",
    "5 = f(-3)",
    "f'(-2) = 5",
    "f''(2) = 5",
    "f^{-1}(-3) = 5",
    r"f(\frac12) = 5",
    r"f\left(-\frac12\right) = 5",
    r"g(\sqrt2) = 5",
    r"f(\pi) = 5",
    "f(g(2)) = 5",
    "f(f(-1)) = 5",
    r"(f \circ g)(2) = 5",
    "f(-2, 3) = 5",
    "f(2) + g(2) = 5",
    "f(0) - f(1) = 5",
    r"\frac{f(3)}{g(3)} = 5",
    "f(2) + g(2) = 2 + 3 = 5",
    "p(-1) = 4 + 1 = 5",
    "p'(2) = 5",
    "S(10) = 5",
    r"\phi(8) = 5",
    "a_5 = 5",
    "a_{n+1} = 5",
    "S_{10} = 5",
    r"P(A \cap B) = 5",
    r"P(A \cup B) = 5",
    "P(A^c) = 5",
    "P(1 < X < 3) = 5",
    r"|A \cap B| = 5",
    "y'(2) = 5",
    "P(A|B) = 5",
    r"P(A \mid B) = 5",
    "P(|X| > 2) = 5",
    r"P(X \ge 2) = 5",
    r"P(\text{both red}) = 5",
    "E[X] = 5",
    r"\sin\theta = 5",
    r"\cos 2\theta = 5",
    r"\tan(A+B) = 5",
    "AB = 5",
    r"\overline{AB} = 5",
    "|z| = 5",
    r"|\vec{v}| = 5",
    r"|\text{AB}| = 5",
    r"\angle ABC = 5^\circ",
    r"\log_2 32 = 5",
    r"\gcd(10, 15) = 5",
)
NO_FIVES = (
    "2 + 2 = 5",
    "5(2) = 5",
    "-p(1) = 5",
    "-f(-3) = 5",
    "2f(3) = 5",
    "f(2) + 2 = 5",
    r"\ln f(2) = 5",
    "f(2)^2 = 5",
    "x(-1) = 5",  # five is what x times -1 is
    "y(2) = 5",
    "n(2) = 5",
    "p(-1) > 5",
    r"p(-1) \ne 5",
    r"p(-1) = 5 \text{ or } 6",
    "p(-1) = 5, p(1) = 7",
    "p(-1) = 4",
    "p(5) = 0",
    "p(-1) = 4 = 5",
    "f(3) = 2 + 2 = 5",
    "f(3) = 5 = 2 + 2",
    r"\{f \circ g)(2) = 5",
    "|4| = 5",
    "|-4| = 5",
    r"|2 \cdot 2| = 5",
    r"\cos 0 = 5",
    r"2\cos\theta = 5",
    r"\log_2 16 = 5",
    r"\gcd(4, 6) = 5",
    "C(5, 2) = 5",
    "f(5)",
    r"f(2) = 5 \Rightarrow f(2) = 6",
)
SAME_NAME = (
    ("p(-1)=5", "p(-1) = 5"),
    ("f(-1)=2, f(1)=4", "f(1)=4, f(-1)=2"),
    ("P(A|B)=1/6", r"P(A \mid B)=\frac16"),
    ("f(-6/2)=5", "f(-3)=5"),
    (r"(f \circ g)(2)=5", "f(g(2))=5"),
    (r"(f \circ g)(x)=4x^2", "4x^2"),
)
OTHER_NAMES = (
    ("p(2)=5", "p(3)=5"),
    ("p(-1)=5", "p(1)=5"),
    ("f(-1)=5", "g(-1)=5"),
    ("f(-1)=2, f(1)=4", "f(1)=2, f(-1)=4"),
    ("P(A|B)=1/6", "P(B|A)=1/6"),
    ("P(A|B)=1/6", "P(A)=1/6"),
    (r"P(A \cap B)=1/6", r"P(A \cup B)=1/6"),
    (r"\sin\theta=1/6", r"\cos\theta=1/6"),
    ("f(2)=5", "(2,5)"),
    (r"(f \circ g)(2)=5", r"(g \circ f)(2)=5"),
)
PRODUCTS = (("h(a+b)", "ah+bh"), ("p(1-p)", "p-p^2"), ("A(1+r)", "A+Ar"), ("p(3)", "3p"), ("S = A(3)", "3A"))


@pytest.mark.parametrize("answer", NAMED_FIVES)
def test_a_name_before_the_value_is_no_part_of_it(answer: str) -> None:
    assert VERIFIER(rf"So it is $\boxed{{{answer}}}$.", "5").score == 1.0
    assert VERIFIER(rf"The answer is ${answer}$.", "5").score == 1.0
    assert VERIFIER(r"\boxed{5}", answer).score == 1.0
    assert VERIFIER(rf"So it is $\boxed{{{answer}}}$.", "-5").score == 0.0


@pytest.mark.parametrize("answer", NO_FIVES)
def test_what_computes_to_something_else_is_no_name(answer: str) -> None:
    assert VERIFIER(rf"So it is $\boxed{{{answer}}}$.", "5").score == 0.0
    assert VERIFIER(rf"The answer is ${answer}$.", "5").score == 0.0


@pytest.mark.parametrize(("answer", "truth"), SAME_NAME)
def test_equal_names_agree(answer: str, truth: str) -> None:
    assert VERIFIER(rf"\boxed{{{answer}}}", truth).score == 1.0


@pytest.mark.parametrize(("answer", "truth"), OTHER_NAMES)
def test_another_name_is_another_answer(answer: str, truth: str) -> None:
    assert VERIFIER(rf"\boxed{{{answer}}}", truth).score == 0.0


@pytest.mark.parametrize(("answer", "truth"), PRODUCTS)
def test_letters_before_brackets_that_are_factors_stay_factors(answer: str, truth: str) -> None:
    assert VERIFIER(rf"\boxed{{{answer}}}", truth).score == 1.0
