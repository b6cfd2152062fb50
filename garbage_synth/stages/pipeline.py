"""`run`: a chain of stages from a YAML file; what is finished and unchanged is not run again."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.errors import GarbageSynthError, InputError, OutputExistsError
from garbage_synth.io.atomic import write_json
from garbage_synth.io.output import fingerprint, read_manifest
from garbage_synth.stages.recipe import Recipe, Step, load_recipe

__all__ = ["run_pipeline"]

_STATE_FILE = "pipeline.json"
_WITHOUT_EFFECT = ("workers",)


def run_pipeline(
    pipeline: Path,
    out: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Run the stages that `pipeline` names, in order, into `out` (default: the folder that the YAML names).

    The YAML holds `out` and `stages`: a list of `name`, `stage` (a command), optional `note`, and the command's
    arguments; relative paths resolve from the YAML, `${NAME}` is an environment variable, `${stages.<name>.out}` the
    output of an earlier stage. overrides: "<name>.<argument>=<value>". workers: for every stage that has them.

    A stage whose arguments and input files are those it finished with is skipped; one that was interrupted is
    continued; a changed one replaces its output, where that carries our manifest.

    Raises ConfigError and InputError before anything runs where the recipe is wrong or an input is missing, the
    stage's own error (naming the stage), and GarbageSynthError where `validate` finds defects.
    """
    progress = progress or NullProgress()
    recipe = load_recipe(pipeline, out, overrides)
    state = _read_state(recipe.out)
    if dry_run:
        return StageSummary("run", recipe.out, {"stages": _plan(recipe, state)})

    results: dict[str, dict[str, Any]] = {}
    warnings: list[str] = []
    open_file: Path | None = None
    for number, step in enumerate(recipe.steps, start=1):
        label = f"[{number}/{len(recipe.steps)}] {step.name}: {step.command.name}"
        identity = _identity(step)
        known = state.get(step.name, {})
        if _is_finished(step, known, identity):
            progress.message(f"{label} is finished and unchanged")
            results[step.name] = {**_headline(step), "unchanged": True, **known["numbers"]}
            open_file = recipe.out / known["open_file"] if known.get("open_file") else open_file
            warnings += [f"{step.name}: {warning}" for warning in known["warnings"]]
            continue
        progress.message(label + (f" ({step.note})" if step.note else ""))
        state[step.name] = {"identity": identity, "status": "begun"}
        _write_state(recipe, state)
        began = time.monotonic()
        summary = _run_step(step, _how(step, known, identity), workers, progress)
        numbers = json.loads(json.dumps(dict(summary.numbers), default=str))
        state[step.name] = {
            "identity": identity,
            "numbers": numbers,
            "open_file": os.path.relpath(summary.open_file, recipe.out) if summary.open_file else None,
            "status": "finished" if summary.ok else "failed",
            "warnings": list(summary.warnings),
        }
        _write_state(recipe, state)
        if not summary.ok:
            raise GarbageSynthError(f"stage {step.name} ({step.command.name}) failed: {_defects(numbers)}")
        results[step.name] = {**_headline(step), **numbers, "seconds": round(time.monotonic() - began, 1)}
        open_file = summary.open_file or open_file
        warnings += [f"{step.name}: {warning}" for warning in summary.warnings]
    return StageSummary("run", recipe.out, {"stages": results}, tuple(warnings), open_file)


@dataclass(frozen=True, slots=True)
class _How:
    overwrite: bool
    resume: bool


def _how(step: Step, known: Mapping[str, Any], identity: Mapping[str, Any]) -> _How:
    """Continue what was begun like this, replace what was made otherwise."""
    if step.out is None or not step.out.exists():
        return _How(overwrite=False, resume=False)
    if step.out.is_file():
        return _How(overwrite=bool(known), resume=False)
    if not any(step.out.iterdir()):
        return _How(overwrite=False, resume=False)
    same = known.get("identity") == identity and (read_manifest(step.out) or {}).get("status") == "begun"
    return _How(overwrite=not same, resume=same)


