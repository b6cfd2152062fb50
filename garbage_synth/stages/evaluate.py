"""`evaluate`: how well a detector of `train-detector` finds the items of a labelled dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from garbage_synth.compute.device import choose_device, describe, is_out_of_memory, out_of_memory
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.core.types import Dataset, Split
from garbage_synth.detect.class_match import ClassMatch, all_as_one, match_classes
from garbage_synth.detect.detections import Detections
from garbage_synth.detect.detector import DETECTOR_FILE, Detector, load_detector
from garbage_synth.detect.scores import Scores, score
from garbage_synth.errors import InputError
from garbage_synth.io.atomic import write_bytes, write_json
from garbage_synth.io.dataset import chosen_split, read_dataset, split_files
from garbage_synth.io.images import encode_jpeg, encode_png, read_rgb
from garbage_synth.io.output import fingerprint, open_output
from garbage_synth.io.pictures import locate_pictures
from garbage_synth.stages.evaluate_pictures import (
    draw_detections,
    draw_misses,
    draw_precision_recall,
    evenly,
    worst,
)

__all__ = ["YARDSTICK", "evaluate"]

YARDSTICK = "a small detector that compares datasets; train what you deploy with a trainer of your own"
BATCH = 4
JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class _Truth:
    """The split that is scored. paths: image id -> picture; annotations: its COCO file."""

    name: str
    split: Split
    categories: Mapping[int, str]
    annotations: Path
    paths: Mapping[int, Path]


def evaluate(
    run: Path,
    truth: Path,
    out: Path | None = None,
    *,
    split: str | None = None,
    class_agnostic: bool = False,
    class_map: Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
    device: str = "auto",
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Score the detector of a run folder of train-detector (or of its file) on a labelled dataset: a yardstick.

    truth: a dataset folder or one COCO file beside its pictures. split: which of its splits; None = the only one, else
    test, else val. Classes are matched by name; class_map: names of the truth -> names of the detector where they
    differ. classes: names of the truth to score alone, which leaves their numbers as they are. class_agnostic: all
    classes are one, and of two detections that overlap the better stays; boxes that `classes` leaves out are ignored.

    numbers: ap (IoU 0.50 to 0.95), ap50, ap75 and ar100 as COCO has them, None where there is no box; ap_interval: the
    95 % interval of ap over the choice of pictures (see `detect.resampled`), None below 10 pictures; the four scores
    per_class, by_size and by_visible (see `detect.scores`); best_f1: the threshold of the best F1 at IoU 0.5;
    confusion: what items are taken for there.

    out: metrics.json (the numbers, the curves, the resampled APs), detections.json (COCO results with the category ids
    of the truth; class-agnostic ones with its first), precision_recall.png, detections.jpg (pictures evenly chosen) and
    misses.jpg (those with most boxes missed, false or of the wrong class, where there are any). Without it nothing is
    written.

    Raises InputError for a run, dataset, picture or split that cannot be used, for classes that do not match, and for
    the output as `open_output` does.
    """
    progress = progress or NullProgress()
    if out is None and (overwrite or resume):
        raise InputError("--overwrite and --resume are about the folder of --out; give one")
    if class_agnostic and class_map:
        raise InputError("--class-agnostic and --map contradict each other: names play no part where all are one")
    own = _truth(truth, split)
    chosen = choose_device(device)
    detector = load_detector(run, chosen)
    match = (
        all_as_one(own.categories, detector.class_names, classes=classes)
        if class_agnostic
        else match_classes(own.split, own.categories, detector.class_names, class_map=class_map, classes=classes)
    )
    about: dict[str, Any] = {
        "images": len(own.split.images),
        "annotations": sum(not one.iscrowd and one.category_id in match.of_category for one in own.split.annotations),
        "detector_classes": list(detector.class_names),
        "device": describe(chosen, "fp32"),
        "split": own.name,
        "yardstick": YARDSTICK,
    }
    warnings = _warnings(match, about)
    for warning in warnings:
        progress.message(f"warning: {warning}")
    settings = {
        "class_agnostic": class_agnostic,
        "class_map": dict(class_map or {}),
        "classes": None if classes is None else sorted(set(classes)),
        "split": own.name,
    }
    output = None
    if out is not None:
        sources = {
            "detector": fingerprint([run / DETECTOR_FILE if run.is_dir() else run]),
            "truth": fingerprint([own.annotations, *(path for _, path in sorted(own.paths.items()))]),
        }
        output = open_output(
            out,
            stage="evaluate",
            identity=sources | settings,
            inputs=[run, truth],
            beside=sorted({path.parent for path in own.paths.values()}),
            overwrite=overwrite,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
        )
    if dry_run:
        return StageSummary("evaluate", out, about, warnings)
    if output is not None and output.finished:
        return StageSummary("evaluate", out, output.numbers, warnings, _open_file(output.path))

    try:
        detections = _detect(detector, own, progress)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(f"while detecting on {chosen}", "give --device cpu") from error
    scores = score(own.split, detections, match)
    numbers = scores.numbers() | about
    if output is None:
        return StageSummary("evaluate", None, numbers, warnings)
    told = {key: value for key, value in numbers.items() if key != "device"}
    resampled = [None if np.isnan(value) else round(value, 5) for value in scores.resampled.tolist()]
    write_json(
        output.path / "metrics.json",
        told | {"ap_resampled": resampled, "curves": _curves(scores), "settings": settings},
    )
    write_json(output.path / "detections.json", _results(detections, match), compact=True)
    _draw(output.path, scores, own)
    output.finish(numbers)
    return StageSummary("evaluate", out, numbers, warnings, _open_file(output.path))


