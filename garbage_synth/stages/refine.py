"""`refine`: every picture of a dataset through a trained generator, at its own size, with the same labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.base import dump_config
from garbage_synth.config.refine import RefineConfig
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.core.types import Dataset
from garbage_synth.errors import InputError
from garbage_synth.gan.device import (
    choose_device,
    choose_precision,
    computing_threads,
    describe,
    is_out_of_memory,
    out_of_memory,
)
from garbage_synth.gan.generator_file import Direction, find_generator, load_generator, read_card
from garbage_synth.io.atomic import write_bytes, write_json, write_text
from garbage_synth.io.dataset import read_dataset, read_document, split_files, write_annotations
from garbage_synth.io.images import encode_jpeg, encode_png, image_size, read_rgb
from garbage_synth.io.output import fingerprint, open_output
from garbage_synth.io.resize import resize_rgb, short_side_wh
from garbage_synth.refine.memory import MemoryPlan, free_bytes, refuse_oversize, whole_frame_bytes
from garbage_synth.refine.overlap import overlapped
from garbage_synth.refine.translate import Translator

__all__ = ["refine"]

_CARRIED_FILES = ("scenes.jsonl",)


@dataclass(frozen=True, slots=True)
class _Picture:
    """One picture to rewrite: where it is read, where it is written, its size."""

    source: Path
    target: Path
    size_wh: tuple[int, int]


def refine(
    dataset: Path,
    generator: Path,
    out: Path,
    *,
    direction: str = "synthetic-to-real",
    device: str = "auto",
    precision: str = "auto",
    config: RefineConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Write `dataset` to `out` with every picture rewritten and every label as it was.

    generator: a run folder of train-gan, of which the best averaged generator of `direction` is taken, else the
    averaged, else the raw one; or a generator file, which has a direction of its own. Pictures keep their names,
    sizes and kind (JPEG or PNG); annotations keep ids, boxes, masks and all further fields. A generator trained with
    --resize gets its pictures at that size, and they are scaled back after it. Pictures too large for
    `config.max_memory_gb` or, without it, for a quarter of the machine's memory are computed in bands of rows, which
    differs in rounding only.
    device: auto, cpu, cuda or cuda:<index>. precision: auto, fp32 or bf16.

    Raises InputError for a dataset or generator that cannot be used, a picture that is missing, of another size than
    its label file says or too large for the memory, all before anything is written.
    """
    progress = progress or NullProgress()
    config = config or RefineConfig()
    if direction not in get_args(Direction):
        raise InputError(f"--direction {direction!r} is unknown; give {' or '.join(get_args(Direction))}")
    chosen = choose_device(device)
    half = choose_precision(precision, chosen) == "bf16"
    weights = find_generator(generator, cast(Direction, direction))
    card = read_card(weights)
    loaded = read_dataset(dataset)
    pictures = _pictures(dataset, loaded, out)
    warnings: list[str] = []
    if card.direction != direction:
        warnings.append(
            f"generator {weights} is one for {card.direction}; --direction {direction} does not apply to a file"
        )
    if card.resize_short_px is not None:
        largest_short = max(min(picture.size_wh) for picture in pictures)
        if largest_short > card.resize_short_px:
            warnings.append(
                f"the generator was trained at --resize short:{card.resize_short_px}: pictures are made smaller "
                "for it and scaled back, which costs fine detail"
            )
    for warning in warnings:
        progress.message(f"warning: {warning}")
    allowed = None if config.max_memory_gb is None else int(config.max_memory_gb * 2**30)
    plan = MemoryPlan(card.base_channels, half, whole_frame_bytes(chosen) if allowed is None else allowed)
    sizes_wh = [_computed_wh(picture, card.resize_short_px) for picture in pictures]
    largest = max(range(len(pictures)), key=lambda index: plan.peak_bytes(sizes_wh[index]))
    limit = free_bytes(chosen) if allowed is None else allowed
    refuse_oversize(str(pictures[largest].source), sizes_wh[largest], plan, limit)
    in_bands = sum(plan.band_rows(size_wh) is not None for size_wh in sizes_wh)

    output = open_output(
        out,
        stage="refine",
        identity={
            "config": {"jpeg_quality": config.jpeg_quality},
            "dataset": fingerprint([dataset]),
            "direction": card.direction,
            "generator": fingerprint([weights]),
            # the largest ones: all that the memory decides, whether it was given or found
            "in_bands": in_bands,
            "precision": precision,
        },
        inputs=[dataset, generator],
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
    )
    numbers: dict[str, Any] = {
        "annotations": sum(len(split.annotations) for split in loaded.splits.values()),
        "device": describe(chosen, "bf16" if half else "fp32"),
        "generator": weights.name,
        "images": len(pictures),
        "in_bands": in_bands,
        "steps_trained": card.steps,
    }
    first = pictures[0].target
    if dry_run:
        return StageSummary("refine", out, numbers, tuple(warnings))
    if output.finished:
        return StageSummary("refine", out, output.numbers, tuple(warnings), first)

    write_text(out / "config.yaml", dump_config(config))
    network, _ = load_generator(weights)
    translator = Translator(
        network,
        device=chosen,
        half=half,
        band_rows=plan.band_rows,
        resize_in=None if card.resize_short_px is None else partial(_to_short_side, short_px=card.resize_short_px),
        resize_back=None if card.resize_short_px is None else resize_rgb,
    )
    todo = [picture for picture in pictures if not (output.resuming and picture.target.is_file())]
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
        _rewrite(todo, translator, config, progress)

    _carry_labels(dataset, loaded, out)
    write_json(
        out / "stats.json",
        {
            "annotations": numbers["annotations"],
            "direction": card.direction,
            "generator": weights.name,
            "images": {name: len(split.images) for name, split in sorted(loaded.splits.items())},
            "labels_checked": False,
            "steps_trained": card.steps,
        },
    )
    output.finish(numbers)
    return StageSummary("refine", out, numbers, tuple(warnings), first)


