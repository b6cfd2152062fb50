"""A ladder file, read and checked whole before anything runs: a pipeline, and detectors trained on what it makes."""

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from garbage_synth.errors import ConfigError
from garbage_synth.stages.recipe import Step, output_folder, resolve_steps, step_of
from garbage_synth.stages.recipe_file import nearest, override, read_entries, read_recipe_file

__all__ = ["Arm", "Curve", "Ladder", "Pair", "load_ladder"]

DETECTORS, EVALUATIONS = "detectors", "evaluations"
"""Folders of the output that hold one folder for each pair of arm and seed."""

_OWN_KEYS = ("test", "detector", "seeds", "gap", "arms", "curve")
_RESERVED = (*_OWN_KEYS, DETECTORS, EVALUATIONS)
_TEST_KEYS = {  # key of the file: argument of `evaluate`
    "data": "truth",
    "split": "split",
    "class_agnostic": "class_agnostic",
    "map": "class_map",
    "classes": "classes",
}
_REFERENCE = re.compile(r"\$\{stages\.([^.}]+)\.out\}")
_GIVEN_BY_LADDER = ("name", "note", "out", "stage", "dataset", "seed", "device")


@dataclass(frozen=True, slots=True)
class Pair:
    """An arm and a seed: the detector that is trained, and its evaluation."""

    arm: str
    seed: int
    train: Step
    evaluate: Step

    @property
    def name(self) -> str:
        """That of its folders."""
        return f"{self.arm}_{self.seed}"


