"""From a YAML file and dotted overrides to a checked configuration, and back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, TypeAdapter, ValidationError

from rlvr.algorithms.choices import nearest
from rlvr.config import AnyConfig, Config, DPOConfig, GRPOConfig, PPOConfig, RewardModelConfig, SFTConfig
from rlvr.config.renamed import new_key, with_new_names
from rlvr.errors import ConfigError
from tasks.wording import in_words

# The configuration in a run folder.
RUN_CONFIG = "config.yaml"
TRAINERS: dict[str, type[BaseModel]] = {
    "grpo": GRPOConfig,
    "sft": SFTConfig,
    "reward_model": RewardModelConfig,
    "dpo": DPOConfig,
    "ppo": PPOConfig,
}


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> AnyConfig:
    """Read `path`, apply `key=value` overrides (dotted keys), and check the result.

    `path` is a YAML file or a run folder, which stands for its own configuration with `out` set to it.
    `task.max_steps=4` changes one key; `task={name: gsm8k}` replaces the whole section.

    Raises `ConfigError` with one line for each mistake, which names the override or the line of the file.
    """
    values, origin = read_values(path, overrides)
    loaded: GRPOConfig | SFTConfig = check_config(values, origin)
    return loaded


def load_trained(path: str | Path, overrides: Sequence[str] = ()) -> AnyConfig:
    """`load_config` for commands that only use a trained model: `model.path=...` replaces `model.scratch` and its cold
    start. Raises what `load_config` raises."""
    if not any(override.startswith("model.path=") for override in overrides):
        return load_config(path, overrides)
    values, _ = read_values(path)
    cold_start = ["cold_start=null"] if "cold_start" in values else []
    return load_config(path, ["model.scratch=null", *cold_start, *overrides])


def read_values(path: str | Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], "Origin"]:
    """The unchecked values of a YAML file with overrides applied, and where they come from."""
    path = Path(path)
    folder = path if path.is_dir() else None
    path = path / RUN_CONFIG if folder else path
    if folder and not path.is_file():
        raise ConfigError(
            f"{str(folder)!r} is a folder without a {RUN_CONFIG}; expected a recipe, such as configs/quickstart.yaml, "
            "or the folder of a run"
        )
    if not path.is_file():
        raise ConfigError(f"there is no configuration file {str(path)!r}{_nearest_file(path)}")
    try:
        text = path.read_text()
        tree = OmegaConf.create(text)
        if not isinstance(tree, DictConfig):
            raise ConfigError(f"{path}: expected keys and values, got a list")
        if folder:  # where the run lies now, also if it was moved
            tree["out"] = str(folder)
        for override in overrides:
            _apply(override, tree)
        values = OmegaConf.to_container(tree, resolve=True)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not a configuration in YAML: {error.problem}") from error
    except (yaml.YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a configuration in YAML: {_first_line(error)}") from error
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}, Origin(str(path), _lines(text), tuple(overrides))


def with_overrides(values: Mapping[str, Any], overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`values` with dotted keys set; each replaces the value at its key, as on the command line."""
    tree = OmegaConf.create(dict(values))
    try:
        for key, value in overrides.items():
            OmegaConf.update(tree, key, value, merge=False, force_add=True)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(f"{where} does not fit the base: {_first_line(error)}") from error
    changed = OmegaConf.to_container(tree)
    assert isinstance(changed, dict)
    return {str(key): value for key, value in changed.items()}


def _apply(override: str, tree: DictConfig) -> None:
    value = parsed_value(override)
    try:
        OmegaConf.update(tree, override.partition("=")[0], value, merge=False, force_add=True)
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(f"override {override!r} does not fit the file: {_first_line(error)}") from error


