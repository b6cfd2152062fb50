"""The training from first to last step: pace, metrics, samples, checkpoints, and refusal to go on with nonsense."""

import math
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from garbage_synth.config.gan import GanConfig
from garbage_synth.core.progress import Progress
from garbage_synth.errors import GarbageSynthError
from garbage_synth.gan.best import Evaluation
from garbage_synth.gan.checkpoint import load_checkpoint, save_checkpoint
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.data import CropStream, Domain, centre_crops, stream_batches
from garbage_synth.gan.device import describe
from garbage_synth.gan.evaluation import Evaluator, LabelWitness, fixed_crops
from garbage_synth.gan.generator_file import (
    Direction,
    GeneratorCard,
    Variant,
    generator_file_name,
    read_card,
    save_generator,
)
from garbage_synth.gan.guards import InversionGuard
from garbage_synth.gan.inception import InceptionDistances
from garbage_synth.gan.networks import GeneratorSpec
from garbage_synth.gan.pixels import sample_grid
from garbage_synth.gan.placement import Placement
from garbage_synth.gan.schedule import Length, learning_rate
from garbage_synth.gan.team import Team
from garbage_synth.gan.watch import Watch

__all__ = ["Recorder", "TrainingPlan", "TrainingResult", "train"]

_WARM_UP_STEPS = 2
_TIMED_STEPS = 3
_LONG_HOURS = 24.0
_MEMBERS: dict[Direction, str] = dict(zip(get_args(Direction), ("to_real", "to_synthetic"), strict=True))


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """One training. crop_px: side of the crops; batch: pairs per step and process of the team; resize_short_px: noted
    in the generators."""

    spec: GeneratorSpec
    config: GanConfig
    length: Length
    placement: Placement
    crop_px: int
    batch: int
    resize_short_px: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """steps: done so far, of total_steps. metrics: means of the last logged steps, empty where there were none.

    last, best: what was seen at the last look at fixed pictures and at the best, None where there was none.
    """

    steps: int
    total_steps: int
    metrics: Mapping[str, float]
    seconds_per_step: float | None
    last: Evaluation | None
    best: Evaluation | None


class Recorder(Protocol):
    """Keeps what a training tells while it runs."""

    def resumed(self, step: int) -> None:
        """The training goes on after `step` steps: what was recorded of later ones is void."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Means over the last steps, the learning rate and the pace, after `step` steps."""

    def samples(self, step: int, grid_rgb: NDArray[np.uint8]) -> None:
        """A picture (h, w, 3) whose columns are x, G(x), F(G(x)), y, F(y), G(F(y)), after `step` steps."""

    def evaluation(self, step: int, values: Mapping[str, float], best: bool) -> None:
        """What the generators are worth after `step` steps, see `Evaluator`. best: the best so far."""

    def warn(self, text: str) -> None:
        """Something the user should know and may want to change."""


