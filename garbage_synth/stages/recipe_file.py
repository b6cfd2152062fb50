"""A pipeline file as text: its keys, its list of stages, and what --set puts in their place."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from garbage_synth.config.base import parse_yaml
from garbage_synth.errors import ConfigError, InputError

__all__ = ["nearest", "override", "read_entries", "read_recipe_file"]


def read_recipe_file(path: Path, where: str, *, known: Sequence[str]) -> dict[str, Any]:
    """The keys of a YAML file. where: its name in messages. Raises InputError where it cannot be read, and ConfigError
    where it is no YAML or has a key that is not known."""
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"), where)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{where} must hold keys ({', '.join(known)})")
    unknown = next((key for key in document if key not in known), None)
    if unknown is not None:
        raise ConfigError(f"{where} has the unknown key {unknown!r}; known are {', '.join(known)}")
    return document


def read_entries(document: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """The entries of `stages` by name, in order. Raises ConfigError where they are not as they should be."""
    listed = document.get("stages", [])
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ConfigError(f"{where} must hold `stages`, a list of entries with `name` and `stage`")
    entries: dict[str, dict[str, Any]] = {}
    for entry in listed:
        name = _name(entry, where)
        if name in entries:
            raise ConfigError(f"{where} names two stages {name!r}")
        entries[name] = entry
    return entries


def override(entries: dict[str, Any], overrides: Sequence[str], *, whole: Sequence[str] = ()) -> None:
    """Put "name.argument=value" into the entries; whole: names that may be given a value themselves.

    Raises ConfigError for another form, an unknown name, and a value where keys are expected.
    """
    for text in overrides:
        key, equals, value = text.partition("=")
        name, *keys = key.strip().split(".")
        if not equals or not (keys or name in whole):
            raise ConfigError(f"--set {text!r} is not of the form stage.argument=value")
        if name not in entries:
            raise ConfigError(f"--set {text!r}: no stage {name!r}{nearest(name, entries)}")
        *above, last = name, *keys
        tree = entries
        for part in above:
            tree = tree.setdefault(part, {})
            if not isinstance(tree, dict):
                raise ConfigError(f"--set {text!r}: {part} holds a value, not keys")
        tree[last] = parse_yaml(value, f"--set {text!r}")


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the known one most like it, else all of them."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}" if known else ""


def _name(entry: Mapping[str, Any], where: str) -> str:
    name = entry.get("name", entry.get("stage"))
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ConfigError(f"{where}: stage name {name!r} must be letters, digits, - and _")
    return name
