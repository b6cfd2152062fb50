"""All the chances of a picture: what lies where on which belt, in which light. Nothing is drawn at random elsewhere."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from garbage_synth.composite.belt import BeltView
from garbage_synth.composite.cutout import CropFacts
from garbage_synth.composite.room import Footprint, Room, belt_grid, footprint
from garbage_synth.composite.scale import ScaleRule
from garbage_synth.composite.scene import Camera, Light, Look, Placement, SceneSpec
from garbage_synth.composite.sensor import NOISE_SHIFT_PX
from garbage_synth.config.composite import ClassesConfig, CompositeConfig

__all__ = ["Catalog", "class_shares", "sample_scene"]

GOLDEN = (math.sqrt(5) - 1) / 2
SPREAD_CANDIDATES = 5  # positions compared by their distance to the other items (Mitchell's best candidate)
TRIES_PER_POSE = 10
NEW_CROPS = 2  # another crop is tried when one finds no room
HOPELESS_SIDES = 8  # an item so many times as long as the frame fits nowhere; its footprint could exhaust the memory
BIG_ITEMS_BELOW = 0.7  # scatter of ln(area) when items are stacked by size: 0 = strictly the larger below


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """What one split is made of.

    crops: category -> crops. shares: category -> part of all items, adding up to 1. class_offset: start of the class
    sequence, 0..1. items: smallest and largest number of items per picture.
    """

    crops: Mapping[str, tuple[CropFacts, ...]]
    belts: tuple[BeltView, ...]
    shares: Mapping[str, float]
    class_offset: float
    items: tuple[int, int]
    scale: ScaleRule


def class_shares(config: ClassesConfig, crops: Mapping[str, tuple[CropFacts, ...]]) -> dict[str, float]:
    """The part of all items that each category gets, adding up to 1; empty where every weight is 0."""
    raw = {
        name: (len(own) if config.balance == "crops" else 1.0) * config.weights.get(name, 1.0)
        for name, own in sorted(crops.items())
        if own
    }
    total = sum(raw.values())
    return {name: value / total for name, value in raw.items() if value > 0} if total > 0 else {}


def sample_scene(config: CompositeConfig, catalog: Catalog, rng: np.random.Generator, *, index: int) -> SceneSpec:
    """The recipe of picture `index` of a split. rng must be that picture's own (`core.rng.rng_for`).

    Classes come from a golden-ratio sequence over (index, item), which keeps their shares close to the wanted ones
    without a counter that pictures would have to share.
    """
    view = catalog.belts[int(rng.integers(len(catalog.belts)))]
    light = _light(config, rng)
    camera = _camera(config, view, rng)
    low, high = catalog.items
    count = int(rng.integers(low, high + 1))
    if rng.random() < config.placement.empty_fraction or not catalog.shares:
        count = 0
    placer = _Placer(config, catalog, view, rng, Room(belt_grid(view, config.belt.edge_margin)))
    numbers = [index * max(high, 1) + item for item in range(count)]
    done = [placer.place(_category(catalog, number)) for number in numbers]
    placed = [item for item in done if item is not None]
    heights = [math.log(area) + rng.normal(0, BIG_ITEMS_BELOW) for _, area in placed]
    order = sorted(range(len(placed)), key=lambda item: -heights[item])
    return SceneSpec(
        size_wh=view.size_wh,
        background_id=view.background.id,
        light=light,
        look=Look(config.light.match_lightness, config.light.match_colour, config.light.follow_field),
        camera=camera,
        placements=tuple(placed[item][0] for item in order),
        not_placed=count - len(placed),
    )


def _category(catalog: Catalog, number: int) -> str:
    position = (catalog.class_offset + number * GOLDEN) % 1.0
    for name, share in catalog.shares.items():
        position -= share
        if position < 0:
            return name
    return list(catalog.shares)[-1]  # rounding at the very end


class _Placer:
    """Finds a pose and a position for one item after the other."""

    def __init__(
        self, config: CompositeConfig, catalog: Catalog, view: BeltView, rng: np.random.Generator, room: Room
    ) -> None:
        self.config, self.catalog, self.view, self.rng, self.room = config, catalog, view, rng, room
        placement = config.placement
        weights = np.array([placement.spread_weight, placement.random_weight, placement.cluster_weight])
        share = weights.cumsum() / weights.sum() if weights.sum() > 0 else np.array([0.0, 1.0, 1.0])
        self.layout = ("spread", "random", "cluster")[min(int((rng.random() >= share).sum()), 2)]
        self.middles: list[tuple[float, float]] = []
        self.clusters = [self._belt_cell() for _ in range(int(rng.integers(1, 4)))] if len(room.grid.inner_yx) else []

    def place(self, category: str) -> tuple[Placement, int] | None:
        """(placement, area in cells) of an item of this class, or None where it finds no room."""
        if not len(self.room.grid.inner_yx):
            return None
        for _ in range(1 + NEW_CROPS):
            crops = self.catalog.crops[category]
            facts = crops[int(self.rng.integers(len(crops)))]
            wants_cut = self.rng.random() < self.config.placement.cut_fraction and len(self.room.grid.border_yx) > 0
            scale = self.catalog.scale.draw(facts, self.view, self.rng)
            if facts.long_px * scale > HOPELESS_SIDES * max(self.view.size_wh):
                continue
            for _ in range(math.ceil(self.config.placement.tries / TRIES_PER_POSE)):
                pose = self._pose(facts, scale)
                print_ = footprint(pose, facts, self.room.grid.cell_px)
                found = self._find_position(print_, wants_cut)
                if found is not None:
                    return self._settle(pose, print_, *found), print_.area
        return None

    def _settle(self, pose: Placement, print_: Footprint, y: int, x: int) -> Placement:
        self.room.taken.append((print_, y, x))
        self.middles.append((y + print_.mask.shape[0] / 2, x + print_.mask.shape[1] / 2))
        grid = self.room.grid
        center = (
            (x - grid.pad) * grid.cell_px + print_.offset_px[0],
            (y - grid.pad) * grid.cell_px + print_.offset_px[1],
        )
        return replace(pose, center_xy_px=(round(center[0], 2), round(center[1], 2)))

    def _find_position(self, print_: Footprint, wants_cut: bool) -> tuple[int, int] | None:
        limits = self.config.placement
        if max(print_.mask.shape) > self.room.grid.pad * 2:  # longer than the frame: no place will do
            return None
        candidates: list[tuple[int, int]] = []
        wanted = SPREAD_CANDIDATES if self.layout == "spread" and self.middles and not wants_cut else 1
        for _ in range(min(TRIES_PER_POSE, limits.tries)):
            y, x = self._draw_position(print_, wants_cut)
            # a cell's margin keeps items whole that are not meant to be cut
            part = self.room.part_in_frame(print_, y, x, inset=0 if wants_cut else 1)
            if (limits.min_in_frame <= part < 1.0) if wants_cut else part == 1.0:
                off_belt = self.room.part_off_belt(print_, y, x) > limits.max_off_belt
                if not off_belt and self.room.largest_overlap(print_, y, x) <= limits.max_overlap:
                    candidates.append((y, x))
                    if len(candidates) == wanted:
                        break
        if not candidates:
            return None
        return max(candidates, key=lambda at: self._distance(print_, *at)) if wanted > 1 else candidates[0]

    def _draw_position(self, print_: Footprint, wants_cut: bool) -> tuple[int, int]:
        height, width = print_.mask.shape
        if wants_cut:
            cells = self.room.grid.border_yx
            y, x = (float(value) for value in cells[int(self.rng.integers(len(cells)))])
            reach = 0.4 * min(height, width)
            y, x = y + self.rng.uniform(-reach, reach), x + self.rng.uniform(-reach, reach)
        elif self.layout == "cluster" and self.clusters:
            y, x = self.clusters[int(self.rng.integers(len(self.clusters)))]
            sigma = max(0.12 * min(self.room.grid.size_cells), 0.6 * max(height, width))
            y, x = y + self.rng.normal(0, sigma), x + self.rng.normal(0, sigma)
        else:
            y, x = self._belt_cell()
        return round(y - height / 2), round(x - width / 2)

    def _belt_cell(self) -> tuple[float, float]:
        cells = self.room.grid.inner_yx
        y, x = cells[int(self.rng.integers(len(cells)))]
        return float(y), float(x)

    def _distance(self, print_: Footprint, y: int, x: int) -> float:
        middle = (y + print_.mask.shape[0] / 2, x + print_.mask.shape[1] / 2)
        return min(math.dist(middle, other) for other in self.middles)

    def _pose(self, facts: CropFacts, scale: float) -> Placement:
        rng, pose, light, camera = self.rng, self.config.pose, self.config.light, self.config.camera
        height = light.class_item_height.get(facts.crop.category, light.item_height)
        return Placement(
            crop_id=facts.crop.id,
            center_xy_px=(0.0, 0.0),
            scale=round(scale, 6),
            angle_deg=round(float(rng.uniform(0, 360)), 2) if pose.rotate else 0.0,
            flipped=bool(pose.flip and rng.random() < 0.5),
            squash=round(float(rng.uniform(*pose.squash)), 4),
            squash_deg=round(float(rng.uniform(0, 180)), 2),
            height_px=round(float(rng.uniform(*height)) * facts.short_px * scale, 2),
            exposure=round(float(rng.uniform(1 - light.exposure_jitter, 1 + light.exposure_jitter)), 4),
            feather_px=round(float(rng.uniform(*camera.feather_px)), 2),
        )


def _light(config: CompositeConfig, rng: np.random.Generator) -> Light:
    light = config.light
    return Light(
        shadow_deg=round(float(rng.uniform(0, 360)), 1),
        elevation_deg=round(float(rng.uniform(*light.elevation_deg)), 1),
        softness=round(float(rng.uniform(*light.softness)), 3),
        cast_strength=round(float(rng.uniform(*light.cast_strength)), 3),
        contact_strength=round(float(rng.uniform(*light.contact_strength)), 3),
    )


def _camera(config: CompositeConfig, view: BeltView, rng: np.random.Generator) -> Camera:
    camera = config.camera
    gain = rng.uniform(1 - camera.gain_jitter, 1 + camera.gain_jitter)
    balance = rng.uniform(1 - camera.white_balance_jitter, 1 + camera.white_balance_jitter, size=2)
    travel = view.travel_deg if view.travel_deg is not None else config.belt.travel_deg
    unknown_travel = 90.0 * float(rng.integers(2))
    moves, blurs = rng.random() < camera.motion_probability, rng.random() < camera.defocus_probability
    motion_px, defocus_px = float(rng.uniform(*camera.motion_px)), float(rng.uniform(*camera.defocus_px))
    low, high = camera.jpeg_quality
    return Camera(
        gain_rgb=(round(float(gain * balance[0]), 4), round(float(gain), 4), round(float(gain * balance[1]), 4)),
        noise=round(float(rng.uniform(*camera.noise)), 3),
        noise_xy=(int(rng.integers(NOISE_SHIFT_PX)), int(rng.integers(NOISE_SHIFT_PX))),
        motion_px=round(motion_px, 2) if moves else 0.0,
        motion_deg=travel if travel is not None else unknown_travel,
        defocus_px=round(defocus_px, 2) if blurs else 0.0,
        jpeg_quality=int(rng.integers(low, high + 1)),
    )
