r"""Numbers as they are written, read exactly: no floats, no guessing.

Reads integers, decimals, fractions (`3/4`, `\frac{3}{4}`), mixed numbers, thousands separators, percent, currency and
powers of ten into a `Fraction`. What it cannot read for certain it leaves to the parser.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from verifiers.math.limits import MAX_DIGITS, MAX_EXPONENT

UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen""".split()  # noqa: SIM905
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
WORDS = {
    **{word: value for value, word in enumerate(UNITS)},
    **{word: 10 * value for value, word in enumerate(TENS, start=2)},
    **{f"{ten} {UNITS[unit]}": 10 * value + unit for value, ten in enumerate(TENS, start=2) for unit in range(1, 10)},
    "hundred": 100,
    "one hundred": 100,
}
SPELLED = re.compile(r"[A-Za-z]+[ -]?[A-Za-z]*", re.ASCII)
MAX_NUMBER_CHARS = 160
MIN_ROUNDED_DIGITS = 9  # a decimal of so many significant digits may stand for the endless number it is rounded from


@dataclass(frozen=True)
class Number:
    """An exact value. `percent`: a percent sign followed it and has not been applied."""

    value: Fraction
    percent: bool = False


GROUPED = (
    r"(?:[1-9]\d{0,2}(?:,\\!\d{2,3})+|[1-9]\d{0,2}(?:(?:,|\{,\}|\\,|,\\!\s?|\\!,(?:\\!)?|\s|\\ |\\;)\d{3})+)(?!\d)"
)
UNSIGNED = rf"(?:{GROUPED}|\d+)(?:\.\d*)?|\.\d+"
FRACTION = r"\\[dtc]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))"
NUMBER = re.compile(
    r"(?P<sign>[-+−]?)\s*(?:\\?\$|[€£¥₹])?\s*(?P<sign2>[-−]?)"
    rf"(?:(?P<whole>{UNSIGNED})(?:\s*(?P<mixed>{FRACTION})|\s+(?P<mixnum>\d+)\s?/\s?(?P<mixden>\d+)|\s*/\s*(?P<slash>\d+)"
    r"|\s*(?:\\times|\\cdot|×|\*|·)\s*10\s*\^\s*(?:\{\s*(?P<power>[-+−]?\d+)\s*\}|(?P<power1>\d)(?!\d)|(?P<power2>-\d+))"
    r"|[eE](?P<exponent>[-+]?\d+))?"
    rf"|(?P<fraction>{FRACTION}))"
    r"\s*(?P<percent>\\?%|(?:\\text\s*\{)?\s*(?:percent(?:age)?|pct)\.?\s*\}?)?(?:\s*(?:\\?\$|[€£¥₹]))?",
    re.ASCII,
)
DIGITS_ONLY = re.compile(r"-?\d{1,18}", re.ASCII)
SEPARATORS = re.compile(r"[^\d.]")


def read_number(text: str) -> Number | None:
    """The number that `text` is, or `None` if it is not one number and nothing else. Currency signs are dropped."""
    if text[:1].isalpha():
        spelled = text.lower().replace("-", " ") if SPELLED.fullmatch(text) else ""
        return Number(Fraction(WORDS[spelled])) if spelled in WORDS else None
    if DIGITS_ONLY.fullmatch(text):
        return Number(Fraction(int(text)))
    if not text.isascii():
        text = text.replace("−", "-")
    match = NUMBER.fullmatch(text) if len(text) <= MAX_NUMBER_CHARS else None
    if match is None:
        return None
    value = _value(match)
    if value is None:
        return None
    if "-" in (match["sign"], match["sign2"]):
        if match["sign"] and match["sign2"]:
            return None
        value = -value
    return Number(value, percent=match["percent"] is not None)


def _value(match: re.Match[str]) -> Fraction | None:
    if match["fraction"]:
        numerator, denominator = _fraction_of(match["fraction"])
        return Fraction(numerator, denominator) if denominator else None
    whole = SEPARATORS.sub("", match["whole"])
    if len(whole) > MAX_DIGITS:
        return None
    value = Fraction(whole if whole[-1] != "." else whole[:-1])
    if match["mixed"]:
        return _mixed(value, *_fraction_of(match["mixed"]))
    if match["mixnum"]:
        return _mixed(value, int(match["mixnum"]), int(match["mixden"]))
    if match["slash"]:
        denominator = int(match["slash"]) if len(match["slash"]) <= MAX_DIGITS else 0
        return value / denominator if denominator else None
    power = match["power"] or match["power1"] or match["power2"] or match["exponent"]
    if power:
        power = power.replace("−", "-")
        if len(power) > 4 or abs(int(power)) > MAX_EXPONENT:
            return None
        return value * Fraction(10) ** int(power)
    return value


def _fraction_of(text: str) -> tuple[int, int]:
    parts = [part for part in re.fullmatch(FRACTION, text).groups() if part is not None]  # type: ignore[union-attr]
    if any(len(part) > MAX_DIGITS for part in parts):
        return 0, 0
    return int(parts[0]), int(parts[1])


def _mixed(whole: Fraction, numerator: int, denominator: int) -> Fraction | None:
    """A mixed number needs a whole part and a proper fraction; `11 6/6` and `1.5 1/2` are no numbers."""
    if whole.denominator != 1 or not 0 <= numerator < denominator:
        return None
    return whole + Fraction(numerator, denominator)


def numbers_agree(left: Number, right: Number) -> bool:
    """Whether two numbers are equal. `28%` is 0.28, and also 28, since a question may ask for a percentage."""
    if left.percent == right.percent:
        return (
            left.value == right.value
            or is_rounding_of(left.value, right.value)
            or is_rounding_of(right.value, left.value)
        )
    plain, percent = (right, left) if left.percent else (left, right)
    if abs(plain.value) < 1:
        return plain.value == percent.value / 100  # 0.5% is no answer to 1/2
    return plain.value in (percent.value, percent.value / 100)


def is_rounding_of(decimal: Fraction, exact: Fraction) -> bool:
    """Whether a decimal of many digits is the correct rounding of a recurring one: 0.0833333333 for 1/12."""
    places = decimal_places(decimal)
    if places is None or places < 3 or decimal_places(exact) is not None:
        return False
    return significant(decimal) >= MIN_ROUNDED_DIGITS and abs(decimal - exact) * 2 * 10**places <= 1


def decimal_places(value: Fraction) -> int | None:
    """How many decimal places a number has; `None` if they never end, or are more than 30."""
    places = 0
    while 10**places % value.denominator:
        places += 1
        if places > 30:
            return None
    return places


def significant(value: Fraction) -> int:
    """How many significant digits a terminating decimal has."""
    places = decimal_places(value) or 0
    return len(str(abs(value.numerator) * 10**places // value.denominator))