def parsed_value(override: str) -> Any:
    """The value of a `key=value` override, read as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"override {override!r}: expected key=value, such as sampling.temperature=0.8")
    try:
        value = OmegaConf.select(OmegaConf.from_dotlist([f"value={text}"]), "value")
        return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"override {override!r}: its value is not YAML: {error.problem}") from error
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(f"override {override!r} does not fit the file: {_first_line(error)}") from error


@dataclass(frozen=True)
class Origin:
    """Where values come from: a file with the line of each key, and the overrides of the command line."""

    file: str
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()

    def of(self, keys: tuple[str, ...]) -> str:
        """The source of the value at `keys`: the last override that sets it, else the file.

        For a section whose values contradict each other, this is the file and the overrides that change the section.
        """
        keys = new_key(keys)
        given = [(new_key(tuple(override.partition("=")[0].split("."))), override) for override in self.overrides]
        giving = [override for path, override in given if keys[: len(path)] == path]
        if giving:
            return f"override {giving[-1]!r}"
        lines = {new_key(path): line for path, line in self.lines.items()}
        line = next((lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in lines), None)
        reaching = [override for path, override in given if path[: len(keys)] == keys]
        return self.file + (f":{line}" if line else "") + (f" with {' '.join(reaching)}" if reaching else "")


def check_config(values: dict[str, Any], origin: Origin) -> Any:
    """Turn plain values, in present or older spellings, into a configuration.

    Raises `ConfigError` with one line for each mistake.
    """
    try:
        values = with_new_names(values)
    except ValueError as error:
        raise ConfigError(f"{origin.of(())}: {error}") from None
    try:
        return TypeAdapter(Config).validate_python(values)
    except ValidationError as error:
        raise explained(error, origin, TRAINERS.get(str(values.get("trainer")))) from None


def explained(error: ValidationError, origin: Origin, model: type[BaseModel] | None) -> ConfigError:
    """Pydantic's errors in one line each, with their origin and the nearest key that `model` has."""
    messages: dict[str, str] = {}
    for details in error.errors():
        # A value that may have several types is refused by each of them, but reported once.
        got, _, expected = _message(details, origin, model).partition(", expected ")
        earlier = messages.get(got)
        messages[got] = expected if earlier in (None, expected) else f"{earlier} or {expected}"
    lines = [f"{got}, expected {expected}" if expected else got for got, expected in messages.items()]
    return ConfigError("\n".join(lines))


def dump_config(config: BaseModel) -> str:
    """The whole configuration as YAML; `load_config` reads it back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _message(details: Any, origin: Origin, model: type[BaseModel] | None) -> str:
    # pydantic puts the discriminator's value and the class of a nested dataclass in front; they are not keys.
    keys = tuple(str(part) for part in details["loc"])
    keys = keys[1:] if keys and keys[0] in TRAINERS else keys
    if details["type"] == "extra_forbidden":
        known = _known_keys(model, keys[:-1])
        section = "".join(f"{key}." for key in keys[:-1])
        hint = nearest(keys[-1], known, section) or f"; known here: {', '.join(known)}"
        return f"{origin.of(keys)}: unknown key {'.'.join(keys)!r}{hint}"
    if details["type"] == "union_tag_not_found":
        return f"{origin.of(('trainer',))}: the key 'trainer' is missing; expected one of {', '.join(TRAINERS)}"
    if details["type"] == "union_tag_invalid":
        got = details["ctx"]["tag"]
        return f"{origin.of(('trainer',))}: trainer: got {got!r}, expected one of {', '.join(TRAINERS)}"
    if details["type"] == "missing" and keys[-1].isdigit():
        return f"{origin.of(keys)}: {'.'.join(keys[:-1])}: got {details['input']!r}, expected more entries"
    if details["type"] == "missing":
        return f"{origin.of(keys)}: the key {'.'.join(keys)!r} is missing"
    keys = _without_types(model, keys)
    if details["type"] in ("model_type", "model_attributes_type", "dataclass_type") and (
        known := _known_keys(model, keys)
    ):
        return f"{origin.of(keys)}: {'.'.join(keys)}: got {details['input']!r}, expected keys: {', '.join(known)}"
    return f"{origin.of(keys)}: {'.'.join(keys) + ': ' if keys else ''}{in_words(details)}"


def _without_types(model: type[BaseModel] | None, keys: tuple[str, ...]) -> tuple[str, ...]:
    """`keys` without the type names that pydantic appends to a key that allows several types."""
    end = 0
    while end < len(keys) and keys[end] in _known_keys(model, keys[:end]):
        end += 1
    return keys[:end]


def _known_keys(model: type | None, keys: Sequence[str]) -> list[str]:
    """The keys that the section at `keys` has."""
    section: Any = model
    for key in keys:
        section = _section_of(get_type_hints(section)[key]) if section and key in _names(section) else None
    return _names(section) if section else []


def _names(section: Any) -> list[str]:
    return list(section.model_fields) if issubclass(section, BaseModel) else [f.name for f in fields(section)]


def _section_of(annotation: Any) -> type | None:
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    kinds = [c for c in candidates if isinstance(c, type) and (is_dataclass(c) or issubclass(c, BaseModel))]
    return kinds[0] if kinds else None


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
    return nearest(str(path), beside)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
