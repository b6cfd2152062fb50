"""One step of a recipe: is it done, how to begin it, run it; and the record of all steps of an output folder."""

import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from garbage_synth.config.base import StageConfig
from garbage_synth.core.progress import Progress, StageSummary
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.formats.coco import is_safe_file_name
from garbage_synth.io import output
from garbage_synth.io.atomic import write_json
from garbage_synth.io.dataset import read_document, split_files
from garbage_synth.io.output import read_manifest
from garbage_synth.stages.recipe import Step

__all__ = [
    "How",
    "Ledger",
    "cached_fingerprint",
    "fingerprint",
    "finished_record",
    "headline",
    "how_to_begin",
    "identity_of",
    "is_finished",
    "run_step",
]

LEDGER_FILE = "pipeline.json"
_WITHOUT_EFFECT = ("device", "workers")


@dataclass(slots=True)
class Ledger:
    """What is known of the steps in an output folder, by name: identity, status, numbers, seconds; in pipeline.json."""

    out: Path
    records: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, out: Path) -> "Ledger":
        """That of earlier runs in `out`, empty where there was none.

        Raises OutputExistsError where the folder holds something else, InputError for a damaged file.
        """
        if out.exists() and not out.is_dir():
            raise OutputExistsError(f"output {out} is a file, a folder was expected")
        if not out.exists() or not any(not path.name.startswith(".") for path in out.iterdir()):
            return cls(out, {})
        path = out / LEDGER_FILE
        if not path.exists():
            raise OutputExistsError(f"output {out} is not empty and holds no {LEDGER_FILE}; choose another --out")
        try:
            records: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["stages"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} cannot be read ({error}); remove it to run all stages again elsewhere") from error
        return cls(out, records)

    def of(self, step: Step) -> Mapping[str, Any]:
        """The record of a step, empty where there is none."""
        return self.records.get(step.name, {})

    def keep(self, names: Sequence[str]) -> None:
        """Forget the steps that are not among `names`."""
        self.records = {name: record for name, record in self.records.items() if name in names}

    def write(self) -> None:
        """Put the file in its place. Raises InputError where the folder cannot be written."""
        try:
            os.makedirs(self.out, exist_ok=True)
            write_json(self.out / LEDGER_FILE, {"stages": self.records, "tool": "garbage-synth"})
        except PermissionError as error:
            raise InputError(f"output {self.out} cannot be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class How:
    """How a step begins."""

    overwrite: bool
    resume: bool


def fingerprint(paths: Sequence[Path]) -> str:
    """`io.output.fingerprint` of files and folders, in which the pictures of a COCO file count as well."""
    return output.fingerprint([one for path in paths for one in (path, *_pictures_of(path))])


def _pictures_of(path: Path) -> list[Path]:
    """Those that a COCO file lists, sorted; none for another file or a folder."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return []
    try:
        listed = read_document(path).get("images")
    except InputError:  # the stage that reads it says what is wrong
        return []
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    names = {entry["file_name"] for entry in entries if is_safe_file_name(entry.get("file_name"))}
    (files,) = split_files(path).values()
    return [files.locate(name) for name in sorted(names)]


def cached_fingerprint() -> Callable[[Sequence[Path]], str]:
    """`fingerprint`, each set of paths read once; for as long as nothing writes there."""
    cached = functools.cache(fingerprint)
    return lambda paths: cached(tuple(paths))


def identity_of(step: Step, fingerprint: Callable[[Sequence[Path]], str] = fingerprint) -> dict[str, Any]:
    """What decides the step's output: its arguments, and the contents of the files and folders it reads."""
    settings = {
        name: value.model_dump(mode="json", exclude=set(value.without_effect))
        if isinstance(value, StageConfig)
        else value
        for name, value in step.arguments.items()
        if name not in step.command.inputs and name not in _WITHOUT_EFFECT
    }
    inputs = {name: fingerprint(paths) for name, paths in step.contents().items()}
    plain: dict[str, Any] = json.loads(
        json.dumps({"inputs": inputs, "settings": settings, "stage": step.command.name}, default=str)
    )
    return plain


def is_finished(step: Step, known: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
    """Whether the step's output is there, made of the same."""
    if known.get("status") != "finished" or output.differences(known.get("identity", {}), identity):
        return False
    if step.out is None:
        return True
    if step.command.writes_file:
        return step.out.is_file()
    return (read_manifest(step.out) or {}).get("status") == "finished"


def how_to_begin(step: Step, known: Mapping[str, Any], identity: Mapping[str, Any]) -> How:
    """Continue what was begun like this, replace what was made otherwise."""
    if step.out is None or not step.out.exists():
        return How(overwrite=False, resume=False)
    if step.out.is_file():
        return How(overwrite=bool(known), resume=False)
    if not any(step.out.iterdir()):
        return How(overwrite=False, resume=False)
    same = (
        not output.differences(known.get("identity", {}), identity)
        and (read_manifest(step.out) or {}).get("status") == "begun"
    )
    return How(overwrite=not same, resume=same)


def run_step(step: Step, how: How, given: Mapping[str, Any], progress: Progress | None) -> StageSummary:
    """Call the stage function. given: arguments for stages that have them where the step names none itself (workers,
    device); a value of None is not given."""
    function = step.command.function()
    accepted = step.command.arguments()
    arguments = {
        **{name: value for name, value in given.items() if value is not None and name in accepted},
        **step.arguments,
        "progress": progress,
    }
    if step.out is not None:
        arguments["out"] = step.out
    arguments |= {
        name: value for name, value in (("overwrite", how.overwrite), ("resume", how.resume)) if name in accepted
    }
    summary = function(**arguments)
    if not isinstance(summary, StageSummary):
        raise TypeError(f"stage function {step.command.name} returned {type(summary).__name__}, not a StageSummary")
    return summary


def finished_record(summary: StageSummary, identity: Mapping[str, Any], out: Path, seconds: float) -> dict[str, Any]:
    """What the ledger keeps of a step that has run. seconds: it took in all, with what it took before interruptions."""
    return {
        "identity": identity,
        "numbers": json.loads(json.dumps(dict(summary.numbers), default=str)),
        "open_file": os.path.relpath(summary.open_file, out) if summary.open_file else None,
        "seconds": round(seconds, 1),
        "status": "finished" if summary.ok else "failed",
        "warnings": list(summary.warnings),
    }


def headline(step: Step) -> dict[str, Any]:
    """What a summary says of a step before its numbers."""
    told: dict[str, Any] = {"stage": step.command.name}
    if step.out is not None:
        told["out"] = str(step.out)
    if step.note:
        told["note"] = step.note
    return told