def _truth(root: Path, wanted: str | None) -> _Truth:
    dataset = read_dataset(root)
    name = chosen_split(root, dataset.splits, wanted, ("test", "val"))
    split = dataset.splits[name]
    if not split.images:
        raise InputError(f"{root}: split {name} lists no picture; choose another --split of {_listed(dataset)}")
    paths = locate_pictures(root, replace(dataset, splits={name: split}))
    by_id = {key: path for (_, key), path in paths.items()}
    return _Truth(name, split, dataset.categories, split_files(root)[name].annotations, by_id)


def _listed(dataset: Dataset) -> str:
    return ", ".join(dataset.splits)


def _warnings(match: ClassMatch, about: Mapping[str, Any]) -> tuple[str, ...]:
    warnings = []
    if match.detector_only:
        warnings.append(f"the truth has no class {', '.join(match.detector_only)}: such detections are left out")
    if not about["annotations"]:
        warnings.append(f"split {about['split']} has no box to score: the numbers are undefined")
    return tuple(warnings)


def _detect(detector: Detector, truth: _Truth, progress: Progress) -> dict[int, Detections]:
    """The detections of every picture by image id, few pictures in memory at a time."""
    keys = sorted(truth.paths)
    found: dict[int, Detections] = {}
    progress.start("detecting", len(keys))
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        found |= dict(zip(batch, detector.detect([read_rgb(truth.paths[key]) for key in batch]), strict=True))
        progress.advance(len(batch))
    return found


def _curves(scores: Scores) -> dict[str, Any]:
    """Precision at the recalls 0, 0.01, ... 1 by IoU and class, for classes that have boxes."""
    return {
        f"iou_{iou:.2f}": {
            name: curve.round(4).tolist()
            for name, curve in zip(scores.names, curves, strict=True)
            if not np.isnan(curve[0])
        }
        for iou, curves in scores.curves.at_iou.items()
    }


def _results(detections: Mapping[int, Detections], match: ClassMatch) -> list[dict[str, Any]]:
    """What is scored, in the COCO results format."""
    ids = {position: key for key, position in sorted(match.of_category.items(), reverse=True)}  # the lowest of several
    return [
        {"image_id": key, "category_id": ids[position], "bbox": [x0, y0, x1 - x0, y1 - y0], "score": value}
        for key, found in sorted(detections.items())
        for own in [match.scored(found)]
        for (x0, y0, x1, y1), position, value in zip(
            own.boxes_xyxy.tolist(), own.classes.tolist(), own.scores.tolist(), strict=True
        )
    ]


def _draw(folder: Path, scores: Scores, truth: _Truth) -> None:
    write_bytes(folder / "precision_recall.png", encode_png(draw_precision_recall(scores)))
    typical = draw_detections(evenly(scores), scores, truth.paths)
    write_bytes(folder / "detections.jpg", encode_jpeg(typical, JPEG_QUALITY))
    if wrong := worst(scores):
        write_bytes(folder / "misses.jpg", encode_jpeg(draw_misses(wrong, scores, truth.paths), JPEG_QUALITY))


def _open_file(folder: Path) -> Path:
    misses = folder / "misses.jpg"
    return misses if misses.exists() else folder / "detections.jpg"
