import math

import numpy
import pytest

from rlvr.report.statistics import (
    Finding,
    Pooled,
    find,
    holm,
    mcnemar,
    pooled,
    problem_weights,
    problems_are_short,
    seeds_needed,
    t_quantile,
    two_sided,
)


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (1, 5, 2 * (1 + 6) / 64),  # P(X <= 1) of 6 tosses is (1 + 6) / 64
        (5, 1, 2 * (1 + 6) / 64),
        (0, 6, 2 / 64),
        (2, 7, 2 * (1 + 9 + 36) / 512),
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_is_the_exact_binomial(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar(only_first, only_second) == pytest.approx(p, rel=1e-12)


def test_mcnemar_of_thousands_of_pairs_is_still_a_number_and_near_the_normal_one() -> None:
    z = (abs(1030 - 1170) - 1) / math.sqrt(2200)
    assert mcnemar(1030, 1170) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.01)
    assert mcnemar(499, 500) == pytest.approx(1.0)
    assert mcnemar(500, 500) == pytest.approx(1.0)


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    # Ascending 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, and 0.04 raised to 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_does_not_count_what_could_not_be_tested() -> None:
    adjusted = holm([0.01, math.nan, 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("degrees", "bound"), [(1, 12.7062), (2, 4.3027), (4, 2.7764), (10, 2.2281), (30, 2.0423), (1e6, 1.95996)]
)
def test_students_t_is_the_textbooks(degrees: float, bound: float) -> None:
    assert t_quantile(0.95, degrees) == pytest.approx(bound, abs=1e-4)
    assert two_sided(bound, degrees) == pytest.approx(0.05, abs=1e-5)


def test_students_t_far_out_and_between_whole_degrees() -> None:
    confidence = 1 - 0.05 / 21  # with two degrees of freedom: t = c * sqrt(2 / (1 - c^2))
    assert t_quantile(confidence, 2) == pytest.approx(confidence * math.sqrt(2 / (1 - confidence**2)), rel=1e-9)
    assert 2.7764 < t_quantile(0.95, 3.5) < 3.1825


def test_an_interval_worked_by_hand() -> None:
    # V_p = var(0.2, 0.3, 0.1) = 0.01; V_c = (0.01 + 0.01) / 4 = 0.005; V_s = var(0.1, 0.3) / 2 = 0.01.
    # V = 0.01 + 0.01 - 0.005 = 0.015; degrees = V^2 / (V_p^2 / 10 + V_s^2 / 1) = 0.000225 / 0.00011.
    found = find(numpy.array([0.1, 0.3]), numpy.array([[0.1, 0.3], [0.2, 0.4], [0.0, 0.2]]), problems=11)
    half = t_quantile(0.95, 0.000225 / 0.00011) * math.sqrt(0.015)
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - half)
    assert found.high == pytest.approx(0.2 + half)
    assert found.p == pytest.approx(two_sided(0.2 / math.sqrt(0.015), 0.000225 / 0.00011))
    assert found.seed_variance == pytest.approx(0.02)
    assert found.problem_variance == pytest.approx(0.005)


def test_with_one_seed_the_interval_is_over_problems_and_says_so() -> None:
    found = find(numpy.array([0.2]), numpy.array([[0.1], [0.2], [0.3]]), problems=100)
    assert not found.over_seeds
    assert found.standard_error == pytest.approx(0.1)
    assert found.high - found.value == pytest.approx(t_quantile(0.95, 99) * 0.1)
    assert seeds_needed(found, 0.05) is None


def test_no_spread_at_all_is_certain_of_a_difference_only_if_there_is_one() -> None:
    nothing, something = numpy.zeros((5, 2)), numpy.full((5, 2), 0.5)
    assert find(nothing[0], nothing, 10).p == 1.0
    assert find(something[0], something, 10).p == 0.0


def test_what_does_not_exist_is_not_a_number_and_single_resamples_without_it_are_left_out() -> None:
    missing = find(numpy.array([0.2, math.nan]), numpy.ones((5, 2)), problems=10)
    assert math.isnan(missing.p)
    assert math.isnan(missing.low)
    whole = numpy.array([[0.1, 0.3], [0.2, 0.4], [0.0, 0.2]])
    holed = numpy.array([[0.1, 0.3], [math.nan, 0.4], [0.2, 0.4], [0.0, 0.2]])
    assert find(numpy.array([0.1, 0.3]), holed, 11) == find(numpy.array([0.1, 0.3]), whole, 11)


def test_resamples_draw_as_many_problems_as_there_are_and_the_same_ones_each_time() -> None:
    weights = problem_weights(40, 500)
    assert weights.shape == (500, 40)
    assert (weights.sum(1) == 40).all()
    assert weights.var() == pytest.approx(1 - 1 / 40, rel=0.1)
    assert (weights == problem_weights(40, 500)).all()


def simulated(seeds: int, between_seeds: float, between_problems: float, noise: float, generator) -> Finding:  # type: ignore[no-untyped-def]
    """A paired difference whose true value is 0, on 60 problems."""
    cells = (
        between_seeds * generator.normal(size=(seeds, 1))
        + between_problems * generator.normal(size=(1, 60))
        + noise * generator.normal(size=(seeds, 60))
    )
    return find(cells.mean(1), problem_weights(60, 200) @ cells.T / 60, 60)


