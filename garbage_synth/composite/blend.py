"""An item laid over what is there."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.shade import Shadow
from garbage_synth.composite.warp import Patch
from garbage_synth.config.composite import BlendMode

__all__ = ["edge", "frame_part", "lay_over"]

PYRAMID_LEVELS = 2
CONTINUED_SIGMA_PX = 5.0  # reaches further than the pyramid's coarsest band
SMALLEST_CLONE_PX = 8  # below, nothing but the colour around would be left
CLONE_BORDER_PX = 4

Slices = tuple[slice, slice]


def edge(patch: Patch, blend: BlendMode, feather_px: float) -> NDArray[np.uint8]:
    """The opacity uint8 (h, w) with which a patch is drawn.

    none: hard, the silhouette alone. feather: an edge of sigma feather_px that fades inwards only, so that no pixel
    beyond alpha is drawn, with poisson too. gaussian: one that fades to both sides. pyramid softens it itself.
    """
    if blend == "none":
        return _hard(patch)
    if blend == "pyramid" or feather_px <= 0:
        return patch.alpha
    side = 3 if feather_px < 0.8 else max(5, 2 * math.ceil(1.8 * feather_px) + 1)
    blurred = cv2.GaussianBlur(patch.alpha, (side, side), feather_px)
    soft = blurred if blend == "gaussian" else cv2.min(patch.alpha, blurred)
    return soft.astype(np.uint8, copy=False)


def frame_part(x0: int, y0: int, shape_hw: tuple[int, ...], frame_hw: tuple[int, ...]) -> tuple[Slices, Slices] | None:
    """(rows and columns of the frame, rows and columns of the patch) where a patch at (x0, y0) lies in the frame, or
    None where it lies outside."""
    top, bottom = max(y0, 0), min(y0 + shape_hw[0], frame_hw[0])
    left, right = max(x0, 0), min(x0 + shape_hw[1], frame_hw[1])
    if top >= bottom or left >= right:
        return None
    frame = (slice(top, bottom), slice(left, right))
    return frame, (slice(top - y0, bottom - y0), slice(left - x0, right - x0))


def lay_over(
    canvas: NDArray[np.uint8],
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    at: tuple[int, int],
    shadow: Shadow | None,
    blend: BlendMode = "feather",
) -> None:
    """Draw an item and its shadow into the canvas, RGB uint8 (h, w, 3), in place.

    canvas = canvas * light * (1 - alpha) + rgb * alpha, where light is the shadow's; with blend "poisson" the item's
    gradients are integrated from the canvas around it (Perez et al. 2003, Poisson Image Editing), with "pyramid" the
    two are joined band by band (Burt and Adelson 1983, A Multiresolution Spline).
    rgb: uint8 (h', w', 3); alpha: uint8 (h', w'); at: frame position (x, y) of their corner.
    """
    inner = frame_part(*at, alpha.shape, canvas.shape)
    if inner is None:
        _darken(canvas, shadow, None, None)
        return
    region, item, opacity = canvas[inner[0]], rgb[inner[1]], alpha[inner[1]]
    if blend == "poisson":  # the item takes on the light around it, not its own shadow
        item = _cloned(np.ascontiguousarray(region), item, opacity)
    if blend == "pyramid":
        _darken(canvas, shadow, None, None)
        region[...] = _splined(region, item, opacity)
        return
    _darken(canvas, shadow, opacity, inner)
    if shadow is None:  # with one, the item's place has been cleared with the same stroke
        cleared = cv2.cvtColor(cv2.bitwise_not(opacity), cv2.COLOR_GRAY2RGB)
        cv2.multiply(region, cleared, dst=region, scale=1 / 255)
    weighted = cv2.multiply(item, cv2.cvtColor(opacity, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    cv2.add(region, weighted, dst=region)


def _darken(
    canvas: NDArray[np.uint8],
    shadow: Shadow | None,
    alpha: NDArray[np.uint8] | None,
    inner: tuple[Slices, Slices] | None,
) -> None:
    """Take the light of a shadow from the canvas; where alpha is given, what the item covers too."""
    if shadow is None:
        return
    outer = frame_part(shadow.x0, shadow.y0, shadow.light.shape, canvas.shape)
    if outer is None:
        return
    keep = shadow.light[outer[1]]
    if alpha is not None and inner is not None:
        keep = keep.copy()
        (rows, columns), (outer_rows, outer_columns) = inner[0], outer[0]
        below = keep[
            rows.start - outer_rows.start : rows.stop - outer_rows.start,
            columns.start - outer_columns.start : columns.stop - outer_columns.start,
        ]
        cv2.multiply(below, cv2.bitwise_not(alpha), dst=below, scale=1 / 255)
    region = canvas[outer[0]]
    cv2.multiply(region, cv2.cvtColor(keep, cv2.COLOR_GRAY2RGB), dst=region, scale=1 / 255)


def _hard(patch: Patch) -> NDArray[np.uint8]:
    """The opacity within the silhouette, at its rim that of the next pixels inwards, for there it is half faded."""
    square = np.ones((3, 3), np.uint8)
    hard = cv2.bitwise_and(cv2.dilate(patch.alpha, square), patch.silhouette)
    return np.asarray(cv2.copyTo(patch.alpha, cv2.erode(patch.silhouette, square), hard), np.uint8)


def _cloned(region: NDArray[np.uint8], item: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The item's gradients within its opaque part, the region around it; the item itself where it is too small."""
    # carried on beyond the frame's edge, for the outermost pixels of a mask are never painted
    border = (CLONE_BORDER_PX,) * 4
    solid = cv2.threshold(alpha, 127, 255, cv2.THRESH_BINARY)[1]
    if min(cv2.boundingRect(solid)[2:]) < SMALLEST_CLONE_PX:
        return item
    mask = cv2.copyMakeBorder(solid, *border, cv2.BORDER_REPLICATE)
    cv2.rectangle(mask, (0, 0), (mask.shape[1] - 1, mask.shape[0] - 1), (0,), 1)
    x, y, width, height = cv2.boundingRect(mask)
    wide_item, wide_region = (cv2.copyMakeBorder(own, *border, cv2.BORDER_REPLICATE) for own in (item, region))
    middle = (x + width // 2, y + height // 2)
    cloned = cv2.seamlessClone(wide_item, wide_region, mask, middle, cv2.NORMAL_CLONE)
    inner = slice(CLONE_BORDER_PX, -CLONE_BORDER_PX)
    return np.asarray(cloned[inner, inner], np.uint8)


def _splined(region: NDArray[np.uint8], item: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = alpha.shape
    step = 2**PYRAMID_LEVELS
    border = (step, step + -height % step, step, step + -width % step)
    below = cv2.copyMakeBorder(region, *border, cv2.BORDER_REFLECT).astype(np.float32)
    weight = (cv2.copyMakeBorder(alpha, *border, cv2.BORDER_REPLICATE) / np.float32(255))[..., None]
    drawn = cv2.copyMakeBorder(_continued(item, alpha, region), *border, cv2.BORDER_REFLECT)
    difference = np.asarray(drawn - below, np.float32)
    # joined band by band: the Laplacian pyramid is linear, so that of the difference says it all
    bands = []
    for _ in range(PYRAMID_LEVELS):
        coarse = np.asarray(cv2.pyrDown(difference), np.float32)
        bands.append((difference - cv2.pyrUp(coarse), weight))
        difference, weight = coarse, np.asarray(cv2.pyrDown(weight), np.float32)[..., None]
    change: NDArray[Any] = difference * weight
    for band, share in reversed(bands):
        change = cv2.pyrUp(change) + band * share
    inner = slice(step, step + height), slice(step, step + width)
    reach = cv2.blur(cv2.dilate(alpha, np.ones((3, 3), np.uint8)), (3, 3)) / np.float32(255)
    inside = np.maximum(reach, np.float32(1) * (alpha > 0))[..., None]  # the glow ends two pixels beyond the item
    return np.asarray(np.clip(np.rint(region + change[inner] * inside), 0, 255), np.uint8)


def _continued(item: NDArray[np.uint8], alpha: NDArray[np.uint8], region: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The item's colours carried on beyond its edge, so that the step of the edge is in no band; further off those of
    the region."""
    weight = alpha.astype(np.float32) / 255
    near = cv2.GaussianBlur(weight, (0, 0), CONTINUED_SIGMA_PX)[..., None]
    colour = cv2.GaussianBlur(item * weight[..., None], (0, 0), CONTINUED_SIGMA_PX) / np.maximum(near, 1e-3)
    beyond = np.where(near > 1e-3, colour, region)
    return np.asarray(np.where(alpha[..., None] > 127, item, beyond), np.float32)