def train(
    plan: TrainingPlan,
    synthetic: Domain,
    real: Domain,
    *,
    witness: LabelWitness | None = None,
    folder: Path,
    recorder: Recorder,
    progress: Progress,
) -> TrainingResult:
    """Train from the checkpoint in `folder`, or from the beginning, to plan.length.stop_step.

    Leaves folder/checkpoint.pt and the generator files. On a CPU, a training that was interrupted at any step and taken
    up again ends with the same bits as one that was not, on the same number of threads. witness: labelled pictures of
    the synthetic domain, which help to choose the best generator.

    Raises GarbageSynthError where a loss or weight is no longer finite, and where the translations are inverted.
    """
    config, length, placement = plan.config, plan.length, plan.placement

    def evaluator() -> Evaluator:
        count = config.evaluate_pictures
        fixed = {domain.name: fixed_crops(domain, crop=plan.crop_px, count=count) for domain in (synthetic, real)}
        inception = InceptionDistances(config.inception, placement.device) if config.inception else None
        return Evaluator(fixed[synthetic.name], fixed[real.name], placement, witness, inception)

    gan = CycleGan(plan.spec, config, placement, seed=plan.seed, labelled=synthetic.labels is not None)
    watch = Watch(config, evaluator, total_steps=length.total_steps, progress=progress)
    guard = InversionGuard(config)
    first = _take_up(gan, watch, guard, plan, folder, recorder, progress)

    # The data of a step depends on the step alone: nothing of it needs to be restored.
    def stream(domain: Domain) -> CropStream:
        return CropStream(domain, crop=plan.crop_px, batch=plan.batch, flip=config.flip, seed=plan.seed)

    shown = [centre_crops(domain, crop=plan.crop_px, count=config.sample_count) for domain in (synthetic, real)]
    steps = range(first, length.stop_step)
    team = placement.team
    on_gpu = placement.device.type == "cuda"
    own = range(first * team.size + team.rank, length.stop_step * team.size, team.size)  # this process's batches
    batches = stream_batches(
        stream(synthetic),
        stream(real),
        own,
        threads=config.decode_threads,
        candidates=config.labels.real_candidates,
        pin_memory=on_gpu,
    )

    pace = _Pace(plan, first, recorder, progress)
    window = _Window()
    last_metrics: dict[str, float] = {}
    saved_at = time.monotonic()
    progress.start("train-gan", len(steps))
    with _tuned_convolutions(on_gpu), closing(batches):
        for step, batch in zip(steps, batches, strict=True):
            rate = learning_rate(
                step, length.total_steps, base=config.learning_rate, constant_fraction=config.constant_fraction
            )
            losses = gan.step(batch.synthetic, batch.real, index=step, learning_rate=rate, classes=batch.classes)
            window.add(losses)
            done = step + 1
            last = done == length.stop_step
            pace.tick(done)

            # Reading a loss waits for the GPU, therefore once per window there; on a CPU every step is looked at.
            logs = done % config.log_every_steps == 0 or last
            if logs:
                means = window.close(team)
                _refuse_nonsense(means, gan, done, plan)
                last_metrics = means
                recorder.metrics(done, {**means, "learning_rate": rate, "pairs_per_s": pace.pairs_per_s(done)})
                guard.look(done, means)
            elif not on_gpu:
                _refuse_nonsense(window.latest(), gan, done, plan)
            if team.leads and (done % config.sample_every_steps == 0 or last):
                recorder.samples(done, sample_grid(gan.samples(*shown)))
            improved = watch.due(done) and _evaluated(gan, watch, plan, done, recorder)
            due = time.monotonic() - saved_at > 60 * config.checkpoint_every_minutes
            if team.size > 1:  # all must save at one step: the leader's clock counts, and is asked now and then
                due = logs and team.tell(due)
            if due or done % config.checkpoint_every_steps == 0 or last or improved:
                _refuse_nonsense({}, gan, done, plan)
                _save(gan, watch, guard, plan, folder, done)
                saved_at = time.monotonic()
            progress.advance()
    if not steps:
        _save(gan, watch, guard, plan, folder, first)
    return TrainingResult(
        max(first, length.stop_step), length.total_steps, last_metrics, pace.seconds_per_step, watch.last, watch.best
    )


def _evaluated(gan: CycleGan, watch: Watch, plan: TrainingPlan, step: int, recorder: Recorder) -> bool:
    """Whether the generators are now the best so far; the leader of a team looks, and all know."""
    _refuse_nonsense({}, gan, step, plan)
    team, improved = plan.placement.team, False
    if team.leads:
        evaluation, improved = watch.look(gan, step)
        recorder.evaluation(step, evaluation.values, improved)
    return bool(team.tell(improved))


