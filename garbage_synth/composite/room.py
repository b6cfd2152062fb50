"""Where an item finds room: belt, frame and the items that lie already, all as masks on a coarse grid."""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.belt import BeltView, belt_mask
from garbage_synth.composite.cutout import CropFacts
from garbage_synth.composite.scene import Placement
from garbage_synth.composite.warp import box_in_frame, crop_to_frame, resample

__all__ = ["BeltGrid", "Footprint", "Room", "belt_grid", "footprint"]

GRID_CELLS = 320  # along the frame's longer side


@dataclass(frozen=True, slots=True, eq=False)
class BeltGrid:
    """A belt in cells of cell_px frame pixels, with `pad` cells around the frame.

    size_cells: (columns, rows) that lie whole in the frame. allowed: uint8 0/1, cells an item may cover; beyond the
    frame the belt goes on as it is at the frame's edge. inner_yx, border_yx: int (n, 2), belt cells in the frame and
    those of them on its edge, in padded cells.
    """

    cell_px: int
    pad: int
    size_cells: tuple[int, int]
    allowed: NDArray[np.uint8]
    inner_yx: NDArray[np.intp]
    border_yx: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Footprint:
    """A silhouette on the grid: uint8 (h, w) 0/1 and its area in cells. offset_px: frame pixels from the corner of the
    mask to the middle of the crop's picture."""

    mask: NDArray[np.uint8]
    area: int
    offset_px: tuple[float, float]


@lru_cache(maxsize=64)
def belt_grid(view: BeltView, edge_margin: float) -> BeltGrid:
    """The grid of a belt; edge_margin: free strip along its edges, fraction of the frame's short side."""
    width, height = view.size_wh
    cell_px = max(2, math.ceil(max(width, height) / GRID_CELLS))
    mask = belt_mask(view, cell_px)
    pad = max(mask.shape) // 2
    wide = cv2.copyMakeBorder(mask, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    margin = math.ceil(edge_margin * min(width, height) / cell_px)
    allowed = wide
    if not mask.all():
        square = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
        allowed = cv2.erode(wide, square, borderValue=(1,)).astype(np.uint8)
    rows, columns = mask.shape
    frame = allowed[pad : pad + rows, pad : pad + columns]
    inner = np.argwhere(frame)
    edge = (inner[:, 0] == 0) | (inner[:, 0] == rows - 1) | (inner[:, 1] == 0) | (inner[:, 1] == columns - 1)
    # a last column or row that is only partly in the frame does not count as frame
    size_cells = (max(1, width // cell_px), max(1, height // cell_px))
    return BeltGrid(cell_px, pad, size_cells, allowed.astype(np.uint8), inner + pad, inner[edge] + pad)


def footprint(placement: Placement, facts: CropFacts, cell_px: int) -> Footprint:
    """The silhouette of an item as it would be placed, wherever that is."""
    matrix = crop_to_frame(placement, facts.size_wh)
    x0, y0, x1, y1 = (value / cell_px for value in box_in_frame(placement, facts, matrix))
    left, top = math.floor(x0), math.floor(y0)
    size_wh = (max(1, math.ceil(x1) - left), max(1, math.ceil(y1) - top))
    to_cells = np.array([[1 / cell_px, 0, -left], [0, 1 / cell_px, -top], [0, 0, 1]])
    warped = resample(facts.small, placement, facts, to_cells @ matrix, np.asarray(facts.small_scale), 0.0, size_wh)
    if placement.deform is not None:  # its box was a guess
        x, y, width, height = cv2.boundingRect(cv2.threshold(warped, 127, 255, cv2.THRESH_BINARY)[1])
        if width:
            warped, left, top = warped[y : y + height, x : x + width], left + x, top + y
    mask = cv2.threshold(warped, 127, 1, cv2.THRESH_BINARY)[1].astype(np.uint8, copy=False)
    if not cv2.countNonZero(mask):  # smaller than a cell: it takes one
        mask = (warped >= warped.max()).astype(np.uint8)
    middle = np.asarray(placement.center_xy_px) - np.array([left, top]) * cell_px
    return Footprint(mask, cv2.countNonZero(mask), (float(middle[0]), float(middle[1])))


@dataclass(slots=True)
class Room:
    """What is taken on a belt. Positions are the upper left cell (y, x) of a footprint on the padded grid."""

    grid: BeltGrid
    taken: list[tuple[Footprint, int, int]] = field(default_factory=list)

    def part_in_frame(self, print_: Footprint, y: int, x: int, *, inset: int = 0) -> float:
        """The part of a footprint that lies in the frame, or `inset` cells inside its edge, 0..1."""
        columns, rows = self.grid.size_cells
        pad = self.grid.pad
        height, width = print_.mask.shape
        top, left = max(pad + inset - y, 0), max(pad + inset - x, 0)
        bottom, right = min(pad + rows - inset - y, height), min(pad + columns - inset - x, width)
        if (top, left, bottom, right) == (0, 0, height, width):
            return 1.0
        if top >= bottom or left >= right:
            return 0.0
        return cv2.countNonZero(print_.mask[top:bottom, left:right]) / print_.area

    def part_off_belt(self, print_: Footprint, y: int, x: int) -> float:
        """The part of a footprint that lies beside the belt, 0..1; 1 where it leaves the grid."""
        height, width = print_.mask.shape
        rows, columns = self.grid.allowed.shape
        if y < 0 or x < 0 or y + height > rows or x + width > columns:
            return 1.0
        covered = cv2.bitwise_and(print_.mask, self.grid.allowed[y : y + height, x : x + width])
        return 1 - cv2.countNonZero(covered) / print_.area

    def largest_overlap(self, print_: Footprint, y: int, x: int) -> float:
        """The largest part of the smaller silhouette that this footprint shares with one that lies already, 0..1."""
        worst = 0.0
        height, width = print_.mask.shape
        for other, other_y, other_x in self.taken:
            top, left = max(y, other_y), max(x, other_x)
            bottom = min(y + height, other_y + other.mask.shape[0])
            right = min(x + width, other_x + other.mask.shape[1])
            if top >= bottom or left >= right:
                continue
            own = print_.mask[top - y : bottom - y, left - x : right - x]
            others = other.mask[top - other_y : bottom - other_y, left - other_x : right - other_x]
            shared = cv2.countNonZero(cv2.bitwise_and(own, others))
            worst = max(worst, shared / min(print_.area, other.area))
        return worst
