"""`composite`: crops and empty belts become a labelled dataset."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from garbage_synth.composite.belt import fit_belt, with_polygons
from garbage_synth.composite.cutout import CropFacts
from garbage_synth.composite.divide import divide_belts, divide_count, divide_crops
from garbage_synth.composite.sample import Catalog, class_shares
from garbage_synth.composite.scale import scale_rule
from garbage_synth.config.base import dump_config
from garbage_synth.config.composite import CompositeConfig
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.core.rng import rng_for
from garbage_synth.core.types import Background, Crop
from garbage_synth.errors import InputError
from garbage_synth.io.atomic import write_text
from garbage_synth.io.catalog import load_backgrounds, load_crops
from garbage_synth.io.images import MAX_PIXELS, read_rgb
from garbage_synth.io.output import fingerprint, open_output
from garbage_synth.run.local import available_workers, map_unordered
from garbage_synth.stages.composite_image import InspectCrop, MakePicture, Unit, picture_name, record_path
from garbage_synth.stages.composite_join import join_records, remove_records

__all__ = ["composite"]

FORMATS = ("coco", "yolo")
MIN_SIDE_PX = 16
MAX_SIDE_PX = 65500  # of a JPEG
ROOM_WARNING = 0.25  # part of the items without room from which the pictures are not what was asked for
PICTURES_PER_WORKER = 8  # fewer are made sooner than a process starts
CROPS_PER_WORKER = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be made of what: known before anything is written."""

    counts: Mapping[str, int]
    catalogs: Mapping[str, Catalog]
    category_ids: Mapping[str, int]
    warnings: tuple[str, ...]