class _Window:
    """Sums of the losses since the last line of metrics, kept on the device."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._latest: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()  # a term need not come in every step

    def add(self, losses: dict[str, Tensor]) -> None:
        self._latest = losses
        self._sums |= {name: self._sums[name] + loss if name in self._sums else loss for name, loss in losses.items()}
        self._counts.update(losses.keys())

    def latest(self) -> dict[str, float]:
        return _to_numbers(self._latest)

    def close(self, team: Team) -> dict[str, float]:
        """The means, over the team too; a new window begins."""
        sums = {name: total.clone() for name, total in self._sums.items()}
        team.average(list(sums.values()))
        means = {name: total / self._counts[name] for name, total in _to_numbers(sums).items()}
        self._sums, self._counts = {}, Counter()
        return means


class _Pace:
    """Measures the first steps after warming up and tells how long the rest will take."""

    def __init__(self, plan: TrainingPlan, first: int, recorder: Recorder, progress: Progress) -> None:
        self._plan, self._first, self._recorder, self._progress = plan, first, recorder, progress
        todo = plan.length.stop_step - first
        self._begin = first + min(_WARM_UP_STEPS, max(0, todo - 1))
        self._end = min(self._begin + _TIMED_STEPS, plan.length.stop_step)
        self._logged_at, self._logged_step = time.perf_counter(), first
        self._began_at = self._logged_at
        self.seconds_per_step: float | None = None

    def tick(self, done: int) -> None:
        if done == self._begin:
            self._began_at = self._now()
        if done == self._end:
            self.seconds_per_step = (self._now() - self._began_at) / (self._end - self._begin)
            self._announce(done)

    def pairs_per_s(self, done: int) -> float:
        """Pairs per second since the last call."""
        now = time.perf_counter()
        pairs = self._plan.batch * self._plan.placement.team.size * (done - self._logged_step)
        pace = pairs / max(now - self._logged_at, 1e-9)
        self._logged_at, self._logged_step = now, done
        return round(pace, 4)

    def _now(self) -> float:
        if self._plan.placement.device.type == "cuda":
            torch.cuda.synchronize(self._plan.placement.device)
        return time.perf_counter()

    def _announce(self, done: int) -> None:
        plan, pace = self._plan, self.seconds_per_step or 0.0
        left = plan.length.stop_step - done
        text = (
            f"{describe(plan.placement.device, plan.placement.precision)}: {pace:.3g} s per step of {plan.batch} "
            f"at {plan.crop_px}x{plan.crop_px}, {_peak_memory(plan.placement.device)}; "
            f"the {left:,} steps left of this call take about {_duration(pace * left)}"
        )
        if plan.length.stop_step < plan.length.total_steps:
            text += f", all {plan.length.total_steps:,} about {_duration(pace * plan.length.total_steps)}"
        self._progress.message(text)
        if pace * left > 3600 * _LONG_HOURS:
            self._recorder.warn(
                f"this training takes about {_duration(pace * left)}; fewer --steps, a smaller --crop, "
                "--generator resnet6 or a CUDA device shorten it, --stop-after and --resume divide it"
            )


def _take_up(
    gan: CycleGan,
    watch: Watch,
    guard: InversionGuard,
    plan: TrainingPlan,
    folder: Path,
    recorder: Recorder,
    progress: Progress,
) -> int:
    """Restore the checkpoint where there is one; the number of steps done."""
    state = load_checkpoint(folder)
    if state is None:
        _settle_best(gan, watch, plan, folder, 0)
        return 0
    step, total = int(state["step"]), int(state["total_steps"])
    try:
        gan.restore(state["gan"])
        watch.restore(state["watch"])
        guard.restore(state["guard"])
    except (KeyError, ValueError, RuntimeError) as error:
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
    if state["precision"] != plan.placement.precision or state["torch"] != str(torch.__version__):
        recorder.warn(
            f"begun with torch {state['torch']} in {state['precision']}, going on with {torch.__version__} in "
            f"{plan.placement.precision}: the result may differ from that of an uninterrupted run"
        )
    recorder.resumed(step)
    _settle_best(gan, watch, plan, folder, step)
    return step


def _save(gan: CycleGan, watch: Watch, guard: InversionGuard, plan: TrainingPlan, folder: Path, step: int) -> None:
    """The checkpoint and, from the same moment, both generators, raw and averaged; also as the best, if they are."""
    state = {
        "step": step,
        "total_steps": plan.length.total_steps,
        "precision": plan.placement.precision,
        "gan": gan.state(),
        "watch": watch.state(),
        "guard": guard.state(),
    }
    if not plan.placement.team.leads:
        return
    save_checkpoint(folder, state)
    _save_generators(gan, plan, folder, step, "")
    if gan.averages:
        _save_generators(gan, plan, folder, step, "ema")
    if watch.best and watch.best.step == step:
        _save_generators(gan, plan, folder, step, _best_variant(gan))


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


def _settle_best(gan: CycleGan, watch: Watch, plan: TrainingPlan, folder: Path, step: int) -> None:
    """Make the best generators on disk those that the checkpoint of `step` knows of.

    They are written after it: a kill in between leaves them missing, but they are then the checkpoint's own. Where an
    older checkpoint was put back, they may be of a later step; such files go, and the best is sought anew.
    """
    if not plan.placement.team.leads:
        return
    paths = [folder / generator_file_name(direction, _best_variant(gan)) for direction in _MEMBERS]
    if watch.best and watch.best.step == step:
        _save_generators(gan, plan, folder, step, _best_variant(gan))
    elif not watch.best or not all(path.is_file() and read_card(path).steps == watch.best.step for path in paths):
        watch.best = None
        for path in paths:
            path.unlink(missing_ok=True)


def _refuse_nonsense(losses: Mapping[str, float], gan: CycleGan, step: int, plan: TrainingPlan) -> None:
    """Raise where a loss, or with no losses given a weight, is not finite; the last checkpoint stays as it was."""
    bad = sorted(name for name, value in losses.items() if not math.isfinite(value))
    if not losses and not gan.is_finite():
        bad = ["a weight"]
    if bad:
        remedy = "" if plan.placement.precision == "fp32" else " --precision fp32 or"
        raise GarbageSynthError(
            f"training broke at step {step:,}: {', '.join(bad)} is not finite; try{remedy} a smaller learning rate "
            f"(--set learning_rate={plan.config.learning_rate / 2:g}); the last checkpoint is from before"
        )


def _to_numbers(values: dict[str, Tensor]) -> dict[str, float]:
    """The scalars in one transfer from the device."""
    return dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))


@contextmanager
def _tuned_convolutions(on_gpu: bool) -> Iterator[None]:
    """cuDNN tries its algorithms once per shape; the shapes of a training never change."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or on_gpu
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _peak_memory(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated(device) / 2**30:.2g} GB of GPU memory"
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30:.2g} GB of memory"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
