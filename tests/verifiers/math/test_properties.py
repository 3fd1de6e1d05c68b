"""What holds for every answer: it equals itself and its re-rendering, and equality has no direction."""

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.verifiers.math.strategies import answers, expressions, has_value
from verifiers import MathVerifier
from verifiers.math.limits import MAX_ANSWER_CHARS
from verifiers.math.proof.compare import Comparison
from verifiers.math.proof.confirm import confirm
from verifiers.math.rules import decide
from verifiers.math.tree.nodes import Node, number
from verifiers.math.tree.parse import parse
from verifiers.math.tree.render import render

relaxed = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.filter_too_much])


def settled(left: Node, right: Node) -> bool:
    return same(left, right, proof=False)


def same(left: Node, right: Node, proof: bool = True) -> bool:
    """Whether two trees are found equal, by sympy too where a `proof` may be asked for."""
    comparison = Comparison()
    pending = comparison.equality.pending
    return comparison.same(left, right) and (confirm(list(pending)) if proof else not pending)


@given(answers)
@relaxed
def test_an_answer_equals_its_latex_rendering(node: Node) -> None:
    assume(has_value(node))
    text = render(node)
    assume(len(text) <= MAX_ANSWER_CHARS)
    assert same(parse(text), node), text  # a fraction inside of a logarithm needs sympy
    assert MathVerifier()(rf"\boxed{{{text}}}", text).score == 1.0


@given(answers, answers)
@relaxed
def test_equality_has_no_direction(left: Node, right: Node) -> None:
    ours, theirs = render(left), render(right)
    assert decide(ours, theirs).same == decide(theirs, ours).same


@given(expressions, expressions)
@relaxed
def test_the_order_of_a_sum_and_of_a_product_does_not_matter(left: Node, right: Node) -> None:
    for head in ("add", "mul"):
        assume(has_value(Node(head, (left, right))))
        assert settled(Node(head, (left, right)), Node(head, (right, left)))


@given(expressions, st.integers(1, 50))
@relaxed
def test_a_number_added_makes_another_answer(node: Node, distance: int) -> None:
    assume(has_value(node))
    assert not settled(Node("add", (node, number(distance))), node)


@given(st.text(max_size=200))
@relaxed
def test_no_text_makes_the_verifier_raise_or_reward_an_unrelated_truth(text: str) -> None:
    verdict = MathVerifier(mode="lenient")(text, r"\frac{271828}{31415}")
    assert verdict.score == 0.0
