"""`train-gan`: a CycleGAN between two unpaired folders of pictures, resumable at every checkpoint."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.compute.checkpoint import checkpoint_steps
from garbage_synth.compute.device import (
    choose_acceleration,
    choose_device,
    choose_precision,
    computing_threads,
    describe,
    is_out_of_memory,
    out_of_memory,
)
from garbage_synth.config.base import dump_config
from garbage_synth.config.gan import GanConfig
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.errors import GarbageSynthError, InputError
from garbage_synth.gan.data import Domain
from garbage_synth.gan.generator_file import generator_file_name
from garbage_synth.gan.inception import InceptionDistances
from garbage_synth.gan.networks import (
    DISCRIMINATOR_MIN_SIDE,
    GENERATOR_BLOCKS,
    SIDE_MULTIPLE,
    WARP_GENERATORS,
    WARP_LAYOUT,
    GeneratorSpec,
    count_parameters,
)
from garbage_synth.gan.placement import Placement
from garbage_synth.gan.probe import graphs_fail
from garbage_synth.gan.schedule import resolve_length
from garbage_synth.gan.team import joined_team, local_device
from garbage_synth.gan.training_loop import TrainingResult, train
from garbage_synth.gan.training_plan import TrainingPlan
from garbage_synth.io.atomic import write_text
from garbage_synth.io.dataset import read_dataset, split_files
from garbage_synth.io.folders import require_folder
from garbage_synth.io.images import list_images, read_rgb
from garbage_synth.io.output import SETTINGS_FILE, OutputFolder, fingerprint, open_output
from garbage_synth.io.resize import parse_resize, resize_rgb, short_side_wh
from garbage_synth.stages.class_maps import ClassMaps, read_class_maps
from garbage_synth.stages.train_gan_labels import LabelledFrames, annotation_file, labelled_frames
from garbage_synth.stages.train_gan_record import Board, RunRecorder, finite, newest_sample, require_tensorboard

__all__ = ["train_gan"]

_FEW_IMAGES = 100
_SIZE_RATIO = 1.5


def train_gan(
    synthetic: Path,
    real: Path,
    out: Path,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    stop_after: int | None = None,
    crop: int = 256,
    resize: str | None = None,
    generator: str = "resnet9",
    batch: int = 1,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    config: GanConfig | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Train generators in both directions between `synthetic` and `real`; leave them in the run folder `out`.

    synthetic, real: a dataset, of which the pictures of its train split are taken, or any folder of pictures, searched
    to its depth. The masks of a synthetic dataset let the training keep items where they are (`config.labels`).
    epochs or steps: the whole length, to which the learning rate refers (default 200 epochs); an epoch shows every
    picture of the larger domain once. stop_after: write a checkpoint and end after so many steps of this call; resuming
    with the same total gives what an uninterrupted run gives. crop: side of the random crops in pixels, a multiple of 4
    from 32. resize: "short:P" brings the shorter side of every picture to P pixels first; refine will do the same.
    generator: resnet9 or resnet6, the paper's; warp or warp6, which deform the picture and add to it, and whose labels
    go along. batch: pairs per step. device: auto, cpu, cuda or cuda:<index>. precision: auto, fp32 or bf16.
    Started by torchrun, its processes train one CycleGAN, each with `batch` pairs a step on its own GPU or on the CPU.

    The run folder: generator_synthetic_to_real.safetensors and generator_real_to_synthetic.safetensors, their averages
    beside them as *_ema.safetensors, those judged best as *_best_ema.safetensors, checkpoint.pt, stats.jsonl,
    curves.png, samples/, config.yaml.

    Raises InputError for wrong values, fewer than 2 pictures in a domain or a picture that cannot be read (all are
    read before the training begins), GarbageSynthError where the training breaks or memory runs out.
    """
    chosen = choose_device(local_device(device))
    team = joined_team(chosen)
    progress = progress if progress and team.leads else NullProgress()
    config = config or GanConfig()
    if config.tensorboard:
        require_tensorboard()
    if config.inception and config.evaluate_every_steps:
        InceptionDistances(config.inception, chosen)  # refused now rather than at the first look
    spec = _spec(generator, config)
    _check_numbers(crop, batch, steps, epochs, stop_after)
    short_px = parse_resize(resize)
    placement = Placement(
        chosen,
        choose_precision(precision, chosen),
        choose_acceleration(config.accelerate, chosen, processes=team.size),
        team,
    )
    paths = {"synthetic": _pictures(synthetic, "synthetic"), "real": _pictures(real, "real")}
    if synthetic.resolve() == real.resolve():
        raise InputError(f"synthetic and real are the same folder, {real}; there is nothing to learn between them")
    maps = read_class_maps(synthetic, "train", paths["synthetic"]) if config.labels.needs_masks else None

    evaluated = annotation_file(synthetic) if config.evaluate_every_steps and config.evaluate_frames else None

    identity = {
        "batch": batch,
        "config": config.model_dump(mode="json", exclude=set(config.without_effect)),
        "crop": crop,
        "evaluated_labels": fingerprint([evaluated]) if evaluated else None,
        "generator": generator,
        "labels": fingerprint([maps.annotations] if maps else []),
        **({"layout": WARP_LAYOUT} if generator in WARP_GENERATORS else {}),
        **({"processes": team.size} if team.size > 1 else {}),
        "precision": precision,
        "real": fingerprint(paths["real"]),
        "resize": short_px,
        "seed": seed,
        "synthetic": fingerprint(paths["synthetic"]),
    }

    def opened(*, only_look: bool) -> OutputFolder:
        return open_output(
            out,
            stage="train-gan",
            identity=identity,
            inputs=[synthetic, real],
            overwrite=overwrite,
            resume=resume,
            dry_run=only_look,
            progress=None if only_look else progress,
        )

    found = None
    if team.leads:
        output = opened(only_look=True)
        steps_made = checkpoint_steps(out) if output.resuming or output.finished else None
        found = steps_made, output.numbers if output.finished else None
    earlier, finished = team.tell(found)
    per_epoch = -(-max(len(members) for members in paths.values()) // (batch * team.size))
    length = resolve_length(
        epochs=epochs, steps=steps, stop_after=stop_after, steps_per_epoch=per_epoch, earlier=earlier
    )
    if finished is not None and earlier == (length.total_steps, length.total_steps):
        return StageSummary("train-gan", out, finished, open_file=_worth_seeing(out))

    recorder = RunRecorder(out if team.leads else None, progress)
    for name, members in paths.items():
        if len(members) < _FEW_IMAGES:
            recorder.warn(f"the {name} domain has {len(members)} pictures; a CycleGAN wants at least {_FEW_IMAGES}")
    if config.labels.needs_masks:
        progress.message(_label_terms(maps, synthetic))
    domains = _read_domains(paths, short_px, crop, config, maps, recorder, progress)
    frames = (
        labelled_frames(synthetic, config.evaluate_frames, partial(_resized, short_px=short_px)) if evaluated else None
    )
    numbers: dict[str, Any] = {
        "crop_px": crop,
        "device": describe(chosen, placement.precision),
        "images_real": len(paths["real"]),
        "images_synthetic": len(paths["synthetic"]),
        "label_classes": len(maps.names) if maps else 0,
        "resize_short_px": short_px,
        "steps": earlier[0] if earlier else 0,
        "steps_per_epoch": per_epoch,
        "total_steps": length.total_steps,
    }
    plan = TrainingPlan(
        spec=spec,
        config=config,
        length=length,
        placement=placement,
        crop_px=crop,
        batch=batch,
        resize_short_px=short_px,
        seed=seed,
    )
    if dry_run:
        progress.message(_intent(plan, paths))
        return StageSummary("train-gan", out, numbers, tuple(recorder.warnings))

    if team.leads:
        output = opened(only_look=False)
        output.begin()  # also where a finished run is made longer
        write_text(out / SETTINGS_FILE, dump_config(config))
        if config.tensorboard:
            recorder.board = Board(out, first=earlier[0] if earlier else 0)
    team.tell(None)  # the folder is ready for all
    reason = graphs_fail(placement) if placement.graphed else None
    if reason:
        recorder.warn(f"steps are started one by one, since CUDA graphs cannot be used here: {reason}")
        plan = replace(plan, placement=replace(placement, acceleration="none"))
    with computing_threads(config.threads):
        numbers["device"] = describe(chosen, placement.precision)
        progress.message(_intent(plan, paths))
        result = _train(plan, domains, frames, out, recorder, progress)
    if recorder.board:
        recorder.board.close()
    numbers |= {"losses": dict(result.metrics), "seconds_per_step": result.seconds_per_step, "steps": result.steps}
    if result.last and result.best:
        numbers |= {"evaluation": finite(result.last.values), "best": finite(result.best.values)}
        numbers["best_step"] = result.best.step
    if not team.leads:
        return StageSummary("train-gan", out, numbers)
    if result.steps < result.total_steps:
        progress.message(f"stopped after {result.steps:,} of {result.total_steps:,} steps; --resume goes on")
    else:
        output.finish(numbers)
    return StageSummary("train-gan", out, numbers, tuple(recorder.warnings), _worth_seeing(out))


def _spec(generator: str, config: GanConfig) -> GeneratorSpec:
    if generator not in GENERATOR_BLOCKS:
        raise InputError(f"--generator {generator!r} is unknown; give {' or '.join(GENERATOR_BLOCKS)}")
    return GeneratorSpec(generator, config.base_channels, config.warp_max_px if generator in WARP_GENERATORS else 0.0)


def _check_numbers(crop: int, batch: int, steps: int | None, epochs: int | None, stop_after: int | None) -> None:
    """Refuse what can be refused before any file is read."""
    if crop < DISCRIMINATOR_MIN_SIDE or crop % SIDE_MULTIPLE:
        raise InputError(f"--crop {crop} must be a multiple of {SIDE_MULTIPLE}, at least {DISCRIMINATOR_MIN_SIDE}")
    if batch < 1:
        raise InputError(f"--batch {batch} must be at least 1")
    resolve_length(epochs=epochs, steps=steps, stop_after=stop_after, steps_per_epoch=1, earlier=None)


def _pictures(folder: Path, domain: str) -> list[Path]:
    """The pictures of a domain: of a dataset's train split, else of the whole folder."""
    require_folder(folder, f"{domain} folder")
    paths = _train_split(folder) or list_images(folder, recursive=True)
    if len(paths) < 2:
        raise InputError(
            f"the {domain} folder {folder} holds {len(paths)} picture, at least 2 are needed (better {_FEW_IMAGES})"
        )
    return paths


def _train_split(folder: Path) -> list[Path] | None:
    """The pictures of a dataset's train split, None where the folder is no dataset with such a split."""
    if (folder / "images" / "train").is_dir():
        return list_images(folder / "images" / "train", recursive=True)
    try:
        files = split_files(folder)
    except InputError:
        return None  # a folder of pictures
    if "train" not in files:
        raise InputError(
            f"dataset {folder} has no split named train (it has {', '.join(files)}); give its image folder"
        )
    records = read_dataset(folder).splits["train"].images
    return [files["train"].locate(record.file_name) for record in records]


def _read_domains(
    paths: Mapping[str, Sequence[Path]],
    short_px: int | None,
    crop: int,
    config: GanConfig,
    maps: ClassMaps | None,
    recorder: RunRecorder,
    progress: Progress,
) -> dict[str, Domain]:
    """The domains, every picture read once; warns where their sizes do not fit each other or the crop."""

    def read(path: Path) -> NDArray[np.uint8]:
        return _resized(read_rgb(path), short_px=short_px)

    labels = partial(maps.read, short_px=short_px) if maps else None
    domains: dict[str, Domain] = {}
    sides: dict[str, float] = {}
    for name, members in paths.items():
        progress.start(f"reading {name} pictures", len(members))
        domains[name] = Domain(
            name,
            members,
            read,
            cache_bytes=int(config.cache_gb * 2**30 / 2),
            labels=labels if name == "synthetic" else None,
        )
        sizes = domains[name].check(threads=config.decode_threads, progress=progress)
        sides[name] = statistics.median((width * height) ** 0.5 for width, height in sizes)
        small = sum(min(size) < crop for size in sizes)
        if small:
            recorder.warn(
                f"{small} of {len(sizes)} {name} pictures are smaller than the crop of {crop} "
                "and are mirrored to fill it"
            )
    large, little = max(sides, key=sides.__getitem__), min(sides, key=sides.__getitem__)
    if sides[large] > _SIZE_RATIO * sides[little]:
        recorder.warn(
            f"the {large} pictures are {sides[large] / sides[little]:.1f} times as large as the {little} ones (about "
            f"{sides[large]:.0f} against {sides[little]:.0f} pixels a side): the generators will learn to change "
            "the size of things, and boxes will not fit; make them alike, or give --resize short:P"
        )
    return domains


def _label_terms(maps: ClassMaps | None, folder: Path) -> str:
    """What of the labels the training can hold on to."""
    if maps is None:
        return f"{folder} has no masks: the terms under config.labels are off, but for flip and match_occupancy"
    boxes = f", {maps.boxes} items without a mask as their whole box" if maps.boxes else ""
    return f"keeping the items of {len(maps.names)} classes where {maps.annotations} has them{boxes}"


def _resized(image_rgb: NDArray[np.uint8], *, short_px: int | None) -> NDArray[np.uint8]:
    """A picture at the size it is trained at."""
    if short_px is None:
        return image_rgb
    return resize_rgb(image_rgb, short_side_wh((image_rgb.shape[1], image_rgb.shape[0]), short_px))


def _intent(plan: TrainingPlan, paths: Mapping[str, Sequence[Path]]) -> str:
    epochs = plan.length.total_steps / plan.length.steps_per_epoch
    where = describe(plan.placement.device, plan.placement.precision)
    team = plan.placement.team
    others = f", in {team.size} processes of {plan.batch} pairs a step each" if team.size > 1 else ""
    millions = count_parameters(plan.spec.build()) / 1e6
    return (
        f"training {plan.spec.name} ({millions:.1f} M parameters a generator) on {len(paths['synthetic'])} synthetic "
        f"and {len(paths['real'])} real pictures for "
        f"{plan.length.total_steps:,} steps ({epochs:.3g} epochs) on {where}{others}; "
        "how long it takes, and how much memory, is told after the first steps"
    )


def _train(
    plan: TrainingPlan,
    domains: Mapping[str, Domain],
    frames: LabelledFrames | None,
    out: Path,
    recorder: RunRecorder,
    progress: Progress,
) -> TrainingResult:
    try:
        return train(
            plan,
            domains["synthetic"],
            domains["real"],
            witness=frames,
            folder=out,
            recorder=recorder,
            progress=progress,
        )
    except (RuntimeError, MemoryError, AssertionError) as error:
        if is_out_of_memory(error):
            graphs = ", --set accelerate=none" if plan.placement.graphed else ""
            raise out_of_memory(
                f"while training with --crop {plan.crop_px} --batch {plan.batch} on {plan.placement.device}",
                f"give a smaller --crop, --batch 1, --generator resnet6{graphs} or --precision bf16",
            ) from error
        if plan.placement.acceleration == "compile" or plan.placement.graphed:
            reason = " ".join(str(error).split())[:200]
            raise GarbageSynthError(
                f"an accelerated step failed ({reason}); go on with --resume --set accelerate=none"
            ) from error
        raise


def _worth_seeing(out: Path) -> Path:
    """The last sample picture, or the generator where there is none."""
    return newest_sample(out) or out / generator_file_name("synthetic-to-real")
