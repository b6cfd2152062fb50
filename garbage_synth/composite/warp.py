"""A placement carried out: the crop's pixels bent, turned, scaled and cut to the smallest patch that holds them."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.cutout import PAD_PX, CropFacts, CropLevel
from garbage_synth.composite.deform import largest_reach, source_of, tilt_matrix
from garbage_synth.composite.scene import Placement

__all__ = ["CELL_PX", "Patch", "box_in_frame", "crop_to_frame", "resample", "warp"]

CELL_PX = 4  # patches are whole cells wide and high: shadows are made of cells
RIM_PX = 3  # for the soft edge, which may reach a little beyond the hull
NODE_PX = 8  # a bend is computed at nodes so far apart and interpolated between them; a power of two stays exact


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One item in the frame.

    rgb: uint8 (h, w, 3), not multiplied by alpha. alpha: uint8 (h, w), opacity. silhouette: uint8 (h, w) 0 or 255, the
    pixels that are labelled. x0, y0: frame position of the patch's corner; it may reach outside the frame.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    silhouette: NDArray[np.uint8]
    x0: int
    y0: int


def crop_to_frame(placement: Placement, size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """The homography (3, 3) from crop positions to frame positions (pixel corners at integers, as in boxes).

    Affine but for a tilted item. What `Deform` does beside the tilt comes before it.
    """
    angle, axis = math.radians(placement.angle_deg), math.radians(placement.squash_deg)
    cos, sin, along, across = math.cos(angle), math.sin(angle), math.cos(axis), math.sin(axis)
    # shortened along the axis: 1 - (1 - squash) a a^T; written out, for numpy takes longer on four numbers
    lost = 1 - placement.squash
    xx, xy, yy = 1 - lost * along * along, -lost * along * across, 1 - lost * across * across
    right, down = (-placement.scale if placement.flipped else placement.scale), placement.scale
    matrix = np.array(
        [
            [right * (cos * xx - sin * xy), down * (cos * xy - sin * yy), 0.0],
            [right * (sin * xx + cos * xy), down * (sin * xy + cos * yy), 0.0],
            [0.0, 0.0, 1.0],
        ]
    )
    if placement.deform is not None and placement.deform.tilt_deg:
        half = max(size_wh) / 2
        matrix[:2, :2] *= half
        matrix = matrix @ tilt_matrix(placement.deform) @ np.diag([1 / half, 1 / half, 1.0])
    matrix[:, 2] -= matrix[:, :2] @ (size_wh[0] / 2, size_wh[1] / 2)  # from the middle of the crop ...
    matrix[:2] += np.outer(placement.center_xy_px, matrix[2])  # ... to its place
    return matrix


def box_in_frame(
    placement: Placement, facts: CropFacts, matrix: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """(x0, y0, x1, y1) in frame pixels, within which the whole silhouette comes to lie."""
    hull = facts.hull_xy_px @ matrix[:2, :2].T + matrix[:2, 2]
    reach = 0.0
    if placement.deform is not None:
        depth = facts.hull_xy_px @ matrix[2, :2] + matrix[2, 2]
        hull = hull / depth[:, None]
        long_px, short_px = max(facts.size_wh), min(facts.size_wh)
        halves = largest_reach(placement.deform, short_px / long_px)
        reach = halves * long_px / 2 * placement.scale / float(depth.min())
    low, high = hull.min(axis=0) - reach, hull.max(axis=0) + reach
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def resample(
    source: NDArray[np.uint8],
    placement: Placement,
    facts: CropFacts,
    matrix: NDArray[np.float64],
    scale_xy: NDArray[np.float64],
    offset_px: float,
    size_wh: tuple[int, int],
) -> NDArray[np.uint8]:
    """A picture of the crop, uint8 (h, w) or (h, w, 4), as it lies in the frame: uint8 of size_wh, 0 around it.

    matrix: (3, 3), crop positions to those of the result. scale_xy: source pixels per crop pixel; offset_px: width of
    the rim around the source.
    """
    if placement.deform is None:
        affine = matrix[:2].copy()
        affine[:, 2] += affine[:, :2] @ ((0.5 - offset_px) / scale_xy) - 0.5
        affine[:, :2] /= scale_xy
        return np.asarray(cv2.warpAffine(source, affine, size_wh, flags=cv2.INTER_LINEAR), np.uint8)
    width, height = size_wh
    # Nodes lie in the middle of blocks of pixels, with a block more on every side; between them linearly, which is
    # exact for all that is affine.
    x = _nodes(width)[None, :]
    y = _nodes(height)[:, None]
    from_x, from_y, depth = (
        np.float32(row[0]) * x + np.float32(row[1]) * y + np.float32(row[2]) for row in np.linalg.inv(matrix)
    )
    half = max(facts.size_wh) / 2
    middle_x, middle_y = facts.size_wh[0] / 2, facts.size_wh[1] / 2
    bent_x, bent_y = source_of((from_x / depth - middle_x) / half, (from_y / depth - middle_y) / half, placement.deform)
    where = [
        cv2.resize(
            (bent * half + middle) * scale + (offset_px - 0.5),
            (len(x[0]) * NODE_PX, len(y) * NODE_PX),
            interpolation=cv2.INTER_LINEAR,
        )[NODE_PX : NODE_PX + height, NODE_PX : NODE_PX + width]
        for bent, middle, scale in zip((bent_x, bent_y), (middle_x, middle_y), map(float, scale_xy), strict=True)
    ]
    return np.asarray(cv2.remap(source, where[0], where[1], cv2.INTER_LINEAR), np.uint8)


def warp(placement: Placement, facts: CropFacts, level: CropLevel) -> Patch:
    """The item as placed, from a level of its crop."""
    matrix = crop_to_frame(placement, facts.size_wh)
    box = box_in_frame(placement, facts, matrix)
    x0, y0 = math.floor(box[0]) - RIM_PX, math.floor(box[1]) - RIM_PX
    size_wh = _cells(math.ceil(box[2]) + RIM_PX - x0), _cells(math.ceil(box[3]) + RIM_PX - y0)
    aside = np.eye(3)
    aside[:2, 2] = -x0, -y0
    matrix, scale_xy = aside @ matrix, np.asarray(level.scale_xy)
    rgba = resample(level.rgba, placement, facts, matrix, scale_xy, PAD_PX, size_wh)
    solid = None
    if level.silhouette is not None:
        solid = resample(level.silhouette, placement, facts, matrix, scale_xy, PAD_PX, size_wh)
    if placement.deform is not None:  # its box was a guess
        rgba, solid, (left, top) = _trimmed(rgba, solid)
        x0, y0 = x0 + left, y0 + top
    rgb = np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8)
    alpha = np.asarray(cv2.extractChannel(rgba, 3), np.uint8)
    silhouette = cv2.threshold(alpha if solid is None else solid, 127, 255, cv2.THRESH_BINARY)[1]
    return Patch(rgb, alpha, silhouette.astype(np.uint8, copy=False), x0, y0)


def _nodes(side_px: int) -> NDArray[np.float32]:
    """Where the nodes along a side lie, in pixels from its first edge."""
    return (np.arange(-1, -(-side_px // NODE_PX) + 1, dtype=np.float32) + np.float32(0.5)) * np.float32(NODE_PX)


def _cells(side_px: int) -> int:
    """A side made longer to whole cells."""
    return -(-side_px // CELL_PX) * CELL_PX


def _trimmed(
    rgba: NDArray[np.uint8], solid: NDArray[np.uint8] | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, tuple[int, int]]:
    """(pixels, silhouette, (left, top)) without the empty cells around the item."""
    drawn = cv2.extractChannel(rgba, 3)
    x, y, width, height = cv2.boundingRect(drawn if solid is None else cv2.max(drawn, solid))
    left, top = max(x - RIM_PX, 0) // CELL_PX * CELL_PX, max(y - RIM_PX, 0) // CELL_PX * CELL_PX
    right = min(left + _cells(x + width + RIM_PX - left), rgba.shape[1])
    bottom = min(top + _cells(y + height + RIM_PX - top), rgba.shape[0])
    part = slice(top, max(bottom, top + CELL_PX)), slice(left, max(right, left + CELL_PX))
    return np.ascontiguousarray(rgba[part]), None if solid is None else solid[part], (left, top)
