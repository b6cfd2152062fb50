"""The files of a training: its checkpoint and the generators of the same moment."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch

from garbage_synth.compute.checkpoint import load_checkpoint, save_checkpoint
from garbage_synth.compute.device import describe, is_out_of_memory
from garbage_synth.core.progress import Progress
from garbage_synth.errors import GarbageSynthError
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.generator_file import (
    Direction,
    GeneratorCard,
    Variant,
    generator_file_name,
    read_card,
    save_generator,
)
from garbage_synth.gan.guards import InversionGuard
from garbage_synth.gan.pace import Window
from garbage_synth.gan.schedule import learning_rate
from garbage_synth.gan.training_plan import Recorder, TrainingPlan
from garbage_synth.gan.watch import Watch

__all__ = ["Run", "save", "take_up"]

_MEMBERS: dict[Direction, str] = dict(zip(get_args(Direction), ("to_real", "to_synthetic"), strict=True))


@dataclass(frozen=True, slots=True)
class Run:
    """All that a checkpoint holds: what changes from step to step."""

    gan: CycleGan
    watch: Watch
    guard: InversionGuard
    window: Window


def take_up(run: Run, plan: TrainingPlan, folder: Path, recorder: Recorder, progress: Progress) -> int:
    """Restore the checkpoint where there is one; the number of steps done."""
    state = load_checkpoint(folder)
    if state is None:
        _settle_best(run, plan, folder, 0)
        return 0
    step, total = int(state["step"]), int(state["total_steps"])
    try:
        run.gan.restore(state["gan"])
        run.watch.restore(state["watch"])
        run.guard.restore(state["guard"])
        run.window.restore(state["window"], plan.placement.device)
    except (KeyError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise GarbageSynthError(
            f"the checkpoint in {folder} is of networks of another shape; train elsewhere"
        ) from error
    progress.message(f"going on after step {step:,}")
    if total != plan.length.total_steps:
        rate = learning_rate(
            min(step, plan.length.total_steps - 1),
            plan.length.total_steps,
            base=plan.config.learning_rate,
            constant_fraction=plan.config.constant_fraction,
        )
        recorder.warn(
            f"the total was {total:,} steps and is now {plan.length.total_steps:,}: the learning rate is planned "
            f"anew and goes on at {rate:.3g}; the result is not that of an uninterrupted run of either length"
        )
    begun, now = f"torch {state['torch']} on {state['where']}", f"torch {torch.__version__} on {_where(plan)}"
    if begun != now:
        recorder.warn(
            f"begun with {begun}, going on with {now}: the result may differ from that of an uninterrupted run"
        )
    recorder.resumed(step)
    _settle_best(run, plan, folder, step)
    return step


def save(run: Run, plan: TrainingPlan, folder: Path, step: int) -> None:
    """Write the checkpoint and both generators of the same moment, raw and averaged; also as the best, if they are."""
    state = {
        "step": step,
        "total_steps": plan.length.total_steps,
        "where": _where(plan),
        "gan": run.gan.state(),
        "watch": run.watch.state(),
        "guard": run.guard.state(),
        "window": run.window.state(plan.placement.team),
    }
    if not plan.placement.team.leads:
        return
    save_checkpoint(folder, state)
    _save_generators(run.gan, plan, folder, step, "")
    if run.gan.averages:
        _save_generators(run.gan, plan, folder, step, "ema")
    if run.watch.best and run.watch.best.step == step:
        _save_generators(run.gan, plan, folder, step, _best_variant(run.gan))


def _where(plan: TrainingPlan) -> str:
    """What the last bits of a result depend on, beside the version of torch."""
    return describe(plan.placement.device, plan.placement.precision)


def _save_generators(gan: CycleGan, plan: TrainingPlan, folder: Path, step: int, variant: Variant) -> None:
    averaged = variant in ("ema", "best_ema")
    for direction, name in _MEMBERS.items():
        card = GeneratorCard(
            generator=plan.spec.name,
            base_channels=plan.spec.base_channels,
            direction=direction,
            resize_short_px=plan.resize_short_px,
            crop_px=plan.crop_px,
            steps=step,
            averaged=averaged,
            warp_max_px=plan.spec.warp_max_px,
        )
        network = gan.averages[name] if averaged else getattr(gan.networks, name)
        save_generator(folder / generator_file_name(direction, variant), network, card)


def _best_variant(gan: CycleGan) -> Variant:
    return "best_ema" if gan.averages else "best"


def _settle_best(run: Run, plan: TrainingPlan, folder: Path, step: int) -> None:
    """Make the best generators on disk those that the checkpoint of `step` knows of.

    They are written after it: a kill in between leaves them missing, but they are then the checkpoint's own. Where an
    older checkpoint was put back, they may be of a later step; such files go, and the best is sought anew.
    """
    if not plan.placement.team.leads:
        return
    gan, watch = run.gan, run.watch
    paths = [folder / generator_file_name(direction, _best_variant(gan)) for direction in _MEMBERS]
    if watch.best and watch.best.step == step:
        _save_generators(gan, plan, folder, step, _best_variant(gan))
    elif not watch.best or not all(path.is_file() and read_card(path).steps == watch.best.step for path in paths):
        watch.best = None
        for path in paths:
            path.unlink(missing_ok=True)
