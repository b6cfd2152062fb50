"""One frame of the sorting line with its labels, and one empty belt."""

from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from sample_data.render import labels, line, physics, sensor, studio, surfaces
from sample_data.render.individuals import Individual, draw_individuals, rng_for
from sample_data.render.items import build_item

__all__ = ["Frame", "FrameSet", "render_belt", "render_frame"]

MIN_ITEMS, MAX_ITEMS = 3, 14
MIN_VISIBLE_PX = 30
MIN_VISIBLE_FRACTION = 0.05


@dataclass(frozen=True, slots=True)
class FrameSet:
    """A series of frames whose items come from one set of individuals.

    name: split; individuals: set name that keys the items' seeds; size_wh: pixels (4:3); pool_per_category: how many
    individuals of a class exist in the set.
    """

    name: str
    individuals: str
    size_wh: tuple[int, int]
    seed: int
    pool_per_category: int = 40
    quality: studio.RenderQuality = studio.DEFAULT_QUALITY


@dataclass(frozen=True, slots=True)
class Frame:
    """A camera picture, uint8 (h, w, 3), and for each labelled item who it is and what is seen of it."""

    image_rgb: NDArray[np.uint8]
    items: tuple[tuple[Individual, labels.ItemLabel], ...]
    belt: line.BeltLook
    light: str


def render_frame(frames: FrameSet, index: int) -> Frame:
    """Frame `index` of the series: items fall onto the belt, come to rest and are photographed.

    Items of which fewer than 30 pixels or 5 % are visible stay in the picture without a label. A throw that leaves
    fewer than 3 or more than 14 labelled items in view is thrown again.
    """
    for attempt in range(50):
        rng = rng_for("frame", frames.individuals, frames.name, frames.seed, index, attempt)
        scene = studio.empty_scene()
        look = draw_belt(rng)
        light = str(rng.choice(line.LIGHT_KINDS))
        line.build_line(scene, look, frames.size_wh)
        line.draw_light(scene, rng, light)
        labelled = _throw_items(scene, frames, rng)
        if MIN_ITEMS <= len(labelled) <= MAX_ITEMS:
            picture = studio.render_rgba(scene, frames.quality, seed=index)[..., :3]
            return Frame(_photograph(picture, rng), labelled, look, light)
    raise RuntimeError(f"frame {index} of {frames.name}: 50 throws left no 3 to 14 items in view")


def _throw_items(
    scene: bpy.types.Scene, frames: FrameSet, rng: np.random.Generator
) -> tuple[tuple[Individual, labels.ItemLabel], ...]:
    individuals = draw_individuals(
        rng,
        set_name=frames.individuals,
        count=int(rng.integers(4, 19)),
        pool_per_category=frames.pool_per_category,
    )
    items = [build_individual(individual, most_crush=1.0) for individual in individuals]
    physics.throw_in(items, rng, zone=(-0.72, -0.31, 0.72, 0.31), clustering=float(rng.choice([0.0, 0.25, 0.6])))
    half = line.BELT_WIDTH_M / 2
    obstacles = [
        studio.add_block("ground", (-3, -1.5, -0.4), (3, 1.5, 0.0)),
        studio.add_block("wall", (-3, -half - 0.4, -0.4), (3, -half, 4.0)),
        studio.add_block("wall", (-3, half, -0.4), (3, half + 0.4, 4.0)),
    ]
    physics.settle(scene, items, obstacles)
    seen = labels.item_labels(scene, items, pad_px=round(frames.size_wh[0] * 450 / line.FRAME_WIDTH_MM))
    return tuple(
        (individual, label)
        for individual, label in zip(individuals, seen, strict=True)
        if label.mask.sum() >= MIN_VISIBLE_PX and label.visible_fraction >= MIN_VISIBLE_FRACTION
    )


def _photograph(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    scale = picture.shape[1] / 640
    return sensor.through_camera(
        picture,
        rng,
        blur_px=float(rng.uniform(0.0, 2.2)) * scale,
        travel_deg=line.travel_deg(),
        noise=float(rng.uniform(1.6, 4.2)),
        vignette=float(rng.uniform(0.05, 0.18)),
        softness_px=float(rng.uniform(0.25, 0.5)) * scale,
    )


def render_belt(seed: int, number: int, size_wh: tuple[int, int], quality: studio.RenderQuality) -> NDArray[np.uint8]:
    """An empty belt, uint8 (h, w, 3), through the same camera as the frames."""
    rng = rng_for("empty belt", seed, number)
    scene = studio.empty_scene()
    look = draw_belt(rng, kind=tuple(surfaces.BELT_KINDS)[number % len(surfaces.BELT_KINDS)])
    line.build_line(scene, look, size_wh)
    line.draw_light(scene, rng, line.LIGHT_KINDS[(number + number // len(surfaces.BELT_KINDS)) % len(line.LIGHT_KINDS)])
    picture = studio.render_rgba(scene, quality, seed=number)[..., :3]
    return sensor.through_camera(
        picture, rng, blur_px=0.0, travel_deg=line.travel_deg(), noise=2.2, vignette=0.1, softness_px=0.6
    )


def draw_belt(rng: np.random.Generator, kind: str | None = None) -> line.BeltLook:
    """The belt of one moment: two individual belts of each kind exist, in three states of dirt and wear."""
    kind = kind or str(rng.choice(tuple(surfaces.BELT_KINDS), p=[0.4, 0.3, 0.15, 0.15]))
    number = int(rng.integers(2))
    state = rng_for("belt state", kind, number)
    return line.BeltLook(
        kind=kind,
        number=number,
        offset_m=float(rng.uniform(0, line.BELT_LENGTH_M)),
        dirt=float(state.uniform(0.15, 0.9)),
        wear=float(state.uniform(0.2, 1.0)),
    )


def build_individual(individual: Individual, *, most_crush: float) -> bpy.types.Object:
    """The individual's mesh object; how crushed it is belongs to it, up to `most_crush` (0..1)."""
    rng = rng_for("individual", individual.key)
    crush = most_crush * float(rng.beta(1.0, 1.5))
    return build_item(individual.category, rng, crush=crush)
