"""What `composite` will make of what: every input read and checked before anything is written."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from garbage_synth.composite.belt import fit_belt, with_polygons
from garbage_synth.composite.cutout import CropFacts
from garbage_synth.composite.divide import choose_photos, divide_belts, divide_count, divide_crops, divide_distractors
from garbage_synth.composite.sample import Catalog, class_shares
from garbage_synth.composite.scale import scale_rule
from garbage_synth.config.composite import CompositeConfig, DistractorsConfig
from garbage_synth.core.progress import Progress
from garbage_synth.core.rng import rng_for
from garbage_synth.core.types import Background, Crop
from garbage_synth.errors import InputError
from garbage_synth.io.catalog import load_backgrounds, load_crops, load_distractors
from garbage_synth.io.images import MAX_PIXELS, list_images, read_rgb
from garbage_synth.run.local import map_unordered
from garbage_synth.stages.composite_image import InspectCrop

__all__ = ["Plan", "Wanted", "check_arguments", "make_plan"]

FORMATS = ("coco", "yolo")
MIN_SIDE_PX = 16
MAX_SIDE_PX = 65500  # of a JPEG
CROPS_PER_WORKER = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """The arguments of `composite` that decide what is made; see there."""

    crops: Path
    backgrounds: Path
    distractors: Path | None
    count: int
    size: tuple[int, int] | None
    items: tuple[int, int]
    val_fraction: float
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be made of what: known before anything is written."""

    counts: Mapping[str, int]
    catalogs: Mapping[str, Catalog]
    category_ids: Mapping[str, int]
    warnings: tuple[str, ...]


def check_arguments(wanted: Wanted, workers: int, formats: Sequence[str]) -> None:
    """Raises InputError for an argument that is out of range."""
    count, size, items = wanted.count, wanted.size, wanted.items
    if count < 1:
        raise InputError(f"count is {count}, at least 1 picture was expected")
    if size is not None and min(size) < MIN_SIDE_PX:
        raise InputError(f"size {size[0]}x{size[1]} is out of range, expected {MIN_SIDE_PX} pixels a side or more")
    if size is not None:
        _check_jpeg(size, "size")
    if not 0 <= items[0] <= items[1]:
        raise InputError(f"items {items[0]}..{items[1]} is no range, expected MIN..MAX with 0 <= MIN <= MAX")
    if not 0 <= wanted.val_fraction < 1:
        raise InputError(f"val-fraction is {wanted.val_fraction}, expected 0 up to below 1")
    if wanted.seed < 0:
        raise InputError(f"seed is {wanted.seed}, expected 0 or more")
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


def make_plan(wanted: Wanted, config: CompositeConfig, workers: int, progress: Progress) -> Plan:
    """Reads and checks all input. Raises InputError for what cannot be used."""
    crops = load_crops(wanted.crops)
    distractors = _distractors(wanted)
    belts, belt_name_warnings = _chosen_belts(load_backgrounds(wanted.backgrounds), config, wanted.backgrounds)
    categories = sorted({crop.category for crop in crops})
    _check_classes(config, categories, wanted.crops)
    for belt in belts:
        _check_jpeg(wanted.size or belt.size_px, f"belt {belt.file}:")
        read_rgb(wanted.backgrounds / belt.file)  # refuses a damaged picture now instead of halfway through
    views = tuple(fit_belt(belt, wanted.size) for belt in belts)
    facts, warnings = _inspect(wanted, (*crops, *distractors), workers, progress)
    warnings += (
        *belt_name_warnings,
        *_belt_warnings(belts, wanted.backgrounds),
        *_input_warnings(wanted, config, facts),
    )

    counts = divide_count(wanted.count, wanted.val_fraction)
    readable = [crop for crop in crops if crop.id in facts]
    usable = choose_photos(readable, config.classes.max_photos, wanted.seed)
    if config.classes.max_photos is not None and len(usable) == len(readable):
        warnings += (f"classes.max_photos {config.classes.max_photos} leaves none out: no class has more photos",)
    if not usable:
        raise InputError(
            f"no crop in {wanted.crops} has a pixel that belongs to the item: alpha is below 128 everywhere"
        )
    if distractors and not any(crop.id in facts for crop in distractors):
        raise InputError(f"no picture in {wanted.distractors} shows anything: alpha is 0 everywhere")
    own_fraction = wanted.val_fraction if counts["val"] else 0.0
    divided, crop_warnings = divide_crops(usable, own_fraction, wanted.seed)
    divided_belts, belt_warnings = divide_belts(belts, own_fraction, wanted.seed)
    divided_distractors = divide_distractors(
        [crop for crop in distractors if crop.id in facts], own_fraction, wanted.seed
    )
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
            class_seed=int(rng_for(wanted.seed, "composite-classes", split, 0).integers(2**63)),
            items=wanted.items,
            scale=rule,
            distractors=tuple(facts[crop.id] for crop in divided_distractors[split]),
        )
    empty = [split for split, catalog in catalogs.items() if not catalog.shares]
    if "train" in empty:
        raise InputError(f"the crops of all classes in {wanted.crops} weigh nothing; see config classes.weights")
    if empty:
        warnings += ("val has no crop, so its pictures show empty belts: add crops, or set val-fraction 0",)
    category_ids = {name: number for number, name in enumerate(categories, start=1)}
    return Plan(counts, catalogs, category_ids, warnings)


