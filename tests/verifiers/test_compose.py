"""Compositions: what their parts say, added up, gated, or cut."""

from collections.abc import Callable

import pytest

from verifiers import (
    AllOf,
    Gate,
    LengthPenalty,
    Verdict,
    Verifier,
    WeightedMean,
    WeightedSum,
    is_solved,
    verify_batch,
)

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


def number_in(completion: str, answer: str, **context: object) -> float:
    """The completion is the score."""
    return float(completion)


def only_for_words(completion: str, answer: str, **context: object) -> Verdict:
    """Judges no problem whose answer is a number."""
    if answer.isdigit():
        return Verdict(None, "not_applicable", detail="a number")
    return Verdict(float(completion == answer), "correct" if completion == answer else "wrong")


def test_a_weighted_mean_has_the_scale_of_its_parts() -> None:
    verifier = WeightedMean({"math": 3.0, "format": 1.0})
    assert [verifier(text, "42").score for text in (GOOD, WRONG, LOOSE)] == [1.0, 0.25, 0.75]
    assert verifier(WRONG, "42").parts == {"math": 0.0, "format": 1.0}
    assert verifier(WRONG, "42").status == "partial"
    with pytest.raises(ValueError, match="positive"):
        WeightedMean({"math": -1.0})


def test_a_weighted_sum_adds_what_its_weights_say_whatever_their_sign() -> None:
    verifier = WeightedSum({"math": 2.0, "format": -0.5})
    assert [verifier(text, "42").score for text in (GOOD, WRONG, LOOSE)] == [1.5, -0.5, 2.0]
    assert [verifier(text, "42").parts for text in (WRONG, LOOSE)] == [
        {"math": 0.0, "format": 1.0},
        {"math": 1.0, "format": 0.0},
    ]


def test_a_part_of_weight_0_is_reported_and_changes_nothing() -> None:
    verdict = WeightedSum({"math": 1.0, "format": 0.0})(LOOSE, "42")
    assert (verdict.score, verdict.parts) == (1.0, {"math": 1.0, "format": 0.0})
    with pytest.raises(ValueError, match="every weight is 0"):
        WeightedSum({"math": 0.0})


def test_a_sum_is_solved_where_its_parts_of_positive_weight_are() -> None:
    penalized = WeightedSum({"math": 1.0, "format": -0.5})
    assert [is_solved(penalized(text, "42")) for text in (GOOD, WRONG, LOOSE)] == [True, False, True]
    both = WeightedSum({"math": 1.0, "format": 0.2})
    assert [is_solved(both(text, "42")) for text in (GOOD, WRONG, LOOSE)] == [True, False, False]
    assert both(LOOSE, "42").status == "partial"  # its score is 1, and it is not solved
    one = WeightedSum({"math": 1.0, "format": 0.2}, silent=("format",))
    assert [is_solved(one(text, "42")) for text in (GOOD, WRONG, LOOSE)] == [True, False, True]


def test_a_score_that_says_nothing_about_right_and_wrong_leaves_that_to_the_other_parts() -> None:
    verifier = WeightedSum({"exact": 1.0, "judge": 0.1}, {"judge": number_in})
    assert [(verdict.score, is_solved(verdict)) for verdict in verify_batch([("7", "7"), ("7", "8")], verifier)] == [
        (pytest.approx(1.7), True),
        (pytest.approx(0.7), False),
    ]
    judged = WeightedSum({"judge": 0.1}, {"judge": number_in})("7", "7")
    assert (judged.status, is_solved(judged)) == ("scored", None)


def test_a_part_that_does_not_apply_is_left_out() -> None:
    parts = {"words": only_for_words}
    added = WeightedSum({"exact": 1.0, "words": 0.5}, parts)
    assert [(v.score, v.parts) for v in verify_batch([("7", "7"), ("no", "no")], added)] == [
        (1.0, {"exact": 1.0}),
        (1.5, {"exact": 1.0, "words": 1.0}),
    ]
    averaged = WeightedMean({"exact": 1.0, "words": 1.0}, parts)
    assert [verdict.score for verdict in verify_batch([("7", "7"), ("no", "yes")], averaged)] == [1.0, 0.0]
    assert AllOf({"exact": "exact", "words": only_for_words})("7", "7").score == 1.0
    alone = WeightedSum({"words": 1.0}, parts)("7", "7")
    assert (alone.score, alone.status, alone.detail) == (
        None,
        "not_applicable",
        "none of words applies to this problem",
    )


def test_negative_scores_go_through_every_composition() -> None:
    pairs = [("-1", "-1"), ("-3", "-1"), ("1", "1")]
    scores = {"of": number_in}
    assert [verdict.score for verdict in verify_batch(pairs, WeightedSum({"of": -2.0}, scores))] == [2.0, 6.0, -2.0]
    both = AllOf({"exact": "exact", "of": number_in})
    assert [verdict.score for verdict in verify_batch(pairs, both)] == [-1.0, -3.0, 1.0]
    assert [verdict.score for verdict in verify_batch(pairs, Gate("exact", number_in, otherwise=-5.0))] == [-1, -5, 1]
    above = Gate(number_in, "exact", opens_at=-1.0)
    assert [verdict.score for verdict in verify_batch(pairs, above)] == [1.0, 0.0, 1.0]
    assert [verdict.score for verdict in verify_batch(pairs, LengthPenalty(number_in, 0, 1))] == [-1, -3, 0.5]


def test_a_gate_behind_a_score_of_unknown_scale_needs_to_be_told_where_it_opens() -> None:
    verdict = Gate(number_in, "exact")("7", "7")
    assert (verdict.score, verdict.status) == (None, "error")
    assert verdict.detail == "gate: nothing says whether a score of 7 opens it; set opens_at"


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
    assert weighted(WRONG, "42").score == 0.5
    assert WeightedMean({"math": 3.0, "format": 0.5})(WRONG, "42").weights == {"math": 3.0, "format": 0.5}
    assert LengthPenalty(weighted)(GOOD, "42").weights == {"math": 3.0, "format": 0.5}
    # Its parts are not those that the weights are of.
    for whole in (AllOf({"one": weighted}), Gate(weighted, "math"), Gate("format", weighted)):
        assert [whole(text, "42").weights for text in (GOOD, WRONG, LOOSE)] == [{}, {}, {}]
    outer = WeightedSum({"inner": 2.0}, {"inner": weighted})(WRONG, "42")
    assert (outer.parts, outer.weights) == ({"inner": 0.5}, {"inner": 2.0})


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
    assert [verifier(text, "42").status for text in texts] == ["correct"] * 4  # what is right stays right


def test_what_a_length_penalty_takes_off_is_a_part_of_every_verdict() -> None:
    short, long = "\\boxed{42}", " " * 140 + "\\boxed{42}"
    verifier = LengthPenalty("math", free_chars=100, max_chars=200, penalty=0.5)
    assert verifier(short, "42").parts == {"before length penalty": 1.0, "length penalty": 0.0}
    assert verifier(long, "42").parts == {"before length penalty": 1.0, "length penalty": -0.25}
    inner = LengthPenalty(WeightedSum({"math": 3.0, "exact": 1.0}), free_chars=100, max_chars=200, penalty=0.5)
    assert inner(long, "42").parts == {"math": 1.0, "exact": 0.0, "length penalty": -0.75}
