"""Units of measure in words: when two of them certainly differ."""

import re

from verifiers.math.vocabulary import LETTER_UNITS

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
COMPOUND = {"mph": ["mi", "h"], "kmh": ["km", "h"], "kph": ["km", "h"]}
TEMPERATURES = {"celsius", "fahrenheit"}
MEASURED = re.compile(
    r"(?P<value>[^A-Za-z]*(?:\\(?:times|cdot)[^A-Za-z]*)?\d\}?)(?P<gap>(?:\s|~|\\[,;: ])*)"
    r"(?P<over>[A-Za-z]{1,3})(?:\s?/\s?(?P<under>[A-Za-z]{1,7}))?(?P<power>\^\{?[23]\}?|[²³])?",
    re.ASCII,
)
POWER_WORDS = {"square": "2", "sq": "2", "squared": "2", "cubic": "3", "cubed": "3"}


def without_measure(text: str) -> str:
    """`540 m`, `9.8 m/s^2` without their unit, and anything else as it is: `540m` may be a product."""
    found = MEASURED.fullmatch(text)
    if found is None or not (found["gap"] or found["under"] or found["power"]):
        return text
    names = [found["over"], *filter(None, [found["under"]])]
    known = all(name in LETTER_UNITS or (len(name) > 1 and name in CANONICAL) or name in COMPOUND for name in names)
    return found["value"] if known else text


def measures(unit: str) -> list[str]:
    """The known measures that a unit is made of, in a form that equal units share: `square inches` is `in^2`."""
    found: list[str] = []
    power = ""
    for word in re.findall(r"[a-z.%]+(?:\^-?\d+)?", unit.lower().replace("^{", "^").replace("per ", "/")):
        name, _, exponent = word.rstrip(".").partition("^")
        if name in POWER_WORDS:
            if name.endswith("d") and found:
                found[-1] += f"^{POWER_WORDS[name]}"
            else:
                power = POWER_WORDS[name]
        elif name in COMPOUND:
            found += COMPOUND[name]
        elif name in CANONICAL:
            exponent = exponent or power
            found.append(CANONICAL[name] + (f"^{exponent}" if exponent and exponent != "1" else ""))
            power = ""
    return sorted(found)


def contradict(left: str, right: str) -> bool:
    """Whether both name a measure and not the same one: 5 cm is not 5 m. Words that are no measure say nothing."""
    ours, theirs = measures(left), measures(right)
    scales = [TEMPERATURES & set(found) for found in (ours, theirs)]
    if scales[0] and scales[1]:
        return scales[0] != scales[1]
    ours, theirs = (["degree" if one in TEMPERATURES else one for one in found] for found in (ours, theirs))
    return bool(ours) and bool(theirs) and set(ours) != set(theirs)
