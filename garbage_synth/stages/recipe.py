"""A pipeline file, read and checked whole before its first stage runs."""

import difflib
import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from garbage_synth.config.base import StageConfig, load_config, parse_yaml
from garbage_synth.errors import ConfigError, InputError
from garbage_synth.stages.arguments import parse_pair, parse_words

__all__ = ["Command", "Recipe", "Step", "load_recipe"]

_OWN_KEYS = ("name", "note", "out", "stage")
_GIVEN_BY_RUN = ("dry_run", "out", "overwrite", "progress", "resume")
_REFERENCE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a pipeline may name: which arguments are paths it reads, its settings' type, what it writes."""

    name: str
    inputs: tuple[str, ...]
    config: str | None = None
    writes_file: bool = False
    writes_nothing: bool = False

    def function(self) -> Callable[..., Any]:
        """The stage function."""
        name = self.name.replace("-", "_")
        function: Callable[..., Any] = getattr(import_module(f"garbage_synth.stages.{name}"), name)
        return function

    def arguments(self) -> Mapping[str, inspect.Parameter]:
        """The stage function's parameters by name."""
        return inspect.signature(self.function()).parameters


_COMMANDS = {
    command.name: command
    for command in (
        Command("segment", ("photos", "boxes"), "segment.SegmentConfig"),
        Command("composite", ("crops", "backgrounds", "distractors"), "composite.CompositeConfig"),
        Command("train-gan", ("synthetic", "real"), "gan.GanConfig"),
        Command("train-detector", ("dataset", "weights"), "detector.DetectorConfig"),
        Command("refine", ("dataset", "generator"), "refine.RefineConfig"),
        Command("export", ("dataset",)),
        Command("merge", ("datasets",)),
        Command("subset", ("dataset",)),
        Command("split", ("dataset",)),
        Command("validate", ("dataset",), writes_nothing=True),
        Command("report", ("datasets",), writes_file=True),
        Command("frames", ("source",), "frames.FramesConfig"),
    )
}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a recipe: its arguments are values that the stage function takes, without those that `run` gives."""

    name: str
    command: Command
    arguments: Mapping[str, Any]
    out: Path | None
    note: str = ""

    def inputs(self) -> dict[str, list[Path]]:
        """The paths that are read, by argument."""
        given = {name: self.arguments[name] for name in self.command.inputs if self.arguments.get(name) is not None}
        return {name: value if isinstance(value, list) else [value] for name, value in given.items()}


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps in order and the folder that holds what they make."""

    out: Path
    steps: tuple[Step, ...]