@pytest.mark.parametrize(
    ("seeds", "between_seeds", "between_problems", "noise"),
    [
        (3, 0.0, 0.0, 0.3),  # seeds change nothing but single answers
        (3, 0.03, 0.1, 0.2),
        (3, 0.3, 0.1, 0.2),  # seeds decide
        (5, 0.03, 0.1, 0.2),
        (1, 0.0, 0.2, 0.2),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    seeds: int, between_seeds: float, between_problems: float, noise: float
) -> None:
    generator = numpy.random.default_rng(7)
    runs = 400
    found = [simulated(seeds, between_seeds, between_problems, noise, generator) for _ in range(runs)]
    held = sum(one.low <= 0 <= one.high for one in found) / runs
    assert 0.92 <= held <= 0.995
    assert sum(one.p < 0.05 for one in found) == sum(not one.low <= 0 <= one.high for one in found)


def test_one_seed_says_nothing_of_others_where_seeds_matter() -> None:
    generator = numpy.random.default_rng(7)
    found = [simulated(1, 0.1, 0.1, 0.2, generator) for _ in range(200)]
    assert sum(one.low <= 0 <= one.high for one in found) / 200 < 0.75


@pytest.mark.parametrize(
    ("variants", "between_seeds"), [(3, 0.03), (7, 0.03), (7, 0.3)], ids=["three", "seven", "seven, seeds decide"]
)
def test_a_family_without_differences_rarely_claims_one(variants: int, between_seeds: float) -> None:
    generator = numpy.random.default_rng(3)
    weights, families = problem_weights(60, 200), 40
    claimed = careless = 0
    for _ in range(families):
        cells_VSP = between_seeds * generator.normal(size=(variants, 3, 1)) + 0.2 * generator.normal(
            size=(variants, 3, 60)
        )
        pairs = [cells_VSP[a] - cells_VSP[b] for a in range(variants) for b in range(a)]
        floor = pooled([float(cells.mean(1).var(ddof=1)) for cells in pairs], variants, seeds=3)
        found = [find(cells.mean(1), weights @ cells.T / 60, 60, floor=floor) for cells in pairs]
        claimed += min(holm([one.p for one in found])) < 0.05
        careless += min(one.p for one in found) < 0.05
    assert claimed / families <= 0.1
    assert careless / families > claimed / families  # which is why


def test_a_pair_varies_between_seeds_no_less_than_pairs_do() -> None:
    # The pair's own V_s is 0.01 (2 values, 0.1 and 0.3); pairs in general vary by 0.06, so that V_s = 0.03.
    # V = V_p + V_s - V_c = 0.01 + 0.03 - 0.005; degrees = V^2 / (V_p^2 / 10 + V_s^2 / 6).
    values, resampled = numpy.array([0.1, 0.3]), numpy.array([[0.1, 0.3], [0.2, 0.4], [0.0, 0.2]])
    floor = pooled([0.04, 0.08, math.nan], variants=7, seeds=2)
    assert floor == Pooled(pytest.approx(0.06), 6)
    found = find(values, resampled, problems=11, floor=floor)
    degrees = 0.035**2 / (0.01**2 / 10 + 0.03**2 / 6)
    assert found.high - found.value == pytest.approx(t_quantile(0.95, degrees) * math.sqrt(0.035))
    assert found.seed_variance == pytest.approx(0.06)
    assert find(values, resampled, problems=11, floor=Pooled(0.001, 6)) == find(values, resampled, problems=11)
    assert pooled([0.1], variants=2, seeds=3) is None
    assert pooled([math.nan] * 3, variants=3, seeds=1) is None


def finding(value: float, seed_variance: float, problem_variance: float) -> Finding:
    return Finding(value, 0.0, 0.0, 0.5, 3, 1.0, seed_variance, problem_variance)


def test_a_difference_of_one_standard_deviation_takes_ten_seeds() -> None:
    # t(9) + z = 2.262 + 0.842 = 3.104 <= sqrt(10); t(8) + z = 3.148 > sqrt(9).
    assert seeds_needed(finding(1.0, 1.0, 0.0), 0.05) == 10
    assert seeds_needed(finding(-1.0, 1.0, 0.0), 0.05) == 10
    assert seeds_needed(finding(0.5, 1.0, 0.0), 0.05) == 34
    assert seeds_needed(finding(1.0, 1.0, 0.0), 0.05 / 21) > 15


def test_what_no_number_of_seeds_can_show_is_said_to_be_so() -> None:
    assert seeds_needed(finding(0.0, 1.0, 0.0), 0.05) is None
    assert seeds_needed(finding(0.01, 1.0, 0.0), 0.05) is None
    short_of_problems = finding(1.0, 1.0, 0.2)  # (1.96 + 0.84) * sqrt(0.2) = 1.25
    assert seeds_needed(short_of_problems, 0.05) is None
    assert problems_are_short(short_of_problems, 0.05)
    assert not problems_are_short(finding(1.0, 1.0, 0.1), 0.05)
