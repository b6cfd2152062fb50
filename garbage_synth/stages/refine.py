"""`refine`: every picture of a dataset through a trained generator, at its own size, with labels that are checked."""

import json
import math
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.compute.device import (
    choose_device,
    choose_precision,
    computes_bf16,
    computing_threads,
    cudnn,
    describe,
    is_out_of_memory,
    out_of_memory,
)
from garbage_synth.config.base import dump_config
from garbage_synth.config.refine import RefineConfig
from garbage_synth.core.masks import area_of_segmentation
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.core.types import Annotation, Dataset
from garbage_synth.errors import InputError
from garbage_synth.fidelity.check import LabelCheck
from garbage_synth.formats import coco, yolo
from garbage_synth.gan.generator_file import Direction, find_generator, load_generator, read_card
from garbage_synth.io.atomic import write_json, write_text
from garbage_synth.io.dataset import read_dataset, split_files
from garbage_synth.io.images import image_size
from garbage_synth.io.output import SETTINGS_FILE, OutputFolder, fingerprint, open_output
from garbage_synth.io.resize import resize_rgb, short_side_wh
from garbage_synth.refine.memory import MemoryPlan, free_bytes, refuse_oversize, whole_frame_bytes
from garbage_synth.refine.overlap import overlapped
from garbage_synth.refine.translate import Translator
from garbage_synth.run.local import available_workers
from garbage_synth.stages.label_verdicts import OnDrift
from garbage_synth.stages.refine_join import SHEET_PICTURES, has_yolo, join_labels, remove_records
from garbage_synth.stages.refine_picture import FinishPicture, Picture, Rewritten, WorstRows, read_picture

__all__ = ["refine"]

CHECK_BYTES_PER_PX = 120  # of one label check with its two pictures; 80 were measured at 4K with 40 labels