def load_recipe(pipeline: Path, out: Path | None, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a pipeline file, all names and values resolved.

    Raises ConfigError for an unknown stage, argument, setting, variable or reference, naming the nearest known one,
    and InputError for an input that neither is there nor will be made by an earlier stage.
    """
    where = f"pipeline {pipeline}"
    document = _read(pipeline, where)
    entries = document.get("stages")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{where} must hold `stages`, a list of entries with `name` and `stage`")
    unknown = next((key for key in document if key not in ("out", "stages")), None)
    if unknown is not None:
        raise ConfigError(f"{where} has the unknown key {unknown!r}; known are out, stages")
    names = [_name(entry, where) for entry in entries]
    _override(dict(zip(names, entries, strict=True)), overrides)
    if out is None:
        if not isinstance(document.get("out"), str):
            raise ConfigError(f"{where} names no `out`; give --out")
        out = _path(pipeline.parent, _resolved(document["out"], {}, f"{where}: out"))
    steps: list[Step] = []
    for index, (name, entry) in enumerate(zip(names, entries, strict=True)):
        if name in names[:index]:
            raise ConfigError(f"{where} names two stages {name!r}")
        steps.append(_step(name, entry, pipeline, out, steps))
    return Recipe(out, tuple(steps))


def _read(pipeline: Path, where: str) -> dict[str, Any]:
    try:
        document = parse_yaml(pipeline.read_text(encoding="utf-8"), where)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{where} must hold keys (out, stages)")
    return document


def _name(entry: Mapping[str, Any], where: str) -> str:
    name = entry.get("name", entry.get("stage"))
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ConfigError(f"{where}: stage name {name!r} must be letters, digits, - and _")
    return name


def _override(entries: Mapping[str, dict[str, Any]], overrides: Sequence[str]) -> None:
    """Put "name.argument=value" into the entries."""
    for override in overrides:
        key, equals, value = override.partition("=")
        name, *keys = key.strip().split(".")
        if not equals or not keys:
            raise ConfigError(f"--set {override!r} is not of the form stage.argument=value")
        if name not in entries:
            raise ConfigError(f"--set {override!r}: no stage {name!r}{_nearest(name, list(entries))}")
        tree = entries[name]
        for part in keys[:-1]:
            tree = tree.setdefault(part, {})
            if not isinstance(tree, dict):
                raise ConfigError(f"--set {override!r}: {part} holds a value, not keys")
        tree[keys[-1]] = parse_yaml(value, f"--set {override!r}")


def _step(name: str, entry: Mapping[str, Any], pipeline: Path, out: Path, before: Sequence[Step]) -> Step:
    where = f"pipeline {pipeline}: stage {name}"
    command = _COMMANDS.get(str(entry.get("stage")))
    if command is None:
        raise ConfigError(
            f"{where}: unknown stage {entry.get('stage')!r}{_nearest(str(entry.get('stage')), _COMMANDS)}"
        )
    target: Path | None = None
    if not command.writes_nothing:
        target = out / str(entry.get("out", f"{name}.html" if command.writes_file else name))
        if target.resolve() == out.resolve() or any(step.out == target for step in before):
            raise ConfigError(f"{where}: its output {target} is that of another stage")
    made = {step.name: step.out for step in before if step.out is not None}
    given = {str(key).replace("-", "_"): value for key, value in entry.items() if key not in _OWN_KEYS}
    if command.name == "composite" and "format" in given:  # the flag's name
        given["formats"] = given.pop("format")
    accepted = {key: kind for key, kind in command.arguments().items() if key not in _GIVEN_BY_RUN}
    for key in given:
        if key not in accepted:
            raise ConfigError(f"{where}: unknown argument {key!r} of {command.name}{_nearest(key, accepted)}")
    for key, kind in accepted.items():
        if kind.default is inspect.Parameter.empty and given.get(key) is None:
            raise ConfigError(f"{where}: {command.name} needs the argument {key!r}")
    arguments = {
        key: _value(command, key, _resolved(value, made, f"{where}: {key}"), pipeline.parent, f"{where}: {key}")
        for key, value in given.items()
    }
    step = Step(name, command, arguments, target, str(entry.get("note", "")))
    for key, paths in step.inputs().items():
        for path in paths:
            inside = any(path.absolute().is_relative_to(made_path.absolute()) for made_path in made.values())
            if not inside and not path.exists():
                raise InputError(f"{where}: {key} {path} does not exist")
    return step


def _resolved(value: Any, made: Mapping[str, Path], where: str) -> Any:
    """The value with every ${...} in its strings replaced."""
    if isinstance(value, dict):
        return {key: _resolved(inner, made, where) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, made, where) for inner in value]
    if not isinstance(value, str):
        return value

    def replacement(match: re.Match[str]) -> str:
        reference = match[1]
        stage = re.fullmatch(r"stages\.([^.]+)\.out", reference)
        if stage:
            if stage[1] not in made:
                raise ConfigError(f"{where}: no earlier stage {stage[1]!r} with an output{_nearest(stage[1], made)}")
            return str(made[stage[1]].absolute())
        if reference not in os.environ:
            raise ConfigError(f"{where}: the environment variable {reference} is not set")
        return os.environ[reference]

    return _REFERENCE.sub(replacement, value)


def _value(command: Command, key: str, value: Any, base: Path, where: str) -> Any:
    """The value as the stage function takes it."""
    if value is None:
        return None
    if key in command.inputs or (command.name == "frames" and key == "median"):
        if isinstance(value, list):
            return [_path(base, inner) for inner in value]
        return [_path(base, value)] if key == "datasets" else _path(base, value)
    if key == "config" and command.config is not None:
        return _config(command.config, value, base, where)
    if key in ("size", "items"):
        return _pair(value, key, "WxH" if key == "size" else "MIN..MAX", where)
    if key in ("classes", "formats"):
        words = parse_words(value) if isinstance(value, str) else value
        if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
            raise ConfigError(f"{where}: {key} is {value!r}, expected words with commas between")
        return tuple(words)
    return _plain(value, key, command.arguments()[key].annotation, where)


def _plain(value: Any, key: str, annotation: Any, where: str) -> Any:
    """A number, word or switch, refused where it is not of the type that the stage function names."""
    wanted = [kind for kind in get_args(annotation) or (annotation,) if kind in (bool, int, float, str)]
    if not wanted:
        return value
    if float in wanted and type(value) is int:
        return float(value)
    if type(value) in wanted:
        return value
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    raise ConfigError(f"{where}: {key} is {value!r}, expected {' or '.join(names[kind] for kind in wanted)}")


def _config(dotted: str, value: Any, base: Path, where: str) -> StageConfig:
    """Settings from a mapping in the pipeline, or from the YAML file that it names."""
    module, name = dotted.split(".")
    cls: type[StageConfig] = getattr(import_module(f"garbage_synth.config.{module}"), name)
    try:
        if isinstance(value, str):
            return load_config(cls, _path(base, value))
        if not isinstance(value, dict):
            raise ConfigError(f"expected keys or the name of a YAML file, not {value!r}")
        return load_config(cls, None, tree=value)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _pair(value: Any, key: str, form: str, where: str) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(number, int) for number in value):
        return value[0], value[1]
    try:
        return parse_pair(str(value), key, form)
    except InputError as error:
        raise ConfigError(f"{where}: {error}") from error


def _path(base: Path, value: Any) -> Path:
    """A path of the pipeline file: absolute, or relative to the folder of that file."""
    return Path(os.path.normpath(base / Path(str(value)).expanduser()))


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}" if known else ""
