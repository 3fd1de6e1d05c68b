"""Compositions: what their parts say, added up, gated, or cut."""

from collections.abc import Callable

import pytest

from verifiers import AllOf, Gate, LengthPenalty, Verdict, Verifier, WeightedSum, verify_batch

GOOD = "<think>6 * 7</think><answer>42</answer>"
WRONG = "<think>6 * 7</think><answer>41</answer>"
LOOSE = "The answer is 42."


def broken(completion: str, answer: str, **context: object) -> Verdict:
    return Verdict(None, "error", detail="out of order")


def same_unit(completion: str, answer: str, **context: object) -> Verdict:
    return Verdict(float(completion.endswith(str(context.get("unit")))), "correct", detail=str(context))


@pytest.mark.parametrize(
    "verifier",
    [
        WeightedSum({"unit": 1.0}, {"unit": same_unit}),
        AllOf({"unit": same_unit}),
        Gate("exact", same_unit),
        LengthPenalty(same_unit),
        Gate(first=same_unit, then=LengthPenalty(AllOf({"unit": same_unit}))),
    ],
)
def test_each_part_is_told_what_is_known_of_the_problem(verifier: Verifier) -> None:
    assert verifier("12 km", "12 km", unit="km").score == 1.0
    assert verifier("12 km", "12 km", unit="miles").score == 0.0
    batch = [("12 km", "12 km", {"unit": unit}) for unit in ("km", "miles")]
    assert [verdict.score for verdict in verify_batch(batch, verifier)] == [1.0, 0.0]


def test_a_weighted_sum_is_an_average() -> None:
    verifier = WeightedSum({"math": 3.0, "format": 1.0})
    assert [verifier(text, "42").score for text in (GOOD, WRONG, LOOSE)] == [1.0, 0.25, 0.75]
    assert verifier(WRONG, "42").parts == {"math": 0.0, "format": 1.0}
    assert verifier(WRONG, "42").status == "partial"


def test_weights_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        WeightedSum({"math": -1.0})


@pytest.mark.parametrize(
    "make",
    [lambda: WeightedSum({"mth": 1}), lambda: AllOf({"it": "mth"}), lambda: Gate("mth"), lambda: LengthPenalty("mth")],
)
def test_a_misspelt_part_is_refused_before_the_first_batch(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="did you mean 'math'"):
        make()
    assert WeightedSum({"it": 1}, {"it": "further:down"})


def test_a_part_without_a_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="the part 'jugde' has no weight: did you mean 'judge'"):
        WeightedSum({"math": 1.0, "judge": 1.0}, {"jugde": broken})


def test_a_weighted_sum_gives_its_weights_to_its_verdicts_and_no_other_composition_does() -> None:
    weighted = WeightedSum({"math": 3.0, "format": 0.5})
    assert weighted(WRONG, "42").weights == {"math": 3.0, "format": 0.5}
    assert weighted(WRONG, "42").score == 0.5 / 3.5
    assert LengthPenalty(weighted)(GOOD, "42").weights == {"math": 3.0, "format": 0.5}
    # Its parts are not those that the weights are of.
    for whole in (AllOf({"one": weighted}), Gate(weighted, "math"), Gate("format", weighted)):
        assert [whole(text, "42").weights for text in (GOOD, WRONG, LOOSE)] == [{}, {}, {}]
    outer = WeightedSum({"inner": 2.0}, {"inner": weighted})(WRONG, "42")
    assert (outer.parts, outer.weights) == ({"inner": 0.5 / 3.5}, {"inner": 2.0})


def test_all_of_takes_the_lowest_score() -> None:
    with pytest.raises(ValueError, match=r"expected parts by name.*got 'math'"):
        AllOf("math")  # type: ignore[arg-type]
    verifier = AllOf({"math": "math", "format": "format"})
    assert [verifier(text, "42").score for text in (GOOD, WRONG, LOOSE)] == [1.0, 0.0, 0.0]


def test_a_gate_lets_the_second_count_only_behind_the_first() -> None:
    verifier = Gate("format", "math")
    assert [verifier(text, "42").score for text in (GOOD, WRONG, LOOSE)] == [1.0, 0.0, 0.0]
    assert verifier(LOOSE, "42").detail.startswith("gate: <think> must occur once")


def test_a_part_that_failed_fails_the_whole() -> None:
    verdict = WeightedSum({"math": 1.0, "judge": 1.0}, {"judge": broken})(GOOD, "42")
    assert (verdict.score, verdict.status, verdict.detail) == (None, "error", "judge: out of order")


def test_a_length_penalty_grows_linearly_and_spares_no_wrong_answer() -> None:
    verifier = LengthPenalty("math", free_chars=100, max_chars=200, penalty=0.5)
    texts = [" " * (chars - 10) + "\\boxed{42}" for chars in (100, 150, 200, 300)]
    assert [verifier(text, "42").score for text in texts] == [1.0, 0.75, 0.5, 0.5]
    assert verifier(texts[3], "43").score == 0.0
    assert verifier(texts[1], "42").parts == {"before length penalty": 1.0}
