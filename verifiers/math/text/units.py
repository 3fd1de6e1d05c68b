"""Units of measure: which words name the same one, how they convert, and when two of them certainly differ."""

import re
from fractions import Fraction

from verifiers.math.text.vocabulary import LETTER_UNITS

SAME_UNIT = {
    "cm": "centimeter centimeters centimetre centimetres cms",
    "mm": "millimeter millimeters millimetre millimetres",
    "m": "meter meters metre metres",
    "km": "kilometer kilometers kilometre kilometres kms",
    "in": "inch inches",
    "ft": "foot feet",
    "yd": "yard yards yds",
    "mi": "mile miles",
    "s": "sec secs second seconds",
    "min": "mins minute minutes",
    "h": "hr hrs hour hours",
    "day": "days",
    "week": "weeks",
    "month": "months",
    "year": "years yr yrs",
    "g": "gram grams",
    "kg": "kilogram kilograms kgs",
    "mg": "milligram milligrams",
    "lb": "lbs pound pounds",
    "oz": "ounce ounces",
    "l": "liter liters litre litres",
    "ml": "milliliter milliliters",
    "gal": "gallon gallons",
    "cent": "cents",
    "dollar": "dollars usd bucks",
    "euro": "euros",
    "degree": "degrees deg",
    "celsius": "centigrade",
    "fahrenheit": "",
    "rad": "radian radians",
    "j": "joule joules",
    "kj": "kilojoule kilojoules",
    "w": "watt watts",
    "kw": "kilowatt kilowatts",
    "v": "volt volts",
    "n": "newton newtons",
    "kn": "kilonewton kilonewtons",
    "hz": "hertz",
    "khz": "kilohertz",
    "%": "percent percentage pct",
    "am": "a.m",
    "pm": "p.m",
}
CANONICAL = {alias: name for name, aliases in SAME_UNIT.items() for alias in [name, *aliases.split()]}
SIZES = {  # in a base unit that others share; only exact conversions
    "mm": ("m", Fraction(1, 1_000)), "cm": ("m", Fraction(1, 100)), "km": ("m", Fraction(1_000)),
    "in": ("m", Fraction(254, 10_000)), "ft": ("m", Fraction(3_048, 10_000)), "yd": ("m", Fraction(9_144, 10_000)),
    "mi": ("m", Fraction(1_609_344, 1_000)),
    "min": ("s", Fraction(60)), "h": ("s", Fraction(3_600)), "day": ("s", Fraction(86_400)),
    "week": ("s", Fraction(604_800)), "year": ("month", Fraction(12)),
    "kg": ("g", Fraction(1_000)), "mg": ("g", Fraction(1, 1_000)),
    "lb": ("g", Fraction(45_359_237, 100_000)), "oz": ("g", Fraction(45_359_237, 1_600_000)),
    "ml": ("l", Fraction(1, 1_000)), "cent": ("dollar", Fraction(1, 100)),
    "kj": ("j", Fraction(1_000)), "kw": ("w", Fraction(1_000)), "kn": ("n", Fraction(1_000)),
    "khz": ("hz", Fraction(1_000)),
}  # fmt: skip
MAX_CHARS = 80
MAX_POWER = 4  # of a unit that is converted
COMPOUND = {"mph": {"mi": 1, "h": -1}, "kmh": {"km": 1, "h": -1}, "kph": {"km": 1, "h": -1}}
TEMPERATURES = {"celsius", "fahrenheit"}
WORD = re.compile(r"/|(?P<name>[a-z.%]+)(?:\^?(?P<exponent>-?\d+))?")
PER = frozenset({"/", "per", "a", "an", "each", "every"})
POWER_WORDS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cubed": 3}
SPACES = r"(?:\s|~|\\[,;: ])*"
MEASURED = re.compile(
    rf"(?P<value>[^A-Za-z]*(?:\\(?:times|cdot)[^A-Za-z]*)?\d\}}?)(?P<gap>{SPACES})"
    r"(?P<over>[A-Za-z]{1,3})(?:\s?/\s?(?P<under>[A-Za-z]{1,7}))?(?P<power>\^\{?[23]\}?|[²³])?",
    re.ASCII,
)
PART = rf"(\d+(?:\.\d+)?){SPACES}([A-Za-z]+)"
JOINT = rf"{SPACES}(?:,|(?:,\s*)?and\b)?{SPACES}"
IN_SEVERAL = re.compile(rf"{PART}{JOINT}{PART}(?:{JOINT}{PART})?")