def _pictures(root: Path, dataset: Dataset, out: Path) -> list[_Picture]:
    """Every picture of the dataset, its header read."""
    pictures: list[_Picture] = []
    files = split_files(root)
    for name, split in dataset.splits.items():
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
            pictures.append(_Picture(source, out / "images" / name / record.file_name, size_wh))
    if not pictures:
        raise InputError(f"dataset {root} lists no picture")
    return pictures


def _carry_labels(root: Path, dataset: Dataset, out: Path) -> None:
    """The labels of the dataset beside the new pictures: COCO files byte for byte where they are complete."""
    formats = ("coco", "yolo") if (root / "data.yaml").is_file() or (root / "labels").is_dir() else ("coco",)
    write_annotations(out, dataset, formats=formats)
    for name, files in split_files(root).items():
        if all("width" in image and "height" in image for image in read_document(files.annotations)["images"]):
            write_bytes(out / "annotations" / f"instances_{name}.json", files.annotations.read_bytes())
    for name in _CARRIED_FILES:
        if (root / name).is_file():
            write_bytes(out / name, (root / name).read_bytes())


def _computed_wh(picture: _Picture, short_px: int | None) -> tuple[int, int]:
    """Size of the picture in the generator."""
    return picture.size_wh if short_px is None else short_side_wh(picture.size_wh, short_px)


def _rewrite(pictures: Sequence[_Picture], translator: Translator, config: RefineConfig, progress: Progress) -> None:
    def read(picture: _Picture) -> NDArray[np.uint8]:
        return read_rgb(picture.source)

    def write(picture: _Picture, image_rgb: NDArray[np.uint8]) -> None:
        write_bytes(picture.target, _encode(picture.target, image_rgb, config.jpeg_quality))

    progress.start("refine", len(pictures))
    done = overlapped(
        pictures,
        read=read,
        work=translator,
        write=write,
        read_threads=config.decode_threads,
        write_threads=config.encode_threads,
    )
    try:
        for _ in done:
            progress.advance()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(
            "while rewriting pictures", "give --max-memory less, --precision bf16 or --device cpu"
        ) from error


_ENCODED_SUFFIXES = (".jpeg", ".jpg", ".png")


def _encode(path: Path, image_rgb: NDArray[np.uint8], jpeg_quality: int) -> bytes:
    return encode_png(image_rgb) if path.suffix.lower() == ".png" else encode_jpeg(image_rgb, jpeg_quality)


def _to_short_side(image_rgb: NDArray[np.uint8], short_px: int) -> NDArray[np.uint8]:
    return resize_rgb(image_rgb, short_side_wh((image_rgb.shape[1], image_rgb.shape[0]), short_px))
