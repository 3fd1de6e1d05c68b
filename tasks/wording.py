"""Rewords pydantic's errors for users: what was given and what was expected."""

from typing import Any

# pydantic's type of error -> what was expected, in words. `{...}` are details of the error.
EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dataclass_type": "keys and values",
    "dict_type": "keys and values",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_type": "a whole number",
    "is_instance_of": "an instance of {class}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "list_type": "a list",
    "literal_error": "one of {expected}",
    "model_attributes_type": "keys and values",
    "model_type": "keys and values",
    "none_required": "nothing (null)",
    "string_type": "text",
    "too_long": "{max_length} entries",
    "too_short": "{min_length} entries",
    "tuple_type": "a list",
}


def in_words(details: Any) -> str:
    """One of `ValidationError.errors()` as `got 'two', expected a whole number`, without the name of the field."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind in ("value_error", "assertion_error"):  # raised by our own validators, whose messages are complete
        return str(context.get("error", details["msg"]))
    expected = EXPECTED.get(kind)
    expectation = expected.format(**context).replace("'", "") if expected else details["msg"]
    return (
        f"got {details['input']!r}, expected {expectation}" if expected else f"got {details['input']!r}: {expectation}"
    )