def without_measure(text: str) -> str:
    """`540 m`, `9.8 m/s^2` without their unit, and anything else as it is: `540m` may be a product."""
    match = _measured(text)
    return match["value"] if match else text


def with_unit_in_words(text: str) -> str:
    r"""`15 m/s` as `15\text{ m/s}`, and anything else as it is."""
    match = _measured(text)
    return rf"{match['value']}\text{{ {text[match.end('gap') :]}}}" if match else text


def _measured(text: str) -> "re.Match[str] | None":
    match = MEASURED.fullmatch(text)
    if match is None or not (match["gap"] or match["under"] or match["power"]):
        return None
    names = [match["over"], *filter(None, [match["under"]])]
    known = all(name in LETTER_UNITS or (len(name) > 1 and name in CANONICAL) or name in COMPOUND for name in names)
    return match if known else None


def in_one_unit(text: str) -> str:
    r"""`5 hours and 30 minutes` as `\frac{11}{2}\text{ hours}`, and anything else as it is."""
    match = IN_SEVERAL.fullmatch(text) if len(text) <= MAX_CHARS else None
    if match is None:
        return text
    parts = [part for part in match.groups() if part]
    names = [CANONICAL.get(name.lower(), "") for name in parts[1::2]]
    bases = [SIZES.get(name, (name, Fraction(1))) for name in names]
    sizes = [size for _, size in bases]
    if "" in names or len({base for base, _ in bases}) > 1 or sizes != sorted(set(sizes), reverse=True):
        return text
    total = sum(Fraction(count) * size / sizes[0] for count, size in zip(parts[::2], sizes, strict=True))
    return rf"\frac{{{total.numerator}}}{{{total.denominator}}}\text{{ {parts[1]}}}"


def measures(unit: str) -> dict[str, int]:
    """The known measures in a unit, with their exponents: `square inches` is `{"in": 2}`."""
    return _read(unit)[0]


def _read(unit: str) -> tuple[dict[str, int], bool]:
    """The measures of a unit with their exponents, and whether the unit has no other words."""
    exponents: dict[str, int] = {}
    complete = True
    power, sign, last = 1, 1, ""
    for word in WORD.finditer(unit.lower().replace("^{", "^")):
        name = (word["name"] or "/").rstrip(".")
        if name in PER:
            sign = -1
        elif name in POWER_WORDS:
            if name.endswith("d") and last:
                exponents[last] *= POWER_WORDS[name]
            else:
                power = POWER_WORDS[name]
        elif name in COMPOUND:
            exponents |= COMPOUND[name]
        elif name in CANONICAL:
            last = CANONICAL[name]
            exponents[last] = exponents.get(last, 0) + sign * power * int(word["exponent"] or 1)
            power, sign = 1, 1
        else:
            complete = False
    return {name: exponent for name, exponent in exponents.items() if exponent}, complete


def contradict(left: str, right: str) -> bool:
    """Whether two units name different measures: 5 cm is not 5 m. Words that are no measure do not count."""
    ours, theirs = measures(left), measures(right)
    scales = [TEMPERATURES & unit.keys() for unit in (ours, theirs)]
    if scales[0] and scales[1]:
        return scales[0] != scales[1]
    if scales[0] or scales[1]:
        ours, theirs = ({"degree" if name in TEMPERATURES else name: 1 for name in unit} for unit in (ours, theirs))
    return bool(ours) and bool(theirs) and ours != theirs


def conversion(left: str, right: str) -> Fraction | None:
    """How many right units make one left unit: 100 for m and cm; `None` if that is not certain."""
    (ours, our_words), (theirs, their_words) = _read(left), _read(right)
    (our_bases, our_size), (their_bases, their_size) = _in_bases(ours), _in_bases(theirs)
    if not (our_words and their_words and our_bases) or our_bases != their_bases:
        return None
    return our_size / their_size


def _in_bases(exponents: dict[str, int]) -> tuple[dict[str, int], Fraction]:
    bases: dict[str, int] = {}
    total = Fraction(1)
    for name, exponent in exponents.items():
        base, size = SIZES.get(name, (name, Fraction(1)))
        if abs(exponent) > MAX_POWER:
            return {}, total
        bases[base] = bases.get(base, 0) + exponent
        total *= size**exponent
    return bases, total