@dataclass(frozen=True, slots=True)
class Arm:
    """A training set to compare. needs: names of the stages that make it, in order."""

    key: str
    name: str
    train: Path
    needs: tuple[str, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """Arms drawn as one line: AP over a number of each."""

    label: str
    places: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Ladder:
    """Stages to run, then arms to train and evaluate on one test set.

    gap: arms between which the gap is measured. keys: those of all arms in the file, also of those that are not run.
    """

    out: Path
    stages: tuple[Step, ...]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    gap: tuple[str, str] | None
    curve: Curve | None
    keys: tuple[str, ...]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs, every arm's first seed before any second one: a table that is cut short still compares all."""
        return tuple(pair for number in range(len(self.seeds)) for pair in (arm.pairs[number] for arm in self.arms))


def load_ladder(
    file: Path, out: Path | None = None, overrides: Sequence[str] = (), *, only: Collection[str] | None = None
) -> Ladder:
    """The ladder of a file, all names and values resolved. only: keys of the arms to keep, with the stages they need.

    Raises ConfigError and InputError as `load_recipe` does, and ConfigError where the ladder's own keys (`test`,
    `detector`, `seeds`, `gap`, `arms`, `curve`) are not as they should be.
    """
    where = f"ladder {file}"
    document = read_recipe_file(file, where, known=("out", "stages", *_OWN_KEYS))
    entries = read_entries(document, where)
    taken = next((name for name in entries if name in _RESERVED), None)
    if taken is not None:
        raise ConfigError(f"{where}: a stage may not be named {taken!r}; that is a key of ladders")
    given = {key: document[key] for key in _OWN_KEYS if document.get(key) is not None}
    own: dict[str, Any] = {**entries, "detector": {}, "seeds": [0], **given}
    override(own, overrides, whole=_OWN_KEYS)
    arms = _arm_entries(own.get("arms"), where)
    chosen = _chosen(arms, only)
    seeds = _seeds(own["seeds"], where)
    detector, test = _detector(own["detector"], where), _test(own.get("test"), where)
    needs = {key: _needs([arms[key], detector, test], entries) for key in chosen}
    if only is not None:
        entries = {name: entry for name, entry in entries.items() if any(name in needed for needed in needs.values())}
    folder = output_folder(document, file, out, where)
    stages = resolve_steps(entries, file.parent, folder, where)
    clash = next((step for step in stages if step.out in (folder / DETECTORS, folder / EVALUATIONS)), None)
    if clash is not None:
        raise ConfigError(f"{where}: stage {clash.name}: its output {clash.out} is that of the detectors; name another")
    # both alone first, so that messages name the key of the file and not an arm
    step_of("detector", {**detector, **_TRAINING, "dataset": "."}, file.parent, folder, stages, f"{where}: detector")
    step_of("test", {**test, **_JUDGING, "run": "."}, file.parent, folder, stages, f"{where}: test")
    made = []
    for key in chosen:
        place = _Place(file.parent, folder, stages, f"{where}: arm {key}")
        pairs = tuple(_pair(key, seed, {**detector, "dataset": arms[key]["train"]}, test, place) for seed in seeds)
        train = pairs[0].train.arguments["dataset"]
        made.append(Arm(key, arms[key].get("name", key), train, needs[key], pairs))
    gap, curve = _gap(own.get("gap"), arms, where), _curve(own.get("curve"), arms, where)
    return Ladder(folder, stages, tuple(made), seeds, gap, curve, tuple(arms))


_TRAINING, _JUDGING = {"stage": "train-detector"}, {"stage": "evaluate"}


@dataclass(frozen=True, slots=True)
class _Place:
    base: Path
    out: Path
    stages: tuple[Step, ...]
    where: str


def _pair(key: str, seed: int, detector: Mapping[str, Any], test: Mapping[str, Any], place: _Place) -> Pair:
    name = f"{DETECTORS}/{key}_{seed}"
    training = {**detector, **_TRAINING, "seed": seed}
    train = step_of(name, training, place.base, place.out, place.stages, place.where)
    judging = {**test, **_JUDGING, "run": f"${{stages.{name}.out}}"}
    before = (*place.stages, train)
    return Pair(
        key, seed, train, step_of(f"{EVALUATIONS}/{key}_{seed}", judging, place.base, place.out, before, place.where)
    )


def _needs(readers: Sequence[Any], entries: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of the stages whose outputs are named by the readers, directly or through other stages, in order."""
    named = set(_REFERENCE.findall(str(readers)))
    for name in reversed(list(entries)):
        if name in named:
            named |= set(_REFERENCE.findall(str(entries[name])))
    return tuple(name for name in entries if name in named)


def _arm_entries(value: Any, where: str) -> dict[str, Mapping[str, Any]]:
    if not isinstance(value, dict) or not value:
        raise ConfigError(f"{where} must hold `arms`, for each a key with `train` (and `name`)")
    for key, entry in value.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", str(key)):
            raise ConfigError(f"{where}: arm {key!r} must be letters, digits and -")
        if not isinstance(entry, dict) or set(entry) - {"name", "train"} or not isinstance(entry.get("train"), str):
            raise ConfigError(f"{where}: arm {key} must hold `train`, a dataset, and may hold `name`")
        if not _is_label(entry.get("name", key)):
            raise ConfigError(f"{where}: the name of arm {key} is {entry['name']!r}, expected text on one line")
    return {str(key): entry for key, entry in value.items()}


def _chosen(arms: Mapping[str, Any], only: Collection[str] | None) -> list[str]:
    unknown = next((key for key in only or () if key not in arms), None)
    if unknown is not None or (only is not None and not only):
        raise ConfigError(f"--arms {unknown or ''!r}: no such arm{nearest(unknown or '', arms)}")
    return [key for key in arms if only is None or key in only]


def _seeds(value: Any, where: str) -> tuple[int, ...]:
    right = isinstance(value, list) and value and all(type(seed) is int and seed >= 0 for seed in value)
    if not right or len(set(value)) < len(value):
        raise ConfigError(f"{where}: seeds is {value!r}, expected different whole numbers, as in [0, 1, 2]")
    return tuple(value)


def _detector(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: detector is {value!r}, expected arguments of train-detector")
    given = next((key for key in value if key in _GIVEN_BY_LADDER), None)
    if given is not None:
        raise ConfigError(f"{where}: detector.{given} is given by the ladder itself; remove it")
    return value


def _test(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or "data" not in value:
        raise ConfigError(f"{where} must hold `test` with `data`, a dataset of real labelled pictures")
    unknown = next((key for key in value if key not in _TEST_KEYS), None)
    if unknown is not None:
        raise ConfigError(f"{where}: test has the unknown key {unknown!r}{nearest(str(unknown), _TEST_KEYS)}")
    return {_TEST_KEYS[key]: inner for key, inner in value.items()}


def _gap(value: Any, arms: Mapping[str, Any], where: str) -> tuple[str, str] | None:
    if value is None:
        return None
    ends = (value.get("from"), value.get("to")) if isinstance(value, dict) and len(value) == 2 else ()
    if len(ends) != 2 or any(str(end) not in arms for end in ends) or ends[0] == ends[1]:
        raise ConfigError(f"{where}: gap is {value!r}, expected two different arms, as in {{from: a, to: e}}")
    return str(ends[0]), str(ends[1])


def _curve(value: Any, arms: Mapping[str, Any], where: str) -> Curve | None:
    if value is None:
        return None
    places = value.get("arms") if isinstance(value, dict) and not set(value) - {"x", "arms"} else None
    if (
        not isinstance(places, dict)
        or len(places) < 2
        or not all(str(key) in arms and _is_place(x) for key, x in places.items())
        or len({float(x) for x in places.values()}) < len(places)
        or not _is_label(value.get("x", "x"))
    ):
        raise ConfigError(
            f"{where}: curve is {value!r}, expected {{x: NAME, arms: {{ARM: NUMBER, ...}}}}, two or more arms at "
            "different numbers above 0"
        )
    return Curve(value.get("x", "x"), {str(key): float(x) for key, x in places.items()})


def _is_place(value: Any) -> bool:
    """A finite number above 0."""
    return type(value) in (int, float) and 0 < value <= sys.float_info.max


def _is_label(value: Any) -> bool:
    """Text on one line."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()
