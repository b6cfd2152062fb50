"""A placement carried out: the crop's pixels turned, scaled and cut to the smallest patch that holds them."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.cutout import PAD_PX, CropFacts, CropLevel
from garbage_synth.composite.scene import Placement

__all__ = ["CELL_PX", "Patch", "crop_to_frame", "warp"]

CELL_PX = 4  # patches are whole cells wide and high: shadows are made of cells
RIM_PX = 3  # for the soft edge, which may reach a little beyond the hull


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
    """The affine matrix (2, 3) from crop positions to frame positions (pixel corners at integers, as in boxes)."""
    angle = math.radians(placement.angle_deg)
    axis = math.radians(placement.squash_deg)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    along = np.array([math.cos(axis), math.sin(axis)])
    shorten = np.eye(2) - (1 - placement.squash) * np.outer(along, along)
    mirror = np.diag([-1.0 if placement.flipped else 1.0, 1.0])
    linear = placement.scale * (turn @ shorten @ mirror)
    middle = np.array([size_wh[0] / 2, size_wh[1] / 2])
    return np.column_stack([linear, np.asarray(placement.center_xy_px) - linear @ middle])


def warp(placement: Placement, facts: CropFacts, level: CropLevel) -> Patch:
    """The item as placed, from a level of its crop."""
    matrix = crop_to_frame(placement, facts.size_wh)
    hull = facts.hull_xy_px @ matrix[:, :2].T + matrix[:, 2]
    low, high = np.floor(hull.min(axis=0)).astype(int) - RIM_PX, np.ceil(hull.max(axis=0)).astype(int) + RIM_PX
    x0, y0 = int(low[0]), int(low[1])
    size_wh = tuple(-(-int(side) // CELL_PX) * CELL_PX for side in high - low)
    # level pixel centres -> crop positions -> frame positions -> patch pixel centres
    matrix[:, 2] += matrix[:, :2] @ ((0.5 - PAD_PX) / np.asarray(level.scale_xy)) - (x0, y0) - 0.5
    matrix[:, :2] /= np.asarray(level.scale_xy)
    rgba = cv2.warpAffine(level.rgba, matrix, size_wh, flags=cv2.INTER_LINEAR)
    rgb = np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8)
    alpha = np.asarray(cv2.extractChannel(rgba, 3), np.uint8)
    solid = alpha if level.silhouette is None else cv2.warpAffine(level.silhouette, matrix, size_wh)
    silhouette = cv2.threshold(solid, 127, 255, cv2.THRESH_BINARY)[1]
    return Patch(rgb, alpha, silhouette.astype(np.uint8, copy=False), x0, y0)