def _distractors(wanted: Wanted) -> tuple[Crop, ...]:
    if wanted.distractors is None:
        return ()
    crops, distractors = wanted.crops.resolve(), wanted.distractors.resolve()
    if crops == distractors or crops in distractors.parents or distractors in crops.parents:
        raise InputError(
            f"distractors {wanted.distractors} and crops {wanted.crops} share pictures, which would lie in the images "
            "with and without a label; keep them in folders of their own"
        )
    return load_distractors(wanted.distractors)


def _inspect(
    wanted: Wanted, crops: Sequence[Crop], workers: int, progress: Progress
) -> tuple[dict[str, CropFacts], tuple[str, ...]]:
    """({crop id: facts} of the usable crops, warnings about the others)."""
    progress.start("reading crops", len(crops))
    found: dict[str, CropFacts] = {}
    empty = []
    task = InspectCrop(wanted.crops, wanted.distractors)
    for crop, facts in map_unordered(task, crops, workers=min(workers, len(crops) // CROPS_PER_WORKER)):
        progress.advance()
        if facts is None:
            empty.append(crop.file)
        else:
            found[crop.id] = facts
    if not empty:
        return found, ()
    names = _listed(sorted(empty))
    return found, (
        f"{len(empty)} pictures are left out, for no pixel belongs to the item (alpha is below 128 everywhere, and no "
        f"_mask.png): {names}",
    )


def _check_classes(config: CompositeConfig, categories: Sequence[str], folder: Path) -> None:
    tables: dict[str, Mapping[str, Any]] = {
        "scale.class_length_mm": config.scale.class_length_mm,
        "deform.class_strength": config.deform.class_strength,
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


def _belt_warnings(belts: Sequence[Background], folder: Path) -> tuple[str, ...]:
    warnings = []
    silent = [belt.file for belt in belts if belt.polygon_px is None]
    if silent:
        warnings.append(
            f"{len(silent)} of {len(belts)} belts have no polygon_px in a sidecar ({_listed(silent)}): items lie all "
            "over the picture"
        )
    names = {path.stem for path in list_images(folder)}
    strays = [path.name for path in sorted(folder.iterdir()) if path.suffix in (".yaml", ".yml")]
    strays = [name for name in strays if name.endswith(".yml") or Path(name).stem not in names]
    if strays:
        warnings.append(f"no picture has these sidecars, expected <its name>.yaml in {folder}: {_listed(strays)}")
    outside = [belt.file for belt in belts if _reaches_out(belt)]
    if outside:
        warnings.append(
            f"polygon_px or mm_per_px_at lie far outside the picture, as if made for a larger one: {_listed(outside)}"
        )
    return tuple(warnings)


def _reaches_out(belt: Background) -> bool:
    width, height = belt.size_px
    places = [*(belt.polygon_px or ()), *((x, y) for x, y, _ in belt.mm_per_px_at)]
    return any(not -0.25 * width <= x <= 1.25 * width or not -0.25 * height <= y <= 1.25 * height for x, y in places)


def _input_warnings(wanted: Wanted, config: CompositeConfig, facts: Mapping[str, CropFacts]) -> tuple[str, ...]:
    warnings = []
    solid = [own.crop.file for own in facts.values() if own.fills_its_picture]
    if solid:
        warnings.append(
            f"{len(solid)} pictures have no see-through pixel and are pasted as whole rectangles ({_listed(solid)}): "
            "is their alpha missing?"
        )
    if wanted.distractors is None and config.distractors != DistractorsConfig():
        warnings.append("distractors.* is set, but there are none: give --distractors FOLDER")
    return tuple(warnings)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
