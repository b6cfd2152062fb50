"""The pixels of one crop: what is known of its silhouette, and copies reduced by powers of two for clean warping."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.types import Crop

__all__ = ["CropFacts", "CropLevel", "level_for", "measure", "reduce"]

SMALL_SIDE_PX = 64
PAD_PX = 4  # free rim around every level, so that interpolation at the picture's edge meets alpha 0 in the right colour
BLEED_SIGMA_PX = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class CropFacts:
    """What sampling needs of a crop, without its pixels.

    hull_xy_px: float32 (n, 2), convex hull of the silhouette's pixel corners, crop pixels. long_px, short_px: sides of
    its minimum-area rectangle; long_axis_deg: direction of the longer one, 0 = +x, 90 = +y. small: uint8 (h', w')
    0..255, the silhouette at small_scale (small pixels per crop pixel). mean_lab: CIE Lab of the item. opacity: mean
    alpha within the silhouette, 0..1. fills_its_picture: it is an opaque rectangle.
    """

    crop: Crop
    size_wh: tuple[int, int]
    hull_xy_px: NDArray[np.float32]
    long_px: float
    short_px: float
    long_axis_deg: float
    small: NDArray[np.uint8]
    small_scale: tuple[float, float]
    mean_lab: tuple[float, float, float]
    opacity: float
    fills_its_picture: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CropLevel:
    """A crop at scale (level pixels per crop pixel), with a rim of PAD_PX level pixels around it.

    rgba: uint8 (h, w, 4), colours not multiplied by alpha and continued a little beyond the item's edge.
    silhouette: uint8 (h, w) 0..255 where labels come from a mask of its own, None where they come from alpha.
    """

    rgba: NDArray[np.uint8]
    silhouette: NDArray[np.uint8] | None
    scale_xy: tuple[float, float]


def measure(crop: Crop, rgba: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> CropFacts | None:
    """The facts of a crop from its RGBA uint8 (h, w, 4) and, where it has one, its silhouette bool (h, w).

    None where no pixel belongs to the item: alpha is below 128 everywhere (an item that is see-through all over
    needs a `_mask.png`), or the mask is empty.
    """
    silhouette = (mask if mask is not None else rgba[..., 3] > 127).astype(np.uint8)
    contours, _ = cv2.findContours(silhouette, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    centers = np.concatenate(contours).reshape(-1, 2)
    corners = (centers[:, None, :] + np.array([[0, 0], [1, 0], [0, 1], [1, 1]])).reshape(-1, 2).astype(np.float32)
    hull = cv2.convexHull(corners).reshape(-1, 2)
    _, sides, turn_deg = cv2.minAreaRect(hull)
    height, width = silhouette.shape
    factor = min(1.0, SMALL_SIDE_PX / max(width, height))
    small_wh = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(silhouette * np.uint8(255), small_wh, interpolation=cv2.INTER_AREA)
    # Means on a small copy: a median-size crop costs 0.1 ms instead of 10.
    weight = cv2.resize(rgba[..., 3] * silhouette, small_wh, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    premultiplied = rgba[..., :3].astype(np.float32) * ((rgba[..., 3] * silhouette)[..., None] / np.float32(255 * 255))
    colour = cv2.resize(premultiplied, small_wh, interpolation=cv2.INTER_AREA).sum(axis=(0, 1)) / max(
        weight.sum(), 1e-6
    )
    lab = cv2.cvtColor(np.clip(colour, 0, 1).reshape(1, 1, 3).astype(np.float32), cv2.COLOR_RGB2LAB)[0, 0]
    return CropFacts(
        crop=crop,
        size_wh=(width, height),
        hull_xy_px=hull.astype(np.float32),
        long_px=float(max(sides)),
        short_px=float(min(sides)),
        long_axis_deg=float(turn_deg if sides[0] >= sides[1] else turn_deg + 90),
        small=small.astype(np.uint8),
        small_scale=(small_wh[0] / width, small_wh[1] / height),
        mean_lab=(float(lab[0]), float(lab[1]), float(lab[2])),
        opacity=float(rgba[..., 3][silhouette > 0].mean() / 255),
        fills_its_picture=bool(silhouette.all() and (rgba[..., 3] == 255).all()),
    )


def level_for(scale: float) -> int:
    """The level 0, 1, 2, ... (sides divided by 1, 2, 4, ...) from which bilinear warping to `scale` does not alias."""
    return max(0, math.floor(math.log2(1 / max(scale, 1e-4)) + 1e-6))


def reduce(rgba: NDArray[np.uint8], mask: NDArray[np.bool_] | None, level: int) -> CropLevel:
    """The crop at 1 / 2**level of its size: RGBA uint8 (h, w, 4) and its silhouette bool (h, w), or None.

    What is not labelled is not drawn: beyond the silhouette and a soft rim of one pixel, alpha counts as 0.
    """
    if mask is not None:
        near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
        rgba = np.dstack([rgba[..., :3], rgba[..., 3] * near]).astype(np.uint8, copy=False)
    height, width = rgba.shape[:2]
    size_wh = (max(1, round(width / 2**level)), max(1, round(height / 2**level)))
    padding = ((PAD_PX, PAD_PX), (PAD_PX, PAD_PX))
    alpha = cv2.resize(rgba[..., 3], size_wh, interpolation=cv2.INTER_AREA) if level else rgba[..., 3]
    weight: NDArray[Any] = rgba[..., 3:].astype(np.float32) / 255
    colour: NDArray[Any] = rgba[..., :3].astype(np.float32) * weight
    if level:  # colours are averaged by their alpha: what a clear pixel hides has no say
        colour = cv2.resize(colour, size_wh, interpolation=cv2.INTER_AREA)
        weight = cv2.resize(weight, size_wh, interpolation=cv2.INTER_AREA).reshape(*colour.shape[:2], 1)
    alpha = np.pad(alpha, padding)
    colour = np.pad(colour, (*padding, (0, 0)))
    weight = np.pad(weight[..., 0], padding)
    spread = cv2.GaussianBlur(colour, (0, 0), BLEED_SIGMA_PX)
    spread_weight = cv2.GaussianBlur(weight, (0, 0), BLEED_SIGMA_PX)[..., None]
    around = spread / np.maximum(spread_weight, 1e-4)
    own = colour / np.maximum(weight[..., None], 1e-4)
    straight = np.where(weight[..., None] > 0.06, own, around)
    out = np.dstack([np.clip(np.rint(straight), 0, 255).astype(np.uint8), alpha])
    silhouette = None
    if mask is not None:
        full = mask.astype(np.uint8) * np.uint8(255)
        silhouette = np.pad(cv2.resize(full, size_wh, interpolation=cv2.INTER_AREA) if level else full, padding)
        silhouette = silhouette.astype(np.uint8)
    return CropLevel(np.ascontiguousarray(out), silhouette, (size_wh[0] / width, size_wh[1] / height))
