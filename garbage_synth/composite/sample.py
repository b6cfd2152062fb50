"""The chances of a picture: what lies where on which belt, in which light. All of them follow from one generator."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from garbage_synth.composite.belt import BeltView
from garbage_synth.composite.counts import count_of, is_empty
from garbage_synth.composite.cutout import CropFacts
from garbage_synth.composite.place import Placer
from garbage_synth.composite.scale import ScaleRule
from garbage_synth.composite.scene import Camera, Light, Look, Placement, SceneSpec
from garbage_synth.composite.sensor import NOISE_SHIFT_PX
from garbage_synth.config.composite import ClassesConfig, CompositeConfig

__all__ = ["Catalog", "class_shares", "sample_scene"]

GOLDEN = (math.sqrt(5) - 1) / 2
BIG_ITEMS_BELOW = 0.7  # scatter of ln(area) when items are stacked by size: 0 = strictly the larger below


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """What one split is made of.

    crops: category -> crops. shares: category -> part of all items, adding up to 1. class_seed: 0 up to 2**63, of the
    sequence of classes and counts. items: smallest and largest number of items per picture. distractors: what is never
    labelled.
    """

    crops: Mapping[str, tuple[CropFacts, ...]]
    belts: tuple[BeltView, ...]
    shares: Mapping[str, float]
    class_seed: int
    items: tuple[int, int]
    scale: ScaleRule
    distractors: tuple[CropFacts, ...] = ()


def class_shares(config: ClassesConfig, crops: Mapping[str, tuple[CropFacts, ...]]) -> dict[str, float]:
    """The part of all items that each category gets, adding up to 1; empty where every weight is 0."""
    power = {"uniform": 0, "crops": 1, "inverse": -1}[config.balance]
    raw = {name: float(len(own)) ** power * config.weights.get(name, 1.0) for name, own in sorted(crops.items()) if own}
    total = sum(raw.values())
    return {name: value / total for name, value in raw.items() if value > 0} if total > 0 else {}


def sample_scene(config: CompositeConfig, catalog: Catalog, rng: np.random.Generator, *, index: int) -> SceneSpec:
    """The recipe of picture `index` of a split. rng must be that picture's own (`core.rng.rng_for`).

    Classes come from a golden-ratio sequence over all items, which keeps their shares close to the wanted ones; which
    numbers a picture's items have, follows from its index (see `counts`).
    """
    view = catalog.belts[int(rng.integers(len(catalog.belts)))]
    light = _light(config, rng)
    look = _look(config, rng)
    camera = _camera(config, view, rng)
    placer = Placer(config, catalog.scale, view, rng)
    items, wanted = _place_items(config, catalog, placer, rng, index)
    heights = [math.log(area) + rng.normal(0, BIG_ITEMS_BELOW) for _, area in items]
    order = sorted(range(len(items)), key=lambda item: -heights[item])
    below, above = _place_distractors(config, catalog, placer, rng)
    return SceneSpec(
        size_wh=view.size_wh,
        background_id=view.background.id,
        light=light,
        look=look,
        camera=camera,
        placements=(*below, *(items[item][0] for item in order), *above),
        not_placed=wanted - len(items),
    )


def _place_items(
    config: CompositeConfig, catalog: Catalog, placer: Placer, rng: np.random.Generator, index: int
) -> tuple[list[tuple[Placement, int]], int]:
    """([(item, area in cells)], how many were wanted)."""
    low, high = catalog.items
    limits = config.placement
    target = None if limits.coverage is None else float(rng.uniform(*limits.coverage))
    # a generator for each item: a setting that changes one of them leaves the others as they are
    seeds = rng.integers(2**63, size=max(high, 1))
    if is_empty(limits.empty_fraction, index) or not catalog.shares:
        return [], 0
    count, first = high, index * high
    if target is None:
        count, first = count_of(
            index, catalog.items, limits.count_distribution, limits.empty_fraction, (catalog.class_seed,)
        )
    placed: list[tuple[Placement, int]] = []
    for item in range(count):
        if target is not None and item >= low and placer.coverage() >= target:
            return placed, item
        crops = catalog.crops[_category(catalog, first + item)]
        found = placer.place(crops, np.random.default_rng(seeds[item]))
        if found is not None:
            placed.append(found)
    return placed, count


def _place_distractors(
    config: CompositeConfig, catalog: Catalog, placer: Placer, rng: np.random.Generator
) -> tuple[list[Placement], list[Placement]]:
    """(those below the items, those above)."""
    sides: tuple[list[Placement], list[Placement]] = ([], [])
    if catalog.distractors:
        low, high = config.distractors.count
        for _ in range(int(rng.integers(low, high + 1))):
            above = rng.random() < config.distractors.above_probability
            strewn = placer.strew(catalog.distractors[int(rng.integers(len(catalog.distractors)))], rng)
            if strewn is not None:
                sides[above].append(strewn)
    return sides


def _category(catalog: Catalog, number: int) -> str:
    position = (catalog.class_seed / 2**63 + number * GOLDEN) % 1.0
    for name, share in catalog.shares.items():
        position -= share
        if position < 0:
            return name
    return list(catalog.shares)[-1]  # rounding at the very end


def _light(config: CompositeConfig, rng: np.random.Generator) -> Light:
    light = config.light
    return Light(
        shadow_deg=round(float(rng.uniform(0, 360)), 1),
        elevation_deg=round(float(rng.uniform(*light.elevation_deg)), 1),
        softness=round(float(rng.uniform(*light.softness)), 3),
        cast_strength=round(float(rng.uniform(*light.cast_strength)), 3),
        contact_strength=round(float(rng.uniform(*light.contact_strength)), 3),
    )


def _look(config: CompositeConfig, rng: np.random.Generator) -> Look:
    light = config.light
    fade = round(float(rng.uniform(*light.specular_fade)), 3)
    return Look(light.match_lightness, light.match_colour, light.follow_field, fade)


def _camera(config: CompositeConfig, view: BeltView, rng: np.random.Generator) -> Camera:
    camera = config.camera
    gain = rng.uniform(1 - camera.gain_jitter, 1 + camera.gain_jitter)
    balance = rng.uniform(1 - camera.white_balance_jitter, 1 + camera.white_balance_jitter, size=2)
    travel = view.travel_deg if view.travel_deg is not None else config.belt.travel_deg
    unknown_travel = 90.0 * float(rng.integers(2))
    moves, blurs = rng.random() < camera.motion_probability, rng.random() < camera.defocus_probability
    motion_px, defocus_px = float(rng.uniform(*camera.motion_px)), float(rng.uniform(*camera.defocus_px))
    darkens, vignette = rng.random() < camera.vignette_probability, float(rng.uniform(*camera.vignette))
    low, high = camera.jpeg_quality
    return Camera(
        gain_rgb=(round(float(gain * balance[0]), 4), round(float(gain), 4), round(float(gain * balance[1]), 4)),
        noise=round(float(rng.uniform(*camera.noise)), 3),
        noise_xy=(int(rng.integers(NOISE_SHIFT_PX)), int(rng.integers(NOISE_SHIFT_PX))),
        motion_px=round(motion_px, 2) if moves else 0.0,
        motion_deg=travel if travel is not None else unknown_travel,
        defocus_px=round(defocus_px, 2) if blurs else 0.0,
        jpeg_quality=int(rng.integers(low, high + 1)),
        vignette=round(vignette, 3) if darkens else 0.0,
    )
