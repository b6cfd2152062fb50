"""A pipeline file, read and checked whole before its first stage runs."""

import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from garbage_synth.config.base import StageConfig, load_config
from garbage_synth.errors import ConfigError, InputError
from garbage_synth.stages.arguments import parse_names, parse_pair, parse_words
from garbage_synth.stages.recipe_file import nearest, override, read_entries, read_recipe_file

__all__ = [
    "Command",
    "Recipe",
    "Step",
    "load_recipe",
    "output_folder",
    "resolve_steps",
    "step_of",
]

_OWN_KEYS = ("name", "note", "out", "stage")
_GIVEN_BY_RUN = ("dry_run", "out", "overwrite", "progress", "resume")
_REFERENCE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a pipeline may name: which arguments are paths it reads, its settings' type, what it writes.

    flags: those whose argument has another name, as pipelines may call it too. read_of: the one file that is read of
    a folder, by argument; what else lies there does not count.
    """

    name: str
    inputs: tuple[str, ...]
    config: str | None = None
    writes_file: bool = False
    writes_nothing: bool = False
    flags: Mapping[str, str] = field(default_factory=dict)
    read_of: Mapping[str, str] = field(default_factory=dict)

    def function(self) -> Callable[..., Any]:
        """The stage function."""
        name = self.name.replace("-", "_")
        function: Callable[..., Any] = getattr(import_module(f"garbage_synth.stages.{name}"), name)
        return function

    def settings(self) -> type[StageConfig] | None:
        """The type of its settings, None where it has none."""
        if self.config is None:
            return None
        module, name = self.config.split(".")
        found: type[StageConfig] = getattr(import_module(f"garbage_synth.config.{module}"), name)
        return found

    def arguments(self) -> Mapping[str, inspect.Parameter]:
        """The stage function's parameters by name."""
        return inspect.signature(self.function()).parameters


_COMMANDS = {
    command.name: command
    for command in (
        Command("segment", ("photos", "boxes"), "segment.SegmentConfig"),
        Command(
            "composite",
            ("crops", "backgrounds", "distractors"),
            "composite.CompositeConfig",
            flags={"format": "formats"},
        ),
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
        Command("evaluate", ("run", "truth"), flags={"map": "class_map"}, read_of={"run": "detector.safetensors"}),
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

    def contents(self) -> dict[str, list[Path]]:
        """The files and folders whose contents decide what comes out, by argument."""
        return {
            name: [path / self.command.read_of[name] if path.is_dir() else path for path in paths]
            if name in self.command.read_of
            else paths
            for name, paths in self.inputs().items()
        }


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
    document = read_recipe_file(pipeline, where, known=("out", "stages"))
    entries = read_entries(document, where)
    if not entries:
        raise ConfigError(f"{where} must hold `stages`, a list of entries with `name` and `stage`")
    override(entries, overrides)
    folder = output_folder(document, pipeline, out, where)
    return Recipe(folder, resolve_steps(entries, pipeline.parent, folder, where))


def output_folder(document: Mapping[str, Any], file: Path, out: Path | None, where: str) -> Path:
    """Where everything goes: `out`, else what the file names. Raises ConfigError where neither does."""
    if out is not None:
        return out
    if not isinstance(document.get("out"), str):
        raise ConfigError(f"{where} names no `out`; give --out")
    return _path(file.parent, _resolved(document["out"], {}, f"{where}: out"))


def resolve_steps(entries: Mapping[str, Mapping[str, Any]], base: Path, out: Path, where: str) -> tuple[Step, ...]:
    """The steps of entries by name. base: the folder from which their relative paths resolve."""
    steps: list[Step] = []
    for name, entry in entries.items():
        steps.append(step_of(name, entry, base, out, steps, f"{where}: stage {name}"))
    return tuple(steps)


def step_of(name: str, entry: Mapping[str, Any], base: Path, out: Path, before: Sequence[Step], where: str) -> Step:
    """The step of one entry. before: those whose outputs it may name; where: what messages begin with.

    Raises ConfigError and InputError as `load_recipe` does.
    """
    command = _COMMANDS.get(str(entry.get("stage")))
    if command is None:
        raise ConfigError(f"{where}: unknown stage {entry.get('stage')!r}{nearest(str(entry.get('stage')), _COMMANDS)}")
    target: Path | None = None
    if not command.writes_nothing:
        target = out / str(entry.get("out", f"{name}.html" if command.writes_file else name))
        if target.resolve() == out.resolve() or any(step.out == target for step in before):
            raise ConfigError(f"{where}: its output {target} is that of another stage")
    made = {step.name: step.out for step in before if step.out is not None}
    given = {str(key).replace("-", "_"): value for key, value in entry.items() if key not in _OWN_KEYS}
    for flag, argument in command.flags.items():
        if flag in given:
            given[argument] = given.pop(flag)
    accepted = {key: kind for key, kind in command.arguments().items() if key not in _GIVEN_BY_RUN}
    for key in given:
        if key not in accepted:
            raise ConfigError(f"{where}: unknown argument {key!r} of {command.name}{nearest(key, accepted)}")
    for key, kind in accepted.items():
        if kind.default is inspect.Parameter.empty and given.get(key) is None:
            raise ConfigError(f"{where}: {command.name} needs the argument {key!r}")
    arguments = {
        key: _value(command, key, _resolved(value, made, f"{where}: {key}"), base, f"{where}: {key}")
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
                raise ConfigError(f"{where}: no earlier stage {stage[1]!r} with an output{nearest(stage[1], made)}")
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
    settings = command.settings() if key == "config" else None
    if settings is not None:
        return _config(settings, value, base, where)
    if key in ("size", "items"):
        return _pair(value, key, "WxH" if key == "size" else "MIN..MAX", where)
    if key == "class_map":
        return _names(value, where)
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


def _config(cls: type[StageConfig], value: Any, base: Path, where: str) -> StageConfig:
    """Settings from a mapping in the pipeline, or from the YAML file that it names."""
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


def _names(value: Any, where: str) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(name): str(other) for name, other in value.items()}
    try:
        return parse_names(str(value), "class_map")
    except InputError as error:
        raise ConfigError(f"{where}: {error}") from error


def _path(base: Path, value: Any) -> Path:
    """A path of the pipeline file: absolute, or relative to the folder of that file."""
    return Path(os.path.normpath(base / Path(str(value)).expanduser()))
