"""`run`: a chain of stages from a YAML file; what is finished and unchanged is not run again."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.errors import GarbageSynthError
from garbage_synth.stages.recipe import Step, load_recipe
from garbage_synth.stages.steps import (
    Ledger,
    fingerprint,
    finished_record,
    headline,
    how_to_begin,
    identity_of,
    is_finished,
    run_step,
)

__all__ = ["plan_steps", "run_pipeline", "run_steps"]


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
    recipe = load_recipe(pipeline, out, overrides)
    ledger = Ledger.read(recipe.out)
    if dry_run:
        return StageSummary("run", recipe.out, {"stages": plan_steps(recipe.steps, ledger)})
    ledger.keep([step.name for step in recipe.steps])
    return run_steps(recipe.steps, ledger, {"workers": workers}, progress or NullProgress())


def run_steps(steps: Sequence[Step], ledger: Ledger, given: Mapping[str, Any], progress: Progress) -> StageSummary:
    """Run the steps that are not done, in order, and record each in the ledger.

    given: arguments for every stage that has them. Raises as `run_pipeline` does.
    """
    results: dict[str, dict[str, Any]] = {}
    warnings: list[str] = []
    open_file: Path | None = None
    for number, step in enumerate(steps, start=1):
        label = f"[{number}/{len(steps)}] {step.name}: {step.command.name}"
        identity = identity_of(step)
        known = ledger.of(step)
        if is_finished(step, known, identity):
            progress.message(f"{label} is finished and unchanged")
            results[step.name] = {**headline(step), "unchanged": True, **known["numbers"]}
            open_file = ledger.out / known["open_file"] if known.get("open_file") else open_file
            warnings += [f"{step.name}: {warning}" for warning in known["warnings"]]
            continue
        progress.message(label + (f" ({step.note})" if step.note else ""))
        summary, seconds = _run_recorded(step, identity, ledger, given, progress)
        record = ledger.of(step)
        if not summary.ok:
            raise GarbageSynthError(f"stage {step.name} ({step.command.name}) failed: {_defects(record['numbers'])}")
        results[step.name] = {**headline(step), **record["numbers"], "seconds": round(seconds, 1)}
        open_file = summary.open_file or open_file
        warnings += [f"{step.name}: {warning}" for warning in summary.warnings]
    return StageSummary("run", ledger.out, {"stages": results}, tuple(warnings), open_file)


def _run_recorded(
    step: Step, identity: Mapping[str, Any], ledger: Ledger, given: Mapping[str, Any], progress: Progress
) -> tuple[StageSummary, float]:
    """The summary of a step and the seconds it took now; its record adds those of an interrupted beginning."""
    known = ledger.of(step)
    how = how_to_begin(step, known, identity)
    seconds_before = float(known.get("seconds", 0)) if how.resume else 0.0
    began = time.monotonic()

    def record_begun() -> None:
        seconds = round(seconds_before + time.monotonic() - began, 1)
        ledger.records[step.name] = {"identity": identity, "seconds": seconds, "status": "begun"}
        ledger.write()

    record_begun()
    try:
        summary = run_step(step, how, given, progress)
    except BaseException as error:
        record_begun()
        if isinstance(error, GarbageSynthError):
            raise type(error)(f"stage {step.name}: {error}") from error
        raise
    seconds = time.monotonic() - began
    ledger.records[step.name] = finished_record(summary, identity, ledger.out, seconds_before + seconds)
    ledger.write()
    return summary, seconds


def plan_steps(
    steps: Sequence[Step], ledger: Ledger, fingerprint: Callable[[Sequence[Path]], str] = fingerprint
) -> dict[str, dict[str, Any]]:
    """What a run would do with each step: one that reads what will be made anew is run."""
    plan: dict[str, dict[str, Any]] = {}
    anew: list[Path] = []
    for step in steps:
        sources = [path.absolute() for paths in step.inputs().values() for path in paths]
        stale = any(path.is_relative_to(made) for path in sources for made in anew)
        if stale or not is_finished(step, ledger.of(step), identity_of(step, fingerprint)):
            anew += [step.out.absolute()] if step.out is not None else []
            plan[step.name] = {**headline(step), "then": "run"}
        else:
            plan[step.name] = {**headline(step), "then": "skip, finished and unchanged"}
    return plan


def _defects(numbers: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{key} {value}" for key, value in numbers.items() if isinstance(value, int | float | str))
    return shown or "see above"