def _run_step(step: Step, how: _How, workers: int | None, progress: Progress) -> StageSummary:
    function = step.command.function()
    accepted = step.command.arguments()
    arguments = {**step.arguments, "progress": progress}
    if step.out is not None:
        arguments["out"] = step.out
    arguments |= {
        name: value for name, value in (("overwrite", how.overwrite), ("resume", how.resume)) if name in accepted
    }
    if workers is not None and "workers" in accepted:
        arguments["workers"] = workers
    try:
        summary = function(**arguments)
    except GarbageSynthError as error:
        raise type(error)(f"stage {step.name}: {error}") from error
    if not isinstance(summary, StageSummary):
        raise TypeError(f"stage function {step.command.name} returned {type(summary).__name__}, not a StageSummary")
    return summary


def _identity(step: Step) -> dict[str, Any]:
    """What decides the step's output: its arguments, and the contents of the files and folders it reads."""
    settings = {
        name: value.model_dump(mode="json") if hasattr(value, "model_dump") else value
        for name, value in step.arguments.items()
        if name not in step.command.inputs and name not in _WITHOUT_EFFECT
    }
    inputs = {name: fingerprint(paths) for name, paths in step.inputs().items()}
    plain: dict[str, Any] = json.loads(
        json.dumps({"inputs": inputs, "settings": settings, "stage": step.command.name}, default=str)
    )
    return plain


def _is_finished(step: Step, known: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
    if known.get("status") != "finished" or known.get("identity") != identity:
        return False
    if step.out is None:
        return True
    if step.command.writes_file:
        return step.out.is_file()
    return (read_manifest(step.out) or {}).get("status") == "finished"


def _headline(step: Step) -> dict[str, Any]:
    """What the summary says of a stage before its numbers."""
    headline: dict[str, Any] = {"stage": step.command.name}
    if step.out is not None:
        headline["out"] = str(step.out)
    if step.note:
        headline["note"] = step.note
    return headline


def _plan(recipe: Recipe, state: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a run would do with each stage: one that reads what will be made anew is run."""
    plan: dict[str, dict[str, Any]] = {}
    anew: list[Path] = []
    for step in recipe.steps:
        sources = [path.absolute() for paths in step.inputs().values() for path in paths]
        stale = any(path.is_relative_to(made) for path in sources for made in anew)
        if stale or not _is_finished(step, state.get(step.name, {}), _identity(step)):
            anew += [step.out.absolute()] if step.out is not None else []
            plan[step.name] = {**_headline(step), "then": "run"}
        else:
            plan[step.name] = {**_headline(step), "then": "skip, finished and unchanged"}
    return plan


def _defects(numbers: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{key} {value}" for key, value in numbers.items() if isinstance(value, int | float | str))
    return shown or "see above"


def _read_state(out: Path) -> dict[str, Any]:
    """The stages' records of earlier runs in `out`. Raises OutputExistsError where the folder is not a run of ours."""
    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"output {out} is a file, a folder was expected")
    if not out.exists() or not any(not path.name.startswith(".") for path in out.iterdir()):
        return {}
    path = out / _STATE_FILE
    if not path.exists():
        raise OutputExistsError(f"output {out} is not empty and holds no {_STATE_FILE}; choose another --out")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        stages: dict[str, Any] = state["stages"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}); remove it to run all stages again elsewhere") from error
    return stages


def _write_state(recipe: Recipe, state: Mapping[str, Any]) -> None:
    """Record the stages that the recipe still has."""
    names = {step.name for step in recipe.steps}
    stages = {name: record for name, record in state.items() if name in names}
    try:
        os.makedirs(recipe.out, exist_ok=True)
        write_json(recipe.out / _STATE_FILE, {"stages": stages, "tool": "garbage-synth"})
    except PermissionError as error:
        raise InputError(f"output {recipe.out} cannot be written: {error.strerror}") from error
