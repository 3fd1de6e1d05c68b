"""A YAML file and dotted overrides to a checked configuration, and back."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, TypeAdapter, ValidationError

from rlvr.config import Config, GRPOConfig, SFTConfig
from rlvr.errors import ConfigError

TRAINERS: dict[str, type[BaseModel]] = {"grpo": GRPOConfig, "sft": SFTConfig}


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> GRPOConfig | SFTConfig:
    """Read `path`, apply `key=value` overrides (dotted keys), and check the result.

    `task.max_steps=4` changes one key; `task={name: gsm8k}` takes the place of the whole section.

    Raises `ConfigError`: one line for each mistake, with the file's line where the key stands in the file.
    """
    values, lines = read_values(path, overrides)
    loaded: GRPOConfig | SFTConfig = check_config(values, str(path), lines)
    return loaded


def read_values(path: str | Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """What a YAML file says with overrides applied, unchecked, and the line of each of its keys."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"there is no configuration file {str(path)!r}{_nearest_file(path)}")
    try:
        text = path.read_text()
        tree = OmegaConf.create(text)
        if not isinstance(tree, DictConfig):
            raise ConfigError(f"{path}: expected keys and values, got a list")
        for override in overrides:
            key, equals, _ = override.partition("=")
            if not equals:
                raise ConfigError(f"override {override!r}: expected key=value, such as sampling.temperature=0.8")
            value = OmegaConf.select(OmegaConf.from_dotlist([override]), key)
            OmegaConf.update(tree, key, value, merge=False, force_add=True)
        values = OmegaConf.to_container(tree, resolve=True)
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a configuration in YAML: {error}") from error
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}, _lines(text)


def with_overrides(values: Mapping[str, Any], overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`values` with dotted keys set, each taking the place of what stood there, as on the command line."""
    tree = OmegaConf.create(dict(values))
    try:
        for key, value in overrides.items():
            OmegaConf.update(tree, key, value, merge=False, force_add=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{where}: {error}") from error
    changed = OmegaConf.to_container(tree)
    assert isinstance(changed, dict)
    return {str(key): value for key, value in changed.items()}


def check_config(values: dict[str, Any], where: str, lines: dict[tuple[str, ...], int] | None = None) -> Any:
    """Turn plain values into a configuration, or raise `ConfigError` with one line for each mistake."""
    try:
        return TypeAdapter(Config).validate_python(values)
    except ValidationError as error:
        raise explained(error, where, lines or {}, TRAINERS.get(str(values.get("trainer")))) from None


def explained(
    error: ValidationError, where: str, lines: dict[tuple[str, ...], int], model: type[BaseModel] | None
) -> ConfigError:
    """Pydantic's errors in one line each, with the place in the file and the nearest key that `model` has."""
    messages = [_message(details, where, lines, model) for details in error.errors()]
    return ConfigError("\n".join(dict.fromkeys(messages)))


def dump_config(config: BaseModel) -> str:
    """The whole configuration as YAML that `load_config` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _message(details: Any, where: str, lines: dict[tuple[str, ...], int], model: type[BaseModel] | None) -> str:
    # pydantic puts the discriminator's value and the class of a nested dataclass in front: they are no keys.
    keys = tuple(str(part) for part in details["loc"])
    keys = keys[1:] if keys and keys[0] in TRAINERS else keys
    line = next((lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in lines), None)
    place = f"{where}:{line}" if line else where
    dotted = ".".join(keys)
    if details["type"] == "extra_forbidden":
        near = get_close_matches(keys[-1], _known_keys(model, keys[:-1]), n=1)
        hint = (
            f"did you mean {'.'.join([*keys[:-1], near[0]])!r}?"
            if near
            else f"known here: {', '.join(_known_keys(model, keys[:-1]))}"
        )
        return f"{place}: unknown key {dotted!r}; {hint}"
    if details["type"] == "union_tag_not_found":
        return f"{place}: the key 'trainer' is missing; expected one of {', '.join(TRAINERS)}"
    if details["type"] == "union_tag_invalid":
        return f"{place}: trainer: got {details['ctx']['tag']!r}, expected one of {', '.join(TRAINERS)}"
    if details["type"] == "missing":
        return f"{place}: the key {dotted!r} is missing"
    reason = details["msg"].removeprefix("Value error, ")
    got = "" if details["type"] == "value_error" else f"got {details['input']!r}: "
    return f"{place}: {dotted + ': ' if dotted else ''}{got}{reason}"


def _known_keys(model: type[BaseModel] | None, keys: Sequence[str]) -> list[str]:
    """The keys that the section at `keys` has."""
    section: Any = model
    for key in keys:
        section = _section_of(section.model_fields[key].annotation) if section and key in section.model_fields else None
    return list(section.model_fields) if section else []


def _section_of(annotation: Any) -> type[BaseModel] | None:
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """The line of each key of a YAML text, by its path."""

    def walk(node: yaml.Node | None, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = (*path, str(key.value))
                yield here, key.start_mark.line + 1
                yield from walk(value, here)

    return dict(walk(yaml.compose(text, Loader=yaml.SafeLoader), ()))


def _nearest_file(path: Path) -> str:
    beside = [str(p) for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    near = get_close_matches(str(path), beside, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
