"""Older spellings of keys and values. They are accepted wherever a configuration is read: in YAML files, overrides,
variants of a comparison, and the `config.yaml` of older run folders. Only the present spelling is ever written.
"""

from collections.abc import Mapping
from typing import Any

# Older dotted key -> present dotted key.
KEYS: dict[str, str] = {
    "objective.band": "objective.divergence_threshold",
    "objective.soft_positive": "objective.temperature_positive",
    "objective.soft_negative": "objective.temperature_negative",
    "objective.max_staleness": "selection.max_staleness",
    "wanted_weight": "desirable_weight",
    "unwanted_weight": "undesirable_weight",
    "centre_coef": "center_rewards_coef",
    "trust_region.iterations": "trust_region.cg_iterations",
    "trust_region.halvings": "trust_region.backtracking_steps",
}

# Present dotted key -> older value -> present value.
VALUES: dict[str, dict[str, str]] = {
    "objective.combine": {"apart": "decoupled"},
    "objective.surrogate": {"soft": "soft_gate", "band": "tv_mask", "band_kl": "kl_mask"},
}


def new_key(key: tuple[str, ...]) -> tuple[str, ...]:
    """The present spelling of a key, given as its parts."""
    return tuple(KEYS.get(".".join(key), ".".join(key)).split(".")) if key else key


def with_new_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` in the present spelling.

    Raises `ValueError` where a key is given in both spellings with different values.
    """
    renamed = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    for old, new in KEYS.items():
        section, name = _place(renamed, old)
        if name not in section:
            continue
        value = section.pop(name)
        if "." in new and renamed.get(new.partition(".")[0]) is None:
            renamed[new.partition(".")[0]] = {}
        section, name = _place(renamed, new)
        if section.setdefault(name, value) != value:
            raise ValueError(
                f"{old} is the older name of {new}: got {value!r} and {section[name]!r}, expected only one of them"
            )
    for key, new_values in VALUES.items():
        section, name = _place(renamed, key)
        if isinstance(value := section.get(name), str):
            section[name] = new_values.get(value, value)
    return renamed


def _place(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The section that `key` belongs to (empty where there is none), and the name of the key within it."""
    section, _, name = key.rpartition(".")
    place = values.get(section) if section else values
    return (place if isinstance(place, dict) else {}), name
