"""Answers written otherwise are equal by construction, and near misses are not."""

import re
from fractions import Fraction

import pytest

from rlvr.audit.mutations import Mutation, equivalent_forms, hedges, near_misses
from verifiers.math import number_of


def by_kind(mutations: list[Mutation]) -> dict[str, str]:
    return {mutation.kind: mutation.text for mutation in mutations}


def test_a_number_is_written_as_fraction_product_decimal_and_with_separators() -> None:
    forms = by_kind(equivalent_forms("1234"))
    assert forms["a fraction not in lowest terms"] == r"\frac{2468}{2}"
    assert forms["a product"] == r"1234 \cdot 1"
    assert forms["a decimal"] == "1234.0"
    assert forms["thousands separators"] == "1,234"
    assert forms["LaTeX separators"] == "1{,}234"


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ("-0.25", "a fraction not in lowest terms", r"-\frac{2}{8}"),
        (r"\frac{7}{3}", "a mixed number", r"2\frac{1}{3}"),
        (r"-\frac{7}{3}", "a mixed number", r"-2\frac{1}{3}"),
        ("0.05", "a product", "1/20"),
        (r"\frac{1}{20}", "a decimal", "0.05"),
        (r"\frac{x}{2}", r"\dfrac", r"\dfrac{x}{2}"),
    ],
)
def test_forms_worked_by_hand(answer: str, kind: str, text: str) -> None:
    assert by_kind(equivalent_forms(answer))[kind] == text


def test_a_fraction_that_never_ends_is_not_written_as_a_decimal() -> None:
    assert "a decimal" not in by_kind(equivalent_forms(r"\frac{1}{3}"))


@pytest.mark.parametrize("answer", ["42", "-0.25", r"\frac{7}{3}", "1000000", "0"])
def test_every_form_of_a_number_has_its_value_and_no_near_miss_does(answer: str) -> None:
    value = number_of(answer)
    assert value is not None
    plain = [form.text for form in equivalent_forms(answer) if form.kind not in ("a full stop", "dollar signs")]
    values = [found.value for text in plain if (found := number_of(text.strip())) is not None]
    assert len(values) >= 2
    assert set(values) == {value.value}
    wrong = [found.value for miss in near_misses(answer) if (found := number_of(miss.text)) is not None]
    assert len(wrong) >= 3
    assert value.value not in wrong


def test_near_misses_of_a_number_are_worked_by_hand() -> None:
    misses = by_kind(near_misses("5"))
    values = {kind: number_of(text) for kind, text in misses.items()}
    for kind, expected in {
        "one more": Fraction(6),
        "one less": Fraction(4),
        "slightly more": Fraction(5001, 1000),
        "the other sign": Fraction(-5),
        "ten times as much": Fraction(50),
        "a hundredth": Fraction(1, 20),
        "upside down": Fraction(1, 5),
    }.items():
        found = values[kind]
        assert found is not None
        assert found.value == expected, kind


def test_zero_has_no_sign_and_no_inverse_to_be_wrong_about() -> None:
    kinds = by_kind(near_misses("0")).keys()
    assert "one more" in kinds
    assert not kinds & {"the other sign", "upside down", "ten times as much"}


def test_an_interval_is_wrong_with_another_bracket_and_a_pair_in_another_order() -> None:
    # The other bracket closes nothing: a change of one sign.
    assert by_kind(near_misses("[0,1)"))["another bracket"].replace(" ", "") == "(0,1)"
    assert by_kind(near_misses("(1,2)"))["items in another order"].replace(" ", "") == "(2,1)"
    assert "items in another order" not in by_kind(near_misses("(1,1)"))


def test_a_set_is_the_same_in_another_order_and_another_one_without_an_item() -> None:
    forms, misses = by_kind(equivalent_forms("1,-2")), by_kind(near_misses("1,-2"))
    assert forms["items in another order"].replace(" ", "") == "-2,1"
    assert misses["an item less"] == "1"


def test_another_base_and_another_word_are_other_answers() -> None:
    assert by_kind(near_misses("25_7"))["another base"] == "25_{8}"
    assert "not" in by_kind(near_misses(r"\text{Evelyn}"))["another word"]


def test_what_is_no_change_is_none_and_no_text_comes_twice() -> None:
    for answer in ("42", r"\frac{7}{3}", "x^2+1", "(1,2)", r"\text{Evelyn}"):
        for mutations in (equivalent_forms(answer), near_misses(answer)):
            texts = [mutation.text for mutation in mutations]
            assert len(set(texts)) == len(texts)
            assert answer not in texts


def test_what_cannot_be_read_is_only_dressed_otherwise() -> None:
    assert by_kind(equivalent_forms(r"\frac{1}{")).keys() == {"spaces around it", "a full stop", "dollar signs"}
    assert near_misses(r"\frac{1}{") == []


def test_every_hedge_names_the_right_answer_and_another_or_breaks_off() -> None:
    for hedge in hedges("42"):
        assert re.search(r"\b42\b", hedge.text), hedge.kind
        assert "1234321" in hedge.text or "wait" in hedge.text or "not sure" in hedge.text
    assert len({hedge.kind for hedge in hedges("42")}) == 8