def refine(
    dataset: Path,
    generator: Path,
    out: Path,
    *,
    direction: str = "synthetic-to-real",
    on_drift: str = "adjust",
    drop_rejected: bool = False,
    device: str = "auto",
    precision: str = "auto",
    config: RefineConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Write `dataset` to `out` with every picture rewritten and every label checked against the new pixels.

    generator: a run folder of train-gan, of which the best averaged generator of `direction` is taken, else the
    averaged, else the raw one; or a generator file, which has a direction of its own. Pictures keep their names,
    sizes and kind (JPEG or PNG); annotations keep ids, boxes, masks and all further fields. A generator trained with
    --resize gets its pictures at that size; what it changes is scaled back and done to the pictures at their own, whose
    finer detail stays. Where the generator tells how it deforms a picture, labels follow it to the pixel before they
    are checked, but for on_drift "keep". Pictures too large for `config.max_memory_gb` or, without it, for a quarter of
    the machine's memory are computed in bands of rows, which differs in rounding only.

    on_drift: "adjust" moves labels by the measured motion and leaves those out whose item is gone; "drop" leaves both
    out; "keep" never changes a label; "fail" changes none for what was measured, and the summary is not ok where one
    does not hold. Under adjust and drop, a picture that lost too many of its items is rejected: it keeps its old pixels
    and labels, or, with drop_rejected, is left out. What was found stands in `fidelity` of every annotation and
    picture, the rates in stats.json, the worst pictures in label_check.jpg. A picture that cannot be decoded is left
    out, and the summary is not ok.
    device: auto, cpu, cuda or cuda:<index>. precision: auto, fp32 or bf16.

    Raises InputError for a dataset or generator that cannot be used, a picture that is missing, of another size than
    its label file says or too large for the memory, all before anything is written.
    """
    progress = progress or NullProgress()
    config = config or RefineConfig()
    if direction not in get_args(Direction):
        raise InputError(f"--direction {direction!r} is unknown; give {' or '.join(get_args(Direction))}")
    if on_drift not in get_args(OnDrift):
        raise InputError(f"--on-drift {on_drift!r} is unknown; give {', '.join(get_args(OnDrift))}")
    if drop_rejected and (on_drift in ("keep", "fail") or not config.check):
        cause = f"--on-drift {on_drift}" if config.check else "check=false"
        raise InputError(f"--drop-rejected does nothing with {cause}, which rejects no picture; leave one of them out")
    chosen = choose_device(device)
    half, native = choose_precision(precision, chosen) == "bf16", computes_bf16(chosen)
    weights = find_generator(generator, cast(Direction, direction))
    card = read_card(weights)
    stays = on_drift == "keep" and card.spec.deforms  # decides whether labels follow the generator
    if on_drift != "adjust" and not (config.check or stays):
        raise InputError(f"--on-drift {on_drift} does nothing with check=false; leave one of them out")
    loaded = read_dataset(dataset)
    pictures = _pictures(dataset, loaded, out)
    _check_annotations(dataset, loaded)
    warnings: list[str] = []
    if card.direction != direction:
        warnings.append(
            f"generator {weights} is one for {card.direction}; --direction {direction} does not apply to a file"
        )
    if card.resize_short_px is not None:
        largest_short = max(min(picture.size_wh) for picture in pictures)
        if largest_short > card.resize_short_px:
            warnings.append(
                f"the generator was trained at --resize short:{card.resize_short_px}: what it makes of "
                "smaller pictures is scaled up, and detail finer than that stays as it is in the dataset"
            )
    if on_drift == "keep" and card.spec.deforms:
        warnings.append(
            f"--on-drift keep leaves labels where they were, though the generator moves things by up to "
            f"{card.warp_max_px:g} pixels along each axis; the other choices let labels follow it"
        )
    if half and not native:
        warnings.append(
            f"{chosen} does not compute in bfloat16: --precision bf16 is emulated, which is slow and takes several "
            "times the memory; fp32 is better here"
        )
    for warning in warnings:
        progress.message(f"warning: {warning}")
    allowed = None if config.max_memory_gb is None else int(config.max_memory_gb * 2**30)
    check_bytes = CHECK_BYTES_PER_PX * max(math.prod(picture.size_wh) for picture in pictures) if config.check else 0
    # a label check runs beside the generator; what is allowed is theirs together where they share a memory
    shared_bytes = check_bytes if allowed is not None and chosen.type == "cpu" else 0
    whole = whole_frame_bytes(chosen) if allowed is None else max(0, allowed - shared_bytes)
    plan = MemoryPlan(card.base_channels, half, whole)
    sizes_wh = [_computed_wh(picture, card.resize_short_px) for picture in pictures]
    largest, computed_wh = max(
        zip(pictures, sizes_wh, strict=True), key=lambda pair: plan.peak_bytes(pair[1], pair[0].size_wh)
    )
    limit = free_bytes(chosen) if allowed is None else allowed
    refuse_oversize(str(largest.source), computed_wh, plan, limit, largest.size_wh, shared_bytes, bf16_helps=native)
    left = None
    if allowed is not None and chosen.type == "cpu":
        left = allowed - plan.peak_bytes(computed_wh, largest.size_wh)
    write_threads = config.encode_threads or _check_threads(check_bytes, left)
    in_bands = sum(plan.band_rows(size_wh) is not None for size_wh in sizes_wh)

    identity = {
        "config": config.model_dump(mode="json", include={"check", "fidelity", "jpeg_quality"}),
        "dataset": fingerprint([dataset, *([] if dataset.is_dir() else sorted(own.source for own in pictures))]),
        "direction": card.direction,
        "drop_rejected": drop_rejected,
        "on_drift": on_drift,
        "generator": fingerprint([weights]),
        # the largest ones: all that the memory decides, whether it was given or found
        "in_bands": in_bands,
        "precision": "bf16" if half else "fp32",
    }

    def opened(*, only_look: bool) -> OutputFolder:
        return open_output(
            out,
            stage="refine",
            identity=identity,
            inputs=[dataset, generator, *sorted({picture.source.parent for picture in pictures})],
            overwrite=overwrite,
            resume=resume,
            dry_run=only_look,
            progress=progress if only_look == dry_run else None,  # said once
        )

    output = opened(only_look=True)
    numbers: dict[str, Any] = {
        "annotations": sum(len(split.annotations) for split in loaded.splits.values()),
        "device": describe(chosen, "bf16" if half else "fp32"),
        "generator": weights.name,
        "images": len(pictures),
        "in_bands": in_bands,
        "steps_trained": card.steps,
    }
    first = pictures[0].target
    if output.finished and not dry_run:
        remove_records(out)  # of a run that was killed between its end and its tidying up
        return StageSummary("refine", out, output.numbers, tuple(warnings), first, bool(output.numbers.get("ok", True)))
    network, _ = load_generator(weights)
    if dry_run:
        return StageSummary("refine", out, numbers, tuple(warnings))

    output = opened(only_look=False)
    write_text(out / SETTINGS_FILE, dump_config(config))
    translator = Translator(
        network,
        device=chosen,
        half=half,
        band_rows=plan.band_rows,
        resize=None if card.resize_short_px is None else partial(_to_short_side, short_px=card.resize_short_px),
    )
    finish = FinishPicture(
        out,
        LabelCheck(config.fidelity) if config.check else None,
        cast(OnDrift, on_drift),
        drop_rejected,
        config.jpeg_quality,
        WorstRows(SHEET_PICTURES),
    )
    todo = [picture for picture in pictures if not (output.resuming and finish.takes_up(picture))]
    with computing_threads(config.threads):
        numbers["device"] = describe(chosen, "bf16" if half else "fp32")
        progress.message(
            f"rewriting {len(todo)} of {len(pictures)} pictures with {weights.name} on {numbers['device']}"
        )
        if in_bands:
            progress.message(
                f"{in_bands} of {len(pictures)} pictures are computed in bands of rows: whole they would take more "
                f"than {(plan.whole_frame_bytes or 0) / 2**30:.2g} GB"
            )
        speed = _rewrite(todo, translator, finish, config.decode_threads, write_threads, progress)

    outcome = join_labels(dataset, loaded, out, pictures, cast(OnDrift, on_drift), drop_rejected)
    images = sum(outcome.numbers["images"].values())
    numbers |= {**outcome.numbers, **speed, "images": images, "ok": outcome.ok}
    write_json(
        out / "stats.json",
        {
            **outcome.numbers,
            "direction": card.direction,
            "generator": weights.name,
            "labels_checked": config.check,
            "steps_trained": card.steps,
        },
    )
    output.finish(numbers)
    remove_records(out)
    for warning in outcome.warnings:
        progress.message(f"warning: {warning}")
    shown = next((picture.target for picture in pictures if picture.target.is_file()), None)
    return StageSummary("refine", out, numbers, (*warnings, *outcome.warnings), shown, outcome.ok)


def _pictures(root: Path, dataset: Dataset, out: Path) -> list[Picture]:
    """Every picture of the dataset, its header read."""
    pictures: list[Picture] = []
    files = split_files(root)
    for name, split in dataset.splits.items():
        own: dict[int, list[Annotation]] = {record.id: [] for record in split.images}
        for annotation in split.annotations:
            own[annotation.image_id].append(annotation)
        for record in split.images:
            source = files[name].locate(record.file_name)
            if source.suffix.lower() not in _ENCODED_SUFFIXES:
                raise InputError(
                    f"picture {source} is neither JPEG nor PNG; convert it first, names in the labels included"
                )
            size_wh = image_size(source)
            if size_wh != (record.width, record.height):
                raise InputError(
                    f"picture {source} is {size_wh[0]}x{size_wh[1]} pixels, its labels were made for "
                    f"{record.width}x{record.height}; garbage-synth validate lists all defects"
                )
            target = out / "images" / name / record.file_name
            pictures.append(Picture(source, target, size_wh, name, record.id, tuple(own[record.id])))
    if not pictures:
        raise InputError(f"dataset {root} lists no picture")
    targets: dict[str, Picture] = {}
    for picture in pictures:
        other = targets.setdefault(os.path.normpath(picture.target), picture)
        if other is not picture:
            raise InputError(f"dataset {root} lists the picture {picture.source} twice; give every picture one entry")
    return pictures


def _check_annotations(root: Path, dataset: Dataset) -> None:
    """Refuse labels that could not be written at the end."""
    for name, split in dataset.splits.items():
        sizes = {record.id: (record.height, record.width) for record in split.images}
        for annotation in split.annotations:
            if annotation.segmentation:
                try:
                    area_of_segmentation(annotation.segmentation, sizes[annotation.image_id])
                except (ValueError, TypeError) as error:
                    raise InputError(
                        f"annotation {annotation.id} of split {name} in {root}: {error}; garbage-synth validate lists "
                        "all defects"
                    ) from error
        try:
            json.dumps(coco.encode(dataset, name), allow_nan=False)
        except ValueError as error:
            raise InputError(f"split {name} of {root} holds a number that is not finite: {error}") from error
    if has_yolo(root):
        yolo.encode(dataset)


def _computed_wh(picture: Picture, short_px: int | None) -> tuple[int, int]:
    """Size of the picture in the generator."""
    return picture.size_wh if short_px is None else short_side_wh(picture.size_wh, short_px)


def _check_threads(check_bytes: int, left_bytes: int | None) -> int:
    """One per core, as far as checks of check_bytes each fit into what is left; None = a quarter of the free memory."""
    if left_bytes is None:
        free = free_bytes(choose_device("cpu"))
        left_bytes = None if free is None else free // 4
    fitting = available_workers() if left_bytes is None or not check_bytes else left_bytes // check_bytes
    return max(1, min(available_workers(), fitting))


def _rewrite(
    pictures: Sequence[Picture],
    translator: Translator,
    finish: FinishPicture,
    read_threads: int,
    write_threads: int,
    progress: Progress,
) -> dict[str, Any]:
    """Rewrites the pictures; returns pictures per second and the seconds that each step took, which overlap."""
    spent = {"generator": 0.0}
    written_s: list[float] = []

    def work(before: NDArray[np.uint8] | InputError) -> Rewritten | InputError:
        start = time.perf_counter()
        after = before if isinstance(before, InputError) else (before, *translator(before))
        spent["generator"] += time.perf_counter() - start
        return after

    def write(picture: Picture, pixels: Rewritten | InputError) -> None:
        start = time.thread_time()
        finish(picture, pixels)
        written_s.append(time.thread_time() - start)  # += of several threads would lose some

    progress.start("refine", len(pictures))
    cv_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the pictures are what runs beside each other
    start = time.perf_counter()
    done = overlapped(
        pictures,
        read=read_picture,
        work=work,
        write=write,
        read_threads=read_threads,
        write_threads=write_threads,
    )
    try:
        with cudnn(deterministic=True):  # the same command gives the same bytes
            for _ in done:
                progress.advance()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(
            "while rewriting pictures", "give --max-memory less, --precision bf16 or --device cpu"
        ) from error
    finally:
        cv2.setNumThreads(cv_threads)
    spent |= {"all": time.perf_counter() - start, "check_and_write_cpu": sum(written_s)}
    return {
        "pictures_per_s": round(len(pictures) / spent["all"], 3) if pictures else 0.0,
        "step_seconds": {name: round(seconds, 2) for name, seconds in sorted(spent.items())},
    }


_ENCODED_SUFFIXES = (".jpeg", ".jpg", ".png")


def _to_short_side(image_rgb: NDArray[np.uint8], short_px: int) -> NDArray[np.uint8]:
    return resize_rgb(image_rgb, short_side_wh((image_rgb.shape[1], image_rgb.shape[0]), short_px))
