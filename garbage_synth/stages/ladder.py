"""`ladder`: detectors trained alike on several training sets, judged on the same real pictures, in one table."""

from collections.abc import Collection, Sequence
from pathlib import Path

from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.io.atomic import write_bytes, write_json, write_text
from garbage_synth.io.images import encode_png
from garbage_synth.report.ladder_figure import draw_ladder
from garbage_synth.report.ladder_table import ladder_table
from garbage_synth.run.local import available_workers
from garbage_synth.stages.ladder_file import Ladder, load_ladder
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

    A detector that fails is named and left out of the table; the others go on, and the summary is not ok. Raises as
    `run_pipeline` does where a stage fails, and ConfigError and InputError as `load_ladder` does.
    """
    from garbage_synth.compute.device import choose_device

    progress = progress or NullProgress()
    plan = load_ladder(file, out, overrides, only=arms)
    on_cpu = choose_device(device).type == "cpu"
    ledger = Ledger.read(plan.out)
    if dry_run:
        steps = [*plan.stages, *(step for pair in plan.pairs for step in (pair.train, pair.evaluate))]
        return StageSummary("ladder", plan.out, {"stages": plan_steps(steps, ledger, cached_fingerprint())})

    made = run_steps(plan.stages, ledger, {"workers": workers, "device": device}, progress)
    failed = run_pairs(
        plan.pairs,
        ledger,
        workers=workers or (available_workers() if on_cpu else 1),
        device=device,
        on_cpu=on_cpu,
        progress=progress,
    )
    results = collect_results(plan, ledger, file, failed, progress)
    write_json(plan.out / RESULTS_FILE, results)
    write_text(plan.out / TABLE_FILE, ladder_table(results))
    write_bytes(plan.out / FIGURE_FILE, encode_png(draw_ladder(results)))
    _copy_sheets(plan, failed)
    warnings = (*made.warnings, *(f"detector {name} failed: {error}" for name, error in failed.items()))
    return StageSummary("ladder", plan.out, results, warnings, plan.out / FIGURE_FILE, ok=not failed)


def _copy_sheets(plan: Ladder, failed: Collection[str]) -> None:
    """What the evaluation of each arm's first seed drew."""
    for pair in (arm.pairs[0] for arm in plan.arms if arm.pairs[0].name not in failed):
        drawn = pair.evaluate.out / _SHEET if pair.evaluate.out is not None else None
        if drawn is not None and drawn.is_file():
            write_bytes(plan.out / f"detections_{pair.arm}.jpg", drawn.read_bytes())
