"""`ladder`: detectors trained alike on several training sets, judged on the same real pictures, in one table."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.errors import ConfigError, InputError
from garbage_synth.io.atomic import write_bytes, write_json, write_text
from garbage_synth.io.images import encode_png
from garbage_synth.report.ladder_figure import draw_ladder
from garbage_synth.report.ladder_table import ladder_table
from garbage_synth.run.local import available_workers
from garbage_synth.stages.ladder_check import require_detector_and_test, wrong_arms
from garbage_synth.stages.ladder_file import Arm, Ladder, load_ladder
from garbage_synth.stages.ladder_pairs import run_pairs
from garbage_synth.stages.ladder_results import collect_results
from garbage_synth.stages.pipeline import plan_steps, run_steps
from garbage_synth.stages.steps import Ledger, cached_fingerprint

__all__ = ["ladder"]

RESULTS_FILE, TABLE_FILE, FIGURE_FILE = "results.json", "results.md", "ladder.png"
_SHEET = "detections.jpg"  # of an evaluation


def ladder(
    file: Path,
    out: Path | None = None,
    *,
    arms: Collection[str] | None = None,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    device: str = "auto",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Run the stages of a ladder file, train a detector for every arm and seed, and compare them on one test set.

    The file is that of a pipeline (see `run_pipeline`) with `test`, `detector`, `seeds`, `gap`, `arms` and `curve`
    besides (docs/ladder.md). arms: keys of those to run, with the stages that they need; None = all. overrides:
    "<stage>.<argument>=<value>", "detector.<argument>=<value>", "seeds=[0]". workers: for the stages as in
    `run_pipeline`; detectors that are trained at a time, each on one thread where they compute on the CPU, by default
    as many as there are cores, and one on a GPU. device: for every stage and detector.

    What is finished and unchanged is left alone, what was interrupted is continued. `out` holds a folder for every
    stage, `detectors/<arm>_<seed>/`, `evaluations/<arm>_<seed>/`, `results.json`, `results.md`, `ladder.png` and
    `detections_<arm>.jpg`. numbers: those of results.json.

    The table also holds arms that are not run now where they are finished and unchanged.

    A detector that fails is named and left out of the table, and so is an arm that cannot be judged or that trains on a
    picture of the test set (see `wrong_arms`); the others go on, and the summary is not ok. Raises as `run_pipeline`
    does where a stage fails, InputError where the test set cannot be used, before anything is trained, and ConfigError
    and InputError as `load_ladder` does.
    """
    from garbage_synth.compute.device import choose_device

    progress = progress or NullProgress()
    plan = load_ladder(file, out, overrides, only=arms)
    require_detector_and_test(plan)
    on_cpu = choose_device(device).type == "cpu"
    ledger = Ledger.read(plan.out)
    if dry_run:
        steps = [*plan.stages, *(step for pair in plan.pairs for step in (pair.train, pair.evaluate))]
        return StageSummary("ladder", plan.out, {"stages": plan_steps(steps, ledger, cached_fingerprint())})

    made = run_steps(plan.stages, ledger, {"workers": workers, "device": device}, progress)
    wrong = wrong_arms(plan)
    for key, why in wrong.items():
        progress.message(f"arm {key} is left out: {why}")
    failed = {f"{key}_{seed}": why for key, why in wrong.items() for seed in plan.seeds}
    failed |= run_pairs(
        [pair for pair in plan.pairs if pair.arm not in wrong],
        ledger,
        workers=workers or (available_workers() if on_cpu else 1),
        device=device,
        on_cpu=on_cpu,
        progress=progress,
    )
    told = _told_arms(plan, [arm for arm in plan.arms if arm.key not in wrong], failed, ledger, file, overrides)
    results = collect_results(plan, told, ledger, file, failed, progress)
    write_json(plan.out / RESULTS_FILE, results)
    write_text(plan.out / TABLE_FILE, ladder_table(results))
    write_bytes(plan.out / FIGURE_FILE, encode_png(draw_ladder(results)))
    _copy_sheets(plan, told)
    warnings = (*made.warnings, *(f"detector {name} failed: {error}" for name, error in failed.items()))
    return StageSummary("ladder", plan.out, results, warnings, plan.out / FIGURE_FILE, ok=not failed)


def _told_arms(
    plan: Ladder, ran: Sequence[Arm], failed: Collection[str], ledger: Ledger, file: Path, overrides: Sequence[str]
) -> list[Arm]:
    """The arms of the table with the pairs that are done, in the order of the file: those that ran, and those of
    earlier runs that are finished and unchanged."""
    told = {arm.key: replace(arm, pairs=tuple(pair for pair in arm.pairs if pair.name not in failed)) for arm in ran}
    print_of = cached_fingerprint()
    for key in plan.keys:
        if key in told or key in {arm.key for arm in plan.arms}:
            continue
        try:
            other = load_ladder(file, plan.out, overrides, only=[key])
        except (ConfigError, InputError):  # what it reads is not here
            continue
        steps = [*other.stages, *(step for pair in other.pairs for step in (pair.train, pair.evaluate))]
        undone = {name for name, step in plan_steps(steps, ledger, print_of).items() if step["then"] == "run"}
        pairs = tuple(pair for pair in other.pairs if undone.isdisjoint((pair.train.name, pair.evaluate.name)))
        told |= {key: replace(other.arms[0], pairs=pairs)} if pairs else {}
    return [told[key] for key in plan.keys if key in told]


def _copy_sheets(plan: Ladder, arms: Sequence[Arm]) -> None:
    """What the evaluation of each arm's first seed drew; where that is not done, none stays from before."""
    firsts = {pair.arm: pair.evaluate.out for arm in arms for pair in arm.pairs if pair.seed == plan.seeds[0]}
    for key in plan.keys:
        sheet, made = plan.out / f"detections_{key}.jpg", firsts.get(key)
        if made is not None and (made / _SHEET).is_file():
            write_bytes(sheet, (made / _SHEET).read_bytes())
        else:
            sheet.unlink(missing_ok=True)