def composite(
    crops: Path,
    backgrounds: Path,
    out: Path,
    *,
    count: int,
    size: tuple[int, int] | None = None,
    items: tuple[int, int] = (3, 12),
    val_fraction: float = 0.2,
    seed: int = 0,
    workers: int | None = None,
    formats: Sequence[str] = ("coco",),
    config: CompositeConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Makes `count` pictures of crops lying on belts, with exact labels, as a dataset tree in `out`.

    crops: `<class>/*.png` RGBA, with or without crops.json. backgrounds: pictures of the empty belt, with or without
    sidecars. count: train and val together. size: (width, height), None = each belt's own; belts are scaled to cover it
    and cropped. items: smallest and largest number of items per picture. val_fraction: 0 up to below 1. workers: None =
    one per core, 1 = in this process. formats: "coco" is always written, "yolo" when named.

    Train and val share no crop source, and no belt where there are five belts or more. Every file depends on the inputs
    and settings alone, not on workers, order or interruptions. What was made is kept on resume.

    Raises InputError for input that cannot be used, before anything is written.
    """
    progress = progress or NullProgress()
    config = config or CompositeConfig()
    workers = available_workers() if workers is None else workers
    _check_arguments(count, size, items, val_fraction, seed, workers, formats)
    plan = _plan(crops, backgrounds, config, (count, size, items, val_fraction, seed, workers), progress)
    folder = open_output(
        out,
        stage="composite",
        identity={
            "backgrounds": fingerprint([backgrounds]),
            "config": config.model_dump(mode="json"),
            "count": count,
            "crops": fingerprint([crops]),
            "formats": sorted({"coco", *formats}),
            "items": list(items),
            "seed": seed,
            "size": None if size is None else list(size),
            "val_fraction": val_fraction,
        },
        inputs=[crops, backgrounds],
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
    )
    for warning in plan.warnings:
        progress.message(f"warning: {warning}")
    first = out / "images" / "train" / picture_name(("train", 0))
    if dry_run or folder.finished:
        if folder.finished and not dry_run:
            remove_records(out)  # of a run that was killed between its end and its tidying up
        numbers = dict(folder.numbers) if folder.finished else _planned_numbers(plan)
        return StageSummary("composite", out, numbers, plan.warnings, open_file=first if folder.finished else None)

    units = [(split, index) for split, number in plan.counts.items() for index in range(number)]
    missing = [unit for unit in units if not (folder.resuming and _is_made(out, unit))]
    write_text(out / "config.yaml", dump_config(config))
    progress.start("compositing", len(units))
    progress.advance(len(units) - len(missing))
    task = MakePicture(crops, backgrounds, out, config, seed, plan.catalogs, plan.category_ids)
    pool = min(workers, -(-len(missing) // PICTURES_PER_WORKER))
    for _ in map_unordered(task, missing, workers=pool):
        progress.advance()
    shares = {split: catalog.shares for split, catalog in plan.catalogs.items()}
    categories = {number: name for name, number in plan.category_ids.items()}
    statistics = join_records(out, plan.counts, categories, shares, formats)
    numbers = _made_numbers(statistics)
    folder.finish(numbers)
    remove_records(out)
    crowded = _room_warnings(statistics)
    for warning in crowded:
        progress.message(f"warning: {warning}")
    return StageSummary("composite", out, numbers, (*plan.warnings, *crowded), open_file=first)


def _check_arguments(
    count: int,
    size: tuple[int, int] | None,
    items: tuple[int, int],
    val_fraction: float,
    seed: int,
    workers: int,
    formats: Sequence[str],
) -> None:
    if count < 1:
        raise InputError(f"count is {count}, at least 1 picture was expected")
    if size is not None and min(size) < MIN_SIDE_PX:
        raise InputError(f"size {size[0]}x{size[1]} is out of range, expected {MIN_SIDE_PX} pixels a side or more")
    if size is not None:
        _check_jpeg(size, "size")
    if not 0 <= items[0] <= items[1]:
        raise InputError(f"items {items[0]}..{items[1]} is no range, expected MIN..MAX with 0 <= MIN <= MAX")
    if not 0 <= val_fraction < 1:
        raise InputError(f"val-fraction is {val_fraction}, expected 0 up to below 1")
    if seed < 0:
        raise InputError(f"seed is {seed}, expected 0 or more")
    if workers < 0:
        raise InputError(f"workers is {workers}, expected 0 or more (0 and 1 work in this process)")
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise InputError(f"format {unknown[0]!r} is unknown to composite, expected {', '.join(FORMATS)}; see export")


def _check_jpeg(size_wh: tuple[int, int], what: str) -> None:
    width, height = size_wh
    if max(size_wh) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise InputError(
            f"{what} {width}x{height} is out of range: pictures have at most {MAX_SIDE_PX} pixels a side and "
            f"{MAX_PIXELS:,} in all; give a smaller --size"
        )


def _plan(
    crops_folder: Path,
    backgrounds_folder: Path,
    config: CompositeConfig,
    arguments: tuple[int, tuple[int, int] | None, tuple[int, int], float, int, int],
    progress: Progress,
) -> Plan:
    count, size, items, val_fraction, seed, workers = arguments
    crops = load_crops(crops_folder)
    belts, belt_name_warnings = _chosen_belts(load_backgrounds(backgrounds_folder), config, backgrounds_folder)
    categories = sorted({crop.category for crop in crops})
    _check_classes(config, categories, crops_folder)
    for belt in belts:
        _check_jpeg(size or belt.size_px, f"belt {belt.file}:")
        read_rgb(backgrounds_folder / belt.file)  # refuses a damaged picture now instead of halfway through
    views = tuple(fit_belt(belt, size) for belt in belts)
    facts, warnings = _inspect(crops_folder, crops, workers, progress)
    warnings += (*belt_name_warnings, *_belt_warnings(belts))

    counts = divide_count(count, val_fraction)
    usable = [crop for crop in crops if crop.id in facts]
    own_fraction = val_fraction if counts["val"] else 0.0
    divided, crop_warnings = divide_crops(usable, own_fraction, seed)
    divided_belts, belt_warnings = divide_belts(belts, own_fraction, seed)
    rule, scale_warnings = scale_rule(config.scale, config.belt.mm_per_px, [facts[crop.id] for crop in usable], views)
    warnings += (*crop_warnings, *belt_warnings, *scale_warnings)
    catalogs = {}
    for split in ("train", "val"):
        if not counts[split]:
            continue
        grouped: dict[str, tuple[CropFacts, ...]] = {
            name: tuple(facts[crop.id] for crop in divided[split] if crop.category == name) for name in categories
        }
        chosen = {belt.id for belt in divided_belts[split]}
        catalogs[split] = Catalog(
            crops=grouped,
            belts=tuple(view for view in views if view.background.id in chosen),
            shares=class_shares(config.classes, grouped),
            class_offset=float(rng_for(seed, "composite-classes", split, 0).random()),
            items=items,
            scale=rule,
        )
    empty = [split for split, catalog in catalogs.items() if not catalog.shares]
    if "train" in empty:
        raise InputError(f"the crops of all classes in {crops_folder} weigh nothing; see config classes.weights")
    if empty:
        warnings += ("val has no crop, so its pictures show empty belts: add crops, or set val-fraction 0",)
    category_ids = {name: number for number, name in enumerate(categories, start=1)}
    return Plan(counts, catalogs, category_ids, warnings)


def _inspect(
    folder: Path, crops: Sequence[Crop], workers: int, progress: Progress
) -> tuple[dict[str, CropFacts], tuple[str, ...]]:
    """({crop id: facts} of the usable crops, warnings about the others)."""
    progress.start("reading crops", len(crops))
    found: dict[str, CropFacts] = {}
    empty = []
    for crop, facts in map_unordered(InspectCrop(folder), crops, workers=min(workers, len(crops) // CROPS_PER_WORKER)):
        progress.advance()
        if facts is None:
            empty.append(crop.file)
        else:
            found[crop.id] = facts
    if not found:
        raise InputError(f"no crop in {folder} has a pixel that belongs to the item: alpha is below 128 everywhere")
    if not empty:
        return found, ()
    names = ", ".join(sorted(empty)[:5]) + (", ..." if len(empty) > 5 else "")
    return found, (
        f"{len(empty)} crops are left out, for alpha is below 128 everywhere and there is no _mask.png: {names}",
    )


def _check_classes(config: CompositeConfig, categories: Sequence[str], folder: Path) -> None:
    tables: dict[str, Mapping[str, Any]] = {
        "scale.class_length_mm": config.scale.class_length_mm,
        "light.class_item_height": config.light.class_item_height,
        "classes.weights": config.classes.weights,
    }
    for key, table in tables.items():
        for name in sorted(table):
            if name not in categories:
                near = difflib.get_close_matches(name, categories, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; classes are {', '.join(categories[:12])}"
                raise InputError(f"config {key} names the unknown class {name!r}, not in {folder}{hint}")


def _chosen_belts(
    belts: Sequence[Background], config: CompositeConfig, folder: Path
) -> tuple[tuple[Background, ...], tuple[str, ...]]:
    """The belts without those to leave out, with the polygons that the config adds; warnings about absent names."""
    names = {belt.id for belt in belts}
    warnings = []
    for key, given in (("polygons_px", config.belt.polygons_px), ("leave_out", config.belt.leave_out)):
        unknown = sorted(set(given) - names)
        if unknown:
            near = difflib.get_close_matches(unknown[0], names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            warnings.append(f"config belt.{key} names {', '.join(unknown)}, but {folder} has no such picture{hint}")
    for name, corners in config.belt.polygons_px.items():
        if len(corners) < 3:
            raise InputError(f"config belt.polygons_px.{name} has {len(corners)} corners, at least 3 were expected")
        points = np.asarray(corners, np.float32)
        if not np.isfinite(points).all() or cv2.contourArea(points) < 1:
            raise InputError(
                f"config belt.polygons_px.{name} encloses no area; expected corners [x, y] in photo pixels"
            )
    chosen = [belt for belt in belts if belt.id not in config.belt.leave_out]
    if not chosen:
        raise InputError(f"config belt.leave_out leaves no picture of {folder}")
    return with_polygons(chosen, config.belt.polygons_px), tuple(warnings)


def _belt_warnings(belts: Sequence[Background]) -> tuple[str, ...]:
    silent = [belt.file for belt in belts if belt.polygon_px is None]
    if not silent:
        return ()
    names = ", ".join(silent[:4]) + (", ..." if len(silent) > 4 else "")
    text = (
        f"{len(silent)} of {len(belts)} belts have no polygon_px in a sidecar ({names}): items lie all over the picture"
    )
    return (text,)


def _room_warnings(statistics: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """A warning where many of the items that were asked for are missing."""
    without, placed, removed = (
        sum(numbers[key] for numbers in statistics.values())
        for key in ("items_without_room", "items_in_pictures", "items_removed_as_hidden")
    )
    wanted = without + placed + removed
    if without <= ROOM_WARNING * wanted:
        return ()
    text = (
        f"{without} of {wanted} items found no room on the belts: ask for fewer --items, check belt_mm_per_px and the "
        "belts' polygons, or allow more with placement.max_overlap and placement.tries"
    )
    return (text,)


def _is_made(out: Path, unit: Unit) -> bool:
    return record_path(out, unit).is_file() and (out / "images" / unit[0] / picture_name(unit)).is_file()


def _planned_numbers(plan: Plan) -> dict[str, Any]:
    return {
        "belts": len({view.background.id for catalog in plan.catalogs.values() for view in catalog.belts}),
        "classes": len(plan.category_ids),
        "crops": sum(len(own) for catalog in plan.catalogs.values() for own in catalog.crops.values()),
        "images": dict(plan.counts),
    }


def _made_numbers(statistics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    keys = ("images", "annotations", "items_without_room", "items_removed_as_hidden")
    return {key: {split: statistics[split][key] for split in statistics} for key in keys}
