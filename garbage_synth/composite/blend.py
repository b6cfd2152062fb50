"""An item laid over what is there."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.shade import Shadow

__all__ = ["frame_part", "lay_over", "soft_edge"]


def soft_edge(alpha: NDArray[np.uint8], feather_px: float) -> NDArray[np.uint8]:
    """The opacity uint8 (h, w) with an edge of sigma feather_px that fades inwards only, so that no pixel beyond the
    item is drawn."""
    if feather_px <= 0:
        return alpha
    side = 3 if feather_px < 0.8 else max(5, 2 * math.ceil(1.8 * feather_px) + 1)
    blurred = cv2.GaussianBlur(alpha, (side, side), feather_px)
    return cv2.min(alpha, blurred).astype(np.uint8, copy=False)


def frame_part(
    x0: int, y0: int, shape_hw: tuple[int, ...], frame_hw: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """(rows and columns of the frame, rows and columns of the patch) where a patch at (x0, y0) lies in the frame, or
    None where it lies outside."""
    top, bottom = max(y0, 0), min(y0 + shape_hw[0], frame_hw[0])
    left, right = max(x0, 0), min(x0 + shape_hw[1], frame_hw[1])
    if top >= bottom or left >= right:
        return None
    frame = (slice(top, bottom), slice(left, right))
    return frame, (slice(top - y0, bottom - y0), slice(left - x0, right - x0))


def lay_over(
    canvas: NDArray[np.uint8], rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], at: tuple[int, int], shadow: Shadow
) -> None:
    """Draw an item and its shadow into the canvas, RGB uint8 (h, w, 3), in place.

    canvas = canvas * light * (1 - alpha) + rgb * alpha, where light is the shadow's. rgb: uint8 (h', w', 3);
    alpha: uint8 (h', w'); at: frame position (x, y) of their corner. The shadow's area holds the item's.
    """
    outer = frame_part(shadow.x0, shadow.y0, shadow.light.shape, canvas.shape)
    inner = frame_part(*at, alpha.shape, canvas.shape)
    keep = shadow.light.copy()
    if inner is not None:
        rows, columns = inner[1]
        alpha = alpha[rows, columns]
        below = keep[
            at[1] - shadow.y0 + rows.start : at[1] - shadow.y0 + rows.stop,
            at[0] - shadow.x0 + columns.start : at[0] - shadow.x0 + columns.stop,
        ]
        cv2.multiply(below, cv2.bitwise_not(alpha), dst=below, scale=1 / 255)
    if outer is not None:
        region = canvas[outer[0]]
        cv2.multiply(region, cv2.cvtColor(keep[outer[1]], cv2.COLOR_GRAY2RGB), dst=region, scale=1 / 255)
    if inner is not None:
        region = canvas[inner[0]]
        weighted = cv2.multiply(rgb[inner[1]], cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB), scale=1 / 255)
        cv2.add(region, weighted, dst=region)
