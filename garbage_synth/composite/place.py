"""Finds a pose and a position for one item after the other."""

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.belt import BeltView
from garbage_synth.composite.cutout import CropFacts
from garbage_synth.composite.pose import draw_pose
from garbage_synth.composite.room import Footprint, Room, belt_grid, footprint
from garbage_synth.composite.scale import ScaleRule
from garbage_synth.composite.scene import Placement
from garbage_synth.config.composite import CompositeConfig

__all__ = ["Placer"]

SPREAD_CANDIDATES = 5  # positions compared by their distance to the other items (Mitchell's best candidate)
TRIES_PER_POSE = 10
NEW_CROPS = 2  # another crop is tried when one finds no room
HOPELESS_SIDES = 8  # an item so many times as long as the frame fits nowhere; its footprint could exhaust the memory
LAYOUTS = ("spread", "random", "cluster", "pile")
ZOOM_STEP = 0.02  # of ln(zoom): footprints are kept by it
PILE_SIGMA = 0.45  # scatter of a pile's items about its middle, in sizes of the item


class Placer:
    """The belt of one picture while it fills."""

    def __init__(self, config: CompositeConfig, scale: ScaleRule, view: BeltView, rng: np.random.Generator) -> None:
        self._config, self._scale, self._view, self._rng = config, scale, view, rng
        self._room = Room(belt_grid(view, config.belt.edge_margin))
        placement = config.placement
        weights = np.array(
            [placement.spread_weight, placement.random_weight, placement.cluster_weight, placement.pile_weight]
        )
        share = weights.cumsum() / weights.sum() if weights.sum() > 0 else np.array([0.0, 1.0, 1.0, 1.0])
        self._layout = LAYOUTS[min(int((rng.random() >= share).sum()), 3)]
        self._max_overlap = placement.pile_overlap if self._layout == "pile" else placement.max_overlap
        self._middles: list[tuple[float, float]] = []
        groups = int(rng.integers(1, 4))
        self._groups = [self._belt_cell() for _ in range(groups)] if self.belt_cells else []

    @property
    def belt_cells(self) -> int:
        """The area of the belt in the frame, in cells as those of `place`."""
        return len(self._room.grid.inner_yx)

    def place(self, crops: Sequence[CropFacts], rng: np.random.Generator) -> tuple[Placement, int] | None:
        """(placement, area in cells) of one of these crops, or None where it finds no room."""
        self._rng = rng
        if not self.belt_cells:
            return None
        for _ in range(1 + NEW_CROPS):
            facts = crops[int(self._rng.integers(len(crops)))]
            wants_cut = self._rng.random() < self._config.placement.cut_fraction and bool(len(self._border))
            scale = self._scale.draw(facts, self._view, self._rng)
            if self._is_hopeless(facts, scale):
                continue
            for _ in range(math.ceil(self._config.placement.tries / TRIES_PER_POSE)):
                pose = draw_pose(self._config, facts, scale, self._rng)
                found = self._find_position(pose, facts, wants_cut)
                if found is not None:
                    self._room.taken.append(found[1:])
                    self._middles.append(_middle(*found[1:]))
                    return self._at(*found), found[1].area
        return None

    def strew(self, facts: CropFacts, rng: np.random.Generator) -> Placement | None:
        """An unlabelled distractor anywhere on the belt, taking no room from items. None where it is too large."""
        self._rng = rng
        fraction = self._config.distractors.image_fraction
        scale = self._scale.draw(facts, self._view, self._rng, image_fraction=fraction)
        pose = draw_pose(self._config, facts, scale, self._rng)
        if self._is_hopeless(facts, scale) or not self.belt_cells:
            return None
        # nothing is left of a see-through thing that is cut along its silhouette
        pose = replace(pose, blend="feather" if pose.blend == "none" else pose.blend, labelled=False)
        for _ in range(TRIES_PER_POSE):
            y, x = self._belt_cell()
            own = _scaled(pose, self._zoom_at(y, x))
            print_ = footprint(own, facts, self._room.grid.cell_px)
            top, left = round(y - print_.mask.shape[0] / 2), round(x - print_.mask.shape[1] / 2)
            if self._room.part_off_belt(print_, top, left) <= self._config.placement.max_off_belt:
                return self._at(own, print_, top, left)
        return None

    def coverage(self) -> float:
        """The part of the belt in the frame that items hide so far, 0..1; what overlaps counts once."""
        grid = self._room.grid
        covered = np.zeros_like(grid.allowed)
        for print_, y, x in self._room.taken:
            height, width = print_.mask.shape
            covered[y : y + height, x : x + width] |= print_.mask
        columns, rows = grid.size_cells
        frame = slice(grid.pad, grid.pad + rows), slice(grid.pad, grid.pad + columns)
        hidden = cv2.countNonZero(covered[frame] & grid.allowed[frame])
        return hidden / max(1, cv2.countNonZero(grid.allowed[frame]))

    def _in_frame(self, y: float, x: float) -> tuple[float, float]:
        """Frame pixels (x, y) of a place in cells of the padded grid."""
        grid = self._room.grid
        return round((x - grid.pad) * grid.cell_px, 2), round((y - grid.pad) * grid.cell_px, 2)

    @property
    def _border(self) -> NDArray[np.intp]:
        return self._room.grid.border_yx

    def _is_hopeless(self, facts: CropFacts, scale: float) -> bool:
        return facts.long_px * scale > HOPELESS_SIDES * max(self._view.size_wh)

    def _at(self, pose: Placement, print_: Footprint, y: int, x: int) -> Placement:
        cell_px = self._room.grid.cell_px
        return replace(
            pose, center_xy_px=self._in_frame(y + print_.offset_px[1] / cell_px, x + print_.offset_px[0] / cell_px)
        )

    def _find_position(
        self, pose: Placement, facts: CropFacts, wants_cut: bool
    ) -> tuple[Placement, Footprint, int, int] | None:
        """(pose, footprint, upper left cell y, x) that keeps to all limits, or None."""
        limits = self._config.placement
        print_ = footprint(pose, facts, self._room.grid.cell_px)
        if max(print_.mask.shape) > self._room.grid.pad * 2:  # longer than the frame: no place will do
            return None
        candidates: list[tuple[Placement, Footprint, int, int]] = []
        wanted = SPREAD_CANDIDATES if self._layout == "spread" and self._middles and not wants_cut else 1
        prints = {1.0: (pose, print_)}  # by how much larger it is seen
        for _ in range(min(TRIES_PER_POSE, limits.tries)):
            middle = self._draw_middle(prints[1.0][1], wants_cut)
            zoom = self._zoom_at(*middle)
            if zoom not in prints:
                own = _scaled(pose, zoom)
                prints[zoom] = own, footprint(own, facts, self._room.grid.cell_px)
            own, print_ = prints[zoom]
            y, x = round(middle[0] - print_.mask.shape[0] / 2), round(middle[1] - print_.mask.shape[1] / 2)
            # a cell's margin keeps items whole that are not meant to be cut
            part = self._room.part_in_frame(print_, y, x, inset=0 if wants_cut else 1)
            if (limits.min_in_frame <= part < 1.0) if wants_cut else part == 1.0:
                off_belt = self._room.part_off_belt(print_, y, x) > limits.max_off_belt
                if not off_belt and self._room.largest_overlap(print_, y, x) <= self._max_overlap:
                    candidates.append((own, print_, y, x))
                    if len(candidates) == wanted:
                        break
        if not candidates:
            return None
        return max(candidates, key=lambda found: self._distance(*found[1:])) if wanted > 1 else candidates[0]

    def _zoom_at(self, y: float, x: float) -> float:
        """How much larger an item is seen at a cell of the padded grid than in the middle, in steps of ZOOM_STEP."""
        if self._view.zoom_xy == (0.0, 0.0) or self._scale.config.source == "native":
            return 1.0
        zoom = self._view.zoom_at(*self._in_frame(y, x))
        return math.exp(round(math.log(zoom) / ZOOM_STEP) * ZOOM_STEP)

    def _draw_middle(self, print_: Footprint, wants_cut: bool) -> tuple[float, float]:
        """A place for the middle of a footprint, in cells of the padded grid."""
        height, width = print_.mask.shape
        if wants_cut:
            y, x = (float(value) for value in self._border[int(self._rng.integers(len(self._border)))])
            reach = 0.4 * min(height, width)
            return y + self._rng.uniform(-reach, reach), x + self._rng.uniform(-reach, reach)
        if self._layout in ("cluster", "pile") and self._groups:
            y, x = self._groups[int(self._rng.integers(len(self._groups)))]
            sigma = PILE_SIGMA * max(height, width)
            if self._layout == "cluster":
                sigma = max(0.12 * min(self._room.grid.size_cells), 0.6 * max(height, width))
            return y + self._rng.normal(0, sigma), x + self._rng.normal(0, sigma)
        return self._belt_cell()

    def _belt_cell(self) -> tuple[float, float]:
        cells = self._room.grid.inner_yx
        y, x = cells[int(self._rng.integers(len(cells)))]
        return float(y), float(x)

    def _distance(self, print_: Footprint, y: int, x: int) -> float:
        return min(math.dist(_middle(print_, y, x), other) for other in self._middles)


def _scaled(pose: Placement, zoom: float) -> Placement:
    return replace(pose, scale=round(pose.scale * zoom, 6), height_px=round(pose.height_px * zoom, 2))


def _middle(print_: Footprint, y: int, x: int) -> tuple[float, float]:
    return y + print_.mask.shape[0] / 2, x + print_.mask.shape[1] / 2
