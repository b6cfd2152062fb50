"""Refined pictures whose truth is known: scenes of `composite` rendered again with items moved, erased and relit.

What a generator may do to a picture is put on top of a second rendering: light, colour, blur, noise, JPEG. Everything
is a function of (seed, set, half, index). The halves "tune" and "held-out" share neither crops nor belts.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.assets import CachedAssets
from garbage_synth.composite.belt import fit_belt, with_polygons
from garbage_synth.composite.render import Layout, lay_out, paint
from garbage_synth.composite.scene import Placement, SceneSpec, scene_from_json
from garbage_synth.config.base import load_config
from garbage_synth.config.composite import CompositeConfig
from garbage_synth.core.masks import box_of_mask
from garbage_synth.core.rng import rng_for
from garbage_synth.core.types import Background, Crop
from garbage_synth.io.catalog import load_backgrounds, load_crops
from garbage_synth.io.images import encode_jpeg, read_mask, read_rgb, read_rgba
from garbage_synth.io.output import SETTINGS_FILE
from garbage_synth.stages.composite import composite
from garbage_synth.stages.composite_image import InspectCrop
from garbage_synth.stages.segment import segment

__all__ = ["FATES", "Half", "SceneSet", "SimulatedFrame", "SimulatedItem", "make_sets", "simulate"]

Half = Literal["tune", "held-out"]
Fate = Literal["same", "moved", "scaled", "gone", "partly"]
FATES: tuple[Fate, ...] = ("same", "moved", "scaled", "gone", "partly")
SHARES = (0.42, 0.2, 0.14, 0.12, 0.12)
MAX_SHIFT_PX = 12.0
SCALES = (0.9, 1.12)
ERASED = (0.3, 0.6)  # part of an item's extent that is painted over by belt
SEAM_PX = 2.0  # sigma of the seam between what is painted over and what stays
SHADOW_PX = 24
FLAT_GRADIENT = 1.5  # 8-bit steps a pixel: median inside an item below which it counts as flat


@dataclass(frozen=True, slots=True)
class SceneSet:
    """A dataset of `composite` with the folders it was made from; one half of the crops and belts."""

    name: str
    half: Half
    dataset: Path
    split: str
    crops: Path
    belts: Path


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedItem:
    """A labelled item: its label, and what of it is drawn after. before, after: bool (h, w), visible pixels.

    drawn: the part of the item that is still drawn, 0..1. flat: little texture inside.
    """

    fate: Fate
    flat: bool
    before: NDArray[np.bool_]
    after: NDArray[np.bool_]
    drawn: float


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedFrame:
    """A picture, its simulated refinement (RGB uint8, h, w, 3) and its items."""

    scene_set: str
    file_name: str
    before_rgb: NDArray[np.uint8]
    after_rgb: NDArray[np.uint8]
    items: tuple[SimulatedItem, ...]


def make_sets(folder: Path, sample: Path, real: Path | None, pictures: int, seed: int) -> list[SceneSet]:
    """The scene sets in `folder` (made where they are not there yet), `pictures` in each half of each set."""
    plans: list[tuple[str, Half, str, Path, Path, tuple[int, int] | None, CompositeConfig]] = []
    for name, size in (("sample-640x480", (640, 480)), ("sample-1280x720", (1280, 720))):
        for half, split in (("tune", "train"), ("held-out", "val")):
            plans.append((name, half, split, sample / "crops", sample / "belts", size, CompositeConfig()))
    if real is not None:
        crops = folder / "construction_crops"
        if not crops.exists():
            segment(real / "construction_belt", crops, method="coco", split="train", workers=1)
        belts = real / "construction_belt" / "belts"
        for half, split, left_out in (("tune", "train", ["Amanual"]), ("held-out", "val", ["Aauto", "Bauto"])):
            config = load_config(
                CompositeConfig, None, tree={"scale": {"source": "native"}, "belt": {"leave_out": left_out}}
            )
            plans.append(("construction", half, split, crops, belts, None, config))
    sets = []
    for name, half, split, crops, belts, size, config in plans:
        out = folder / f"{name}-{half}"
        if not out.exists():
            composite(
                crops,
                belts,
                out,
                count=2 * pictures,
                size=size,
                items=(4, 10),
                val_fraction=0.5,
                seed=seed,
                workers=1,
                config=config,
            )
        sets.append(SceneSet(name, half, out, split, crops, belts))
    return sets


def simulate(scenes: SceneSet, pictures: int, seed: int, strength: float = 1.0) -> Iterator[SimulatedFrame]:
    """The first `pictures` of the set, each with its simulated refinement; strength: of the style, 0 = none."""
    config = load_config(CompositeConfig, scenes.dataset / SETTINGS_FILE)
    belts = with_polygons(load_backgrounds(scenes.belts), config.belt.polygons_px)
    crops = {crop.id: crop for crop in load_crops(scenes.crops)}
    lines = [json.loads(line) for line in (scenes.dataset / "scenes.jsonl").read_text().splitlines()]
    chosen = [line for line in lines if line["file_name"].startswith(f"{scenes.split}_")][:pictures]
    for index, line in enumerate(chosen):
        spec = scene_from_json(line["scene"])
        used = (InspectCrop(scenes.crops)(crops[name])[1] for name in sorted({p.crop_id for p in spec.placements}))
        views = {belt.id: fit_belt(belt, spec.size_wh) for belt in belts if belt.id == spec.background_id}
        assets = CachedAssets(
            {facts.crop.id: facts for facts in used if facts is not None},
            views,
            partial(_read_crop, scenes.crops),
            partial(_read_photo, scenes.belts),
        )
        before_rgb = read_rgb(scenes.dataset / "images" / scenes.split / line["file_name"])
        rng = rng_for(seed, f"fidelity-{scenes.name}", scenes.half, index)
        yield _refined(scenes.name, line["file_name"], spec, assets, before_rgb, rng, strength)


def _refined(
    name: str,
    file_name: str,
    spec: SceneSpec,
    assets: CachedAssets,
    before_rgb: NDArray[np.uint8],
    rng: np.random.Generator,
    strength: float,
) -> SimulatedFrame:
    fates = [FATES[index] for index in rng.choice(len(FATES), len(spec.placements), p=SHARES)]
    changed = replace(
        spec,
        placements=tuple(_changed(item, fate, rng) for item, fate in zip(spec.placements, fates, strict=True)),
        light=replace(
            spec.light,
            shadow_deg=float(rng.uniform(0, 360)),
            cast_strength=float(rng.uniform(0.1, 0.6)),
            contact_strength=float(rng.uniform(0.1, 0.6)),
        ),
        camera=replace(
            spec.camera, noise=float(rng.uniform(0, 4)), noise_xy=tuple(int(x) for x in rng.integers(0, 64, 2))
        ),
    )
    before = _masks(lay_out(spec, assets), range(len(fates)))
    drawn = [index for index, fate in enumerate(fates) if fate != "gone"]
    whole = [index for index in drawn if fates[index] != "partly"]
    full, full_masks = _render(changed, drawn, assets)
    image, after = full.astype(np.float32), dict(full_masks)
    if len(whole) < len(drawn):
        without, without_masks = _render(changed, whole, assets)
        for index in drawn:
            if fates[index] == "partly":
                hidden = _half_plane(full_masks[index], rng)
                image += (without - image) * cv2.GaussianBlur(hidden.astype(np.float32), (0, 0), SEAM_PX)[..., None]
                after[index] = after[index] & ~hidden
                for other in whole:
                    after[other] = np.where(hidden, without_masks[other], after[other])
    image = _restyled(image, rng, strength)
    gray = cv2.GaussianBlur(cv2.cvtColor(before_rgb, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
    gradient = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)) / 8
    empty = np.zeros(gray.shape, np.bool_)
    items = []
    for index, placement in enumerate(spec.placements):
        if not placement.labelled:
            continue
        inside = cv2.erode(before[index].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        texture = float(np.median(gradient[inside])) if inside.any() else 0.0
        mask = after.get(index, empty)
        kept = mask.sum() / max(1, full_masks[index].sum()) if index in full_masks else 0.0
        items.append(SimulatedItem(fates[index], texture < FLAT_GRADIENT, before[index], mask, float(kept)))
    return SimulatedFrame(name, file_name, before_rgb, image, tuple(items))


def _changed(item: Placement, fate: Fate, rng: np.random.Generator) -> Placement:
    if fate not in ("moved", "scaled"):
        return item
    shift = rng.uniform(2, MAX_SHIFT_PX) if fate == "moved" else rng.uniform(0, 4)
    angle = rng.uniform(0, 2 * math.pi)
    x, y = item.center_xy_px
    scale, turn = (1.0, 0.0) if fate == "moved" else (float(rng.uniform(*SCALES)), float(rng.uniform(-4, 4)))
    return replace(
        item,
        center_xy_px=(x + shift * math.cos(angle), y + shift * math.sin(angle)),
        scale=item.scale * scale,
        angle_deg=item.angle_deg + turn,
    )


def _render(
    spec: SceneSpec, kept: Sequence[int], assets: CachedAssets
) -> tuple[NDArray[np.uint8], dict[int, NDArray[np.bool_]]]:
    """The picture with these placements alone, and their visible masks by index."""
    layout = lay_out(replace(spec, placements=tuple(spec.placements[index] for index in kept)), assets)
    return paint(layout, assets), _masks(layout, kept)


def _masks(layout: Layout, indices: Sequence[int]) -> dict[int, NDArray[np.bool_]]:
    width, height = layout.spec.size_wh
    masks = {}
    for index, visible in zip(indices, layout.visible, strict=True):
        masks[index] = np.zeros((height, width), np.bool_)
        x0, y0, x1, y1 = visible.box_xyxy
        masks[index][y0:y1, x0:x1] = visible.part > 0
    return masks


def _half_plane(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """The part of an item and of its surroundings that is painted over: beyond a line of random direction."""
    box = box_of_mask(mask)
    if box is None:
        return mask
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    along = x * math.cos(angle) + y * math.sin(angle)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * SHADOW_PX + 1, 2 * SHADOW_PX + 1), np.uint8)) > 0
    return near & (along > np.quantile(along[mask], 1 - rng.uniform(*ERASED)))


def _restyled(image: NDArray[np.float32], rng: np.random.Generator, strength: float) -> NDArray[np.uint8]:
    """Tone curve, colour, a lighting field, a shadow that falls across, blur, noise and JPEG."""
    height, width = image.shape[:2]

    def factor(spread: float, size: int | tuple[int, int] = 1) -> NDArray[np.float64]:
        return np.exp(strength * spread * rng.uniform(-1, 1, size))

    toned = 255 * np.clip(image / 255, 0, 1) ** factor(0.42) * factor(0.25)
    toned = toned * factor(0.12, 3)
    field = cv2.resize(factor(0.25, (3, 4)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    toned = toned * field[..., None]
    if rng.random() < 0.5:
        angle, where = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.8, 2) * (width, height)
        y, x = np.mgrid[:height, :width]
        along = (x - where[0]) * math.cos(angle) + (y - where[1]) * math.sin(angle)
        depth = min(0.9, strength * rng.uniform(0.1, 0.45))
        toned = toned * (1 - depth / (1 + np.exp(-along / rng.uniform(3, 20))))[..., None]
    if rng.random() < 0.6:
        toned = cv2.GaussianBlur(toned, (0, 0), strength * rng.uniform(0.4, 1.4))
    grain = strength * rng.uniform(0, 7)
    toned = toned + rng.normal(0, grain, (height, width, 1)) + rng.normal(0, 1.5 * strength, image.shape)
    rgb = np.clip(np.rint(toned), 0, 255).astype(np.uint8)
    encoded = np.frombuffer(encode_jpeg(rgb, round(max(20, 95 - strength * rng.uniform(0, 35)))), np.uint8)
    return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _read_crop(folder: Path, crop: Crop) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    rgba = read_rgba(folder / crop.file)
    size_wh = (rgba.shape[1], rgba.shape[0])
    return rgba, None if crop.mask_file is None else read_mask(folder / crop.mask_file, size_wh)


def _read_photo(folder: Path, background: Background) -> NDArray[np.uint8]:
    return read_rgb(folder / background.file)
