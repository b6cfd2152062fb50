"""Typed settings: loaded from YAML, overridden by `key=value`, saved again."""

import copy
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from garbage_synth.errors import ConfigError

__all__ = ["StageConfig", "dump_config", "load_config", "merged", "ordered", "parse_yaml"]


class StageConfig(BaseModel):
    """Base of every stage's settings: frozen, and refusing unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """What each value of the key `preset` sets, for settings that have such a key."""

    without_effect: ClassVar[frozenset[str]] = frozenset()
    """Keys that change how fast or how talkative a stage is, not what comes out: changing one makes nothing anew."""

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, values: Any) -> Any:
        """What the user gives lies over what the preset says."""
        name = values.get("preset") if isinstance(values, dict) else None
        if not isinstance(name, str) or name not in cls.presets:
            return values
        given = {
            key: value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
            for key, value in values.items()
        }
        return merged(cls.presets[name], given)


Config = TypeVar("Config", bound=StageConfig)


class _Loader(yaml.SafeLoader):
    """YAML that reads 1e-4 as a number and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(text: str, source: str) -> Any:
    """The value of a YAML text. Raises ConfigError naming `source` and the line where it is not YAML."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{where}: not YAML: {getattr(error, 'problem', None) or error}") from error
    except (ValueError, RecursionError) as error:  # a date such as 2021-02-30; a thousand brackets
        raise ConfigError(f"{source}: not YAML: {error}") from error


def load_config(
    cls: type[Config], path: Path | None, overrides: Sequence[str] = (), *, tree: Mapping[str, Any] | None = None
) -> Config:
    """The settings of type `cls`: its defaults, then the YAML file, then each override "a.b=value" (value is YAML).

    tree: values that stand in for the file's. A `preset` among the overrides lies over the file, whole, and below the
    other overrides.

    Raises ConfigError for a file that cannot be read, an unknown key (naming the nearest known one) and a value out
    of range (naming the key, the value and what was expected).
    """
    tree = copy.deepcopy(dict(tree or {}))
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"config {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        loaded = parse_yaml(text, f"config {path}")
        if loaded is not None and not isinstance(loaded, dict):
            raise ConfigError(f"config {path} must hold key: value lines, not a {type(loaded).__name__}")
        tree = loaded or {}
    # a preset lies over the file, and below what else is set
    for override in sorted(overrides, key=lambda text: text.partition("=")[0].strip() != "preset"):
        key, equals, value = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {override!r} is not of the form key=value")
        loaded = parse_yaml(value, f"--set {override!r}")
        if key.strip() == "preset" and isinstance(loaded, str):
            tree = merged(tree, copy.deepcopy(cls.presets.get(loaded, {})))  # what follows is put into it
        _put(tree, key.strip().split("."), loaded, override)
    try:
        return cls.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(cls, error, f" in {path}" if path else "")) from error


def dump_config(config: StageConfig) -> str:
    """The settings as YAML that `load_config` reads back, keys sorted."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=True, allow_unicode=True)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both trees of settings in one; where both have a value, that of `above`. Settings as objects count as values."""
    tree = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(tree.get(key), Mapping)
        tree[key] = merged(tree[key], value) if both else value
    return tree


def ordered(pair: tuple[float, float]) -> tuple[float, float]:
    """The pair, for fields that are a range. Raises ValueError where the first is larger than the second."""
    if pair[0] > pair[1]:
        raise ValueError(f"expected [smallest, largest], the first is larger ({pair[0]} > {pair[1]})")
    return pair


def _put(tree: dict[str, Any], keys: Sequence[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override!r}: {key} holds a value, not keys")
    tree[keys[-1]] = value


def _explain(cls: type[StageConfig], error: ValidationError, where: str) -> str:
    """One line for the first thing that is wrong."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"config key {key}{where}: {first['msg']}, got {first['input']!r}"
    near = _nearest(key, _known_keys(cls))
    return f"unknown config key {key}{where}" + (f"; did you mean {near}?" if near else "")


def _nearest(key: str, known: Mapping[str, str]) -> str | None:
    """The known dotted key that is most like `key`, compared whole and by its last part."""
    whole = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if whole:
        return whole[0]
    last = difflib.get_close_matches(key.rpartition(".")[2], known.values(), n=1, cutoff=0.5)
    return next((full for full, name in known.items() if last and name == last[0]), None)


def _known_keys(model: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """{dotted key: its last part} of a model and the models in it."""
    known: dict[str, str] = {}
    for name, info in model.model_fields.items():
        known[prefix + name] = name
        for kind in (info.annotation, *get_args(info.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                known |= _known_keys(kind, f"{prefix}{name}.")
    return known
