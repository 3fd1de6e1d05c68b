"""Units convert exactly where both are wholly known, and in no other case."""

from fractions import Fraction

from verifiers.math.text.units import contradict, conversion, in_one_unit, measures, with_unit_in_words


def test_a_unit_is_read_as_its_measures_with_their_exponents() -> None:
    assert measures("square inches") == measures("in^2") == {"in": 2}
    assert measures("meters per second squared") == measures("m/s^2") == {"m": 1, "s": -2}
    assert measures("dollars a day") == measures("dollars/day") == {"dollar": 1, "day": -1}
    assert measures("red marbles") == {}


def test_units_of_one_dimension_convert_exactly() -> None:
    assert conversion("m", "cm") == 100
    assert conversion("mph", "m/s") == Fraction(44_704, 100_000)
    assert conversion("square feet", "square yards") == Fraction(1, 9)
    assert conversion("minutes", "hours") == Fraction(1, 60)


def test_units_of_two_dimensions_or_with_other_words_do_not() -> None:
    assert conversion("m", "s") is None
    assert conversion("m", "m^2") is None
    assert conversion("cm in a row", "m") is None
    assert conversion("celsius", "fahrenheit") is None
    assert conversion("month", "day") is None


def test_only_known_measures_contradict() -> None:
    assert contradict("cm", "m")
    assert contradict("m/s", "s/m")
    assert not contradict("red marbles", "cm")
    assert not contradict("degrees", "celsius")


def test_a_quantity_in_falling_units_is_one_quantity() -> None:
    assert in_one_unit("5 hours and 30 minutes") == r"\frac{11}{2}\text{ hours}"
    assert in_one_unit("5 ft 6 in") == r"\frac{11}{2}\text{ ft}"
    for other in ("30 minutes 5 hours", "5 m 30 s", "5 hours and 2 hours", "5 boys and 3 girls"):
        assert in_one_unit(other) == other


def test_letters_are_a_unit_only_apart_from_their_number() -> None:
    assert with_unit_in_words("9.8 m/s^2") == r"9.8\text{ m/s^2}"
    assert with_unit_in_words("15m") == "15m"
    assert with_unit_in_words("15 x") == "15 x"
