"""`segment`: photos of single items, cut-outs or labelled pictures become crops."""

import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from garbage_synth.config.base import dump_config
from garbage_synth.config.segment import SegmentConfig
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.errors import GarbageSynthError, InputError
from garbage_synth.io.atomic import write_bytes, write_json, write_text
from garbage_synth.io.catalog import CropEntry, write_crops_json
from garbage_synth.io.dataset import read_dataset, read_document, split_files
from garbage_synth.io.folders import require_folder
from garbage_synth.io.images import encode_jpeg, list_images, read_rgba
from garbage_synth.io.output import SETTINGS_FILE, fingerprint, open_output
from garbage_synth.run.local import available_workers, map_unordered
from garbage_synth.segment.methods import METHODS
from garbage_synth.segment.sheet import contact_sheet
from garbage_synth.stages.segment_photo import RECORDS, CheckUnit, CutUnit, Label, Unit, entry_of, record_path

__all__ = ["segment"]

REJECTED_FILE = "rejected.json"
SHEET_FILE = "contact_sheet.jpg"
UNITS_PER_WORKER = 8  # fewer are done sooner than a process starts
_SHEET_CROPS = 60
_MOST_LINES = 40
_MASK_ENDING = "_mask"


def segment(
    photos: Path,
    out: Path,
    *,
    method: str = "auto",
    boxes: Path | None = None,
    split: str | None = None,
    config: SegmentConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> StageSummary:
    """Cuts out the items in `photos` as out/<class>/*.png (tight, soft edges, no colour of the board) and crops.json.

    photos: a folder per class of single-item photos, RGBA cut-outs, or pictures with `<stem>_mask.png` beside them; or
    a COCO dataset. method: "auto" takes coco for a dataset, else per picture its own alpha, its mask, or grabcut.
    boxes: JSON file {photo relative to photos: [x0, y0, x1, y1] pixels}, a prior. split: split of a COCO dataset, None
    = train where there is one, so that what is kept for testing stays out of the crops, else all.
    workers: None = one per core, 1 = in this process; the output does not depend on it.

    What cannot be used is listed in out/rejected.json and in the warnings, with the reason.

    Raises InputError for input that cannot be read, before anything is written; GarbageSynthError where no picture
    gives a crop; MissingDependencyError where rembg or its weights are absent.
    """
    progress = progress or NullProgress()
    config = config or SegmentConfig()
    workers = available_workers() if workers is None else workers
    if method not in METHODS:
        raise InputError(f"method {method!r} is unknown, expected one of {', '.join(METHODS)}")
    if workers < 0:
        raise InputError(f"workers is {workers}, expected 0 or more (0 and 1 work in this process)")
    require_folder(photos, "photos folder")
    if method == "coco" or (method == "auto" and _is_dataset(photos)):
        method = "coco"
        units, read, warnings = _labelled_units(photos, split, boxes)
    else:
        if split is not None:
            raise InputError(f"--split is for COCO datasets; {photos} is a folder of photos")
        units, read, warnings = _photo_units(photos, boxes)
    _check_classes(config, units)
    if method == "rembg":
        from garbage_synth.segment.rembg import rembg_session

        rembg_session(config.rembg_model)
    pool = min(workers, len(units) // UNITS_PER_WORKER)
    progress.start("reading photos", len(units))
    for _ in map_unordered(CheckUnit(method), units, workers=pool if len(units) > 200 else 1):
        progress.advance()
    folder = open_output(
        out,
        stage="segment",
        identity={
            "config": config.model_dump(mode="json"),
            "method": method,
            "photos": fingerprint(read),
            "names": [unit.source for unit in units],
            "split": split,
        },
        inputs=[photos] if boxes is None else [photos, boxes],
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
        progress=progress,
    )
    for warning in warnings:
        progress.message(warning)
    sheet = out / SHEET_FILE
    if dry_run:
        return StageSummary("segment", out, _planned(units), warnings, open_file=sheet)
    if folder.finished:
        shutil.rmtree(out / RECORDS, ignore_errors=True)
        return StageSummary("segment", out, dict(folder.numbers), warnings, open_file=sheet)

    write_text(out / SETTINGS_FILE, dump_config(config))
    missing = [unit for unit in units if not (folder.resuming and record_path(out, unit).is_file())]
    progress.start("cutting out", len(units))
    progress.advance(len(units) - len(missing))
    for _ in map_unordered(CutUnit(out, method, config), missing, workers=min(pool, len(missing))):
        progress.advance()
    entries, rejected = _join(out, units)
    write_json(out / REJECTED_FILE, {"version": 1, "rejected": rejected})
    for line in (lines := _rejection_lines(rejected)):
        progress.message(line)
    if not entries:
        raise GarbageSynthError(
            f"none of {len(units)} pictures in {photos} gave a crop: {lines[0]} ...; see {out / REJECTED_FILE}"
        )
    write_crops_json(out, entries)
    _write_sheet(sheet, out, entries)
    numbers = _numbers(units, entries, rejected)
    folder.finish(numbers)
    shutil.rmtree(out / RECORDS, ignore_errors=True)
    return StageSummary("segment", out, numbers, (*warnings, *lines), open_file=sheet)


def _is_dataset(folder: Path) -> bool:
    try:
        files = split_files(folder)
        documents = [read_document(entry.annotations) for entry in files.values()]
    except InputError:
        return False
    return all("images" in document and "annotations" in document for document in documents)


def _photo_units(photos: Path, boxes: Path | None) -> tuple[list[Unit], list[Path], tuple[str, ...]]:
    """(units, files that decide the result, warnings) of a folder per class."""
    pictures = list_images(photos, recursive=True)
    masks = {
        path.with_name(path.stem.removesuffix(_MASK_ENDING)).as_posix(): path
        for path in pictures
        if path.stem.endswith(_MASK_ENDING)
    }
    known = _read_boxes(boxes)
    units: list[Unit] = []
    taken: set[str] = set()
    for path in pictures:
        source = path.relative_to(photos).as_posix()
        if path.stem.endswith(_MASK_ENDING):
            continue
        parts = path.relative_to(photos).parts
        if len(parts) < 2:
            raise InputError(f"photo {path} lies in no class folder; expected {photos}/<class>/{path.name}")
        crop = _free_name(f"{parts[0]}/{'_'.join((*parts[1:-1], path.stem))}", path, taken)
        mask = masks.get(path.with_suffix("").as_posix())
        units.append(Unit(len(units), source, path, parts[0], crop, mask, known.get(source)))
    if not units:
        raise InputError(f"photos folder {photos} holds masks (*_mask) alone; expected {photos}/<class>/*.jpg")
    warnings: tuple[str, ...] = ()
    if boxes is not None:
        sources = {unit.source for unit in units}
        without, unknown = len(sources - known.keys()), sorted(known.keys() - sources)
        if not sources & known.keys():
            raise InputError(f"boxes {boxes} names none of the photos in {photos}; its first name is {unknown[:1]}")
        if without:
            warnings += (f"{without} of {len(units)} photos have no box in {boxes.name}",)
        if unknown:
            warnings += (f"{len(unknown)} boxes in {boxes.name} name no photo: {', '.join(unknown[:3])}",)
    return units, pictures if boxes is None else [*pictures, boxes], warnings


def _labelled_units(
    root: Path, split: str | None, boxes: Path | None
) -> tuple[list[Unit], list[Path], tuple[str, ...]]:
    """(units, files that decide the result, warnings) of a COCO dataset."""
    if boxes is not None:
        raise InputError("--boxes is for photos of single items; a COCO dataset has boxes of its own")
    files = split_files(root)
    if split is not None and split not in files:
        raise InputError(f"{root} has no split {split!r}; it has {', '.join(files)}")
    dataset = read_dataset(root)
    names = [split] if split is not None else list(dataset.splits)
    warnings: tuple[str, ...] = ()
    if split is None and "train" in names and len(names) > 1:
        warnings = (f"of the splits {', '.join(names)} only train is cut out; name another with --split",)
        names = ["train"]
    units: list[Unit] = []
    taken: set[str] = set()
    for name in names:
        part = dataset.splits[name]
        labels: dict[int, list[Label]] = {}
        records = {record.id: record for record in part.images}
        for entry in part.annotations:
            category = dataset.categories[entry.category_id]
            record = records[entry.image_id]
            stem = f"{Path(record.file_name).with_suffix('').as_posix().replace('/', '_')}_{entry.id}"
            crop = _free_name(f"{_folder_name(category)}/{stem}", Path(name), taken)
            labels.setdefault(entry.image_id, []).append(Label(category, crop, entry))
        for record in part.images:
            if record.id in labels:
                path = files[name].locate(record.file_name)
                source = path.relative_to(root).as_posix() if path.is_relative_to(root) else record.file_name
                units.append(Unit(len(units), source, path, labels=tuple(labels[record.id])))
    if not units:
        raise InputError(f"{root}: no picture of {', '.join(names)} has an annotation to cut out")
    read = [files[name].annotations for name in names] + [unit.path for unit in units]
    return units, read, warnings


def _free_name(stem: str, path: Path, taken: set[str]) -> str:
    """The crop's file, POSIX, relative to the output; the ending or split is added where the name is taken."""
    stem = stem if not stem.endswith(_MASK_ENDING) else stem + "_"
    name = stem
    number = 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}_{path.suffix.lstrip('.') or path.name}" + (f"_{number}" if number > 2 else "")
    taken.add(name.casefold())
    return f"{name}.png"


def _folder_name(category: str) -> str:
    """A category as the name of one folder."""
    return re.sub(r"[/\\\0]|^\.+", "_", category).strip() or "_"


def _read_boxes(path: Path | None) -> dict[str, tuple[float, float, float, float]]:
    """{photo: (x0, y0, x1, y1)}. Raises InputError naming the file and the entry that is not so."""
    if path is None:
        return {}
    form = "expected {photo: [x0, y0, x1, y1]}"
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"boxes {path} cannot be read as JSON: {error}; {form}") from error
    if not isinstance(document, dict):
        raise InputError(f"boxes {path} holds a JSON {type(document).__name__}; {form}")
    found = {}
    for name, box in document.items():
        if not _is_box(box):
            raise InputError(f"boxes {path}: the box of {name!r} is {box!r}; {form}")
        found[str(name)] = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    return found


