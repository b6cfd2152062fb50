"""The training from first to last step: pace, metrics, samples, checkpoints, and refusal to go on with nonsense."""

import math
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from garbage_synth.compute.device import cudnn
from garbage_synth.core.progress import Progress
from garbage_synth.errors import GarbageSynthError
from garbage_synth.gan.best import Evaluation
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.data import CropStream, Domain, centre_crops, stream_batches
from garbage_synth.gan.evaluation import Evaluator, LabelWitness, fixed_crops
from garbage_synth.gan.guards import InversionGuard, SegmenterNews
from garbage_synth.gan.inception import InceptionDistances
from garbage_synth.gan.pace import Pace, Window
from garbage_synth.gan.pixels import sample_grid
from garbage_synth.gan.run_files import Run, save, take_up
from garbage_synth.gan.schedule import learning_rate
from garbage_synth.gan.training_plan import Recorder, TrainingPlan
from garbage_synth.gan.watch import Watch

__all__ = ["TrainingResult", "train"]


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
    run = Run(gan, watch, InversionGuard(config), Window())
    first = take_up(run, plan, folder, recorder, progress)

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

    pace = Pace(plan, first, recorder, progress)
    news = SegmenterNews(config.labels.segmenter_min_dice, progress)
    last_metrics: dict[str, float] = {}
    saved_at = time.monotonic()
    progress.start("train-gan", len(steps))
    with cudnn(benchmark=True), closing(batches):  # the shapes of a training never change
        for step, batch in zip(steps, batches, strict=True):
            rate = learning_rate(
                step, length.total_steps, base=config.learning_rate, constant_fraction=config.constant_fraction
            )
            losses = gan.step(batch.synthetic, batch.real, index=step, learning_rate=rate, classes=batch.classes)
            run.window.add(losses)
            done = step + 1
            last = done == length.stop_step
            pace.tick(done)

            # Reading a loss waits for the GPU, therefore once per window there; on a CPU every step is looked at.
            full = done % config.log_every_steps == 0
            logs = full or last
            if logs:
                means = run.window.means(team)
                _refuse_nonsense(means, gan, done, plan)
                last_metrics = means
                recorder.metrics(done, {**means, "learning_rate": rate, "pairs_per_s": pace.pairs_per_s(done)})
                news.look(done, means)
            elif not on_gpu:
                _refuse_nonsense(run.window.latest(), gan, done, plan)
            if full:  # not where a call ends in between: a resumed training must go on as if it had not
                run.window.clear()
                run.guard.look(done, means)
            if team.leads and (done % config.sample_every_steps == 0 or last):
                recorder.samples(done, sample_grid(gan.samples(*shown)))
            improved = watch.due(done) and _evaluated(gan, watch, plan, done, recorder)
            due = time.monotonic() - saved_at > 60 * config.checkpoint_every_minutes
            if team.size > 1:  # all must save at one step: the leader's clock counts, and is asked now and then
                due = logs and team.tell(due)
            if due or done % config.checkpoint_every_steps == 0 or last or improved:
                _refuse_nonsense({}, gan, done, plan)
                save(run, plan, folder, done)
                saved_at = time.monotonic()
            progress.advance()
    if length.stop_step == length.total_steps:
        news.end(recorder)
    if not steps:
        save(run, plan, folder, first)
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
