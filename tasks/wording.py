"""What pydantic finds wrong with a value, in the words of the one who wrote it: what was expected instead."""

from typing import Any

# pydantic's kind of error, and what it means to somebody who has never heard of pydantic. `{...}` are its own details.
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
    "is_instance_of": "a {class}",
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
    """One of `ValidationError.errors()` as `got 'two', expected a whole number`; without the place."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind in ("value_error", "assertion_error"):  # raised by a validator of ours, whose words are whole
        return str(context.get("error", details["msg"]))
    expected = EXPECTED.get(kind)
    expectation = expected.format(**context).replace("'", "") if expected else details["msg"]
    return (
        f"got {details['input']!r}, expected {expectation}" if expected else f"got {details['input']!r}: {expectation}"
    )