def _is_box(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 4:
        return False
    return all(type(number) in (int, float) and math.isfinite(number) for number in value)


def _check_classes(config: SegmentConfig, units: Sequence[Unit]) -> None:
    known = {unit.category for unit in units} | {label.category for unit in units for label in unit.labels}
    unknown = sorted(set(config.class_length_mm) - known)
    if unknown:
        classes = ", ".join(sorted(known - {""})[:12])
        raise InputError(f"config class_length_mm names the unknown class {unknown[0]!r}; classes are {classes}")


def _join(out: Path, units: Sequence[Unit]) -> tuple[list[CropEntry], list[dict[str, Any]]]:
    entries: list[CropEntry] = []
    rejected: list[dict[str, Any]] = []
    for unit in units:
        record = json.loads(record_path(out, unit).read_text(encoding="utf-8"))
        entries += [entry_of(entry) for entry in record["crops"]]
        rejected += record["rejected"]
    return entries, rejected


def _rejection_lines(rejected: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """One line per rejection; a labelled dataset leaves many out, there one per reason."""
    if len(rejected) <= _MOST_LINES:
        return tuple(f"rejected {entry['source']}: {entry['reason']} ({entry['detail']})" for entry in rejected)
    counts = Counter(str(entry["reason"]) for entry in rejected)
    return tuple(
        f"rejected {count}: {reason}; each is listed in {REJECTED_FILE}" for reason, count in sorted(counts.items())
    )


def _planned(units: Sequence[Unit]) -> dict[str, Any]:
    classes = Counter(label.category for unit in units for label in unit.labels)
    classes += Counter(unit.category for unit in units if not unit.labels)
    return {"photos": len(units), "classes": dict(sorted(classes.items()))}


def _numbers(
    units: Sequence[Unit], entries: Sequence[CropEntry], rejected: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "photos": len(units),
        "crops": len(entries),
        "classes": dict(sorted(Counter(entry.category for entry in entries).items())),
        "rejected": dict(sorted(Counter(str(entry["reason"]) for entry in rejected).items())),
    }


def _write_sheet(path: Path, out: Path, entries: Sequence[CropEntry]) -> None:
    ordered = sorted(entries, key=lambda entry: entry.file)
    step = max(1.0, len(ordered) / _SHEET_CROPS)
    chosen = [ordered[int(index * step)] for index in range(min(len(ordered), _SHEET_CROPS))]
    write_bytes(path, encode_jpeg(contact_sheet([read_rgba(out / entry.file) for entry in chosen]), 90))
