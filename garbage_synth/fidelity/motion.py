"""The motion of one item: shift, turn and scale."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Similarity", "fit_similarity"]

ROUNDS = 10
RESIDUAL_PX = 1.0  # residual at which a pixel's weight has fallen to a quarter, at the end


@dataclass(frozen=True, slots=True)
class Similarity:
    """The map (x, y) -> (a x - b y + x_px, b x + a y + y_px) from pixels before to pixels after."""

    a: float = 1.0
    b: float = 0.0
    x_px: float = 0.0
    y_px: float = 0.0

    @property
    def scale(self) -> float:
        """How many pixels after make one before."""
        return math.hypot(self.a, self.b)

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        """Where a point comes to lie."""
        return self.a * x - self.b * y + self.x_px, self.b * x + self.a * y + self.y_px

    def shift_px(self, x: float, y: float) -> float:
        """The distance that a point moves."""
        moved_x, moved_y = self(x, y)
        return math.hypot(moved_x - x, moved_y - y)

    def fetch(self, after: NDArray[np.float32], window: tuple[int, int, int, int]) -> NDArray[np.float32]:
        """What lies after where the pixels of a window (x0, y0, x1, y1) before have gone, in the window's frame."""
        x0, y0, x1, y1 = window
        left, top = self(x0, y0)
        matrix = np.array([[self.a, -self.b, left], [self.b, self.a, top]], np.float64)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        found = cv2.warpAffine(after, matrix, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.float32)

    def carry(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask (h, w) before where it lies after, cut by the same frame."""
        if self == Similarity():
            return mask
        height, width = mask.shape
        matrix = np.array([[self.a, -self.b, self.x_px], [self.b, self.a, self.y_px]], np.float64)
        moved = cv2.warpAffine(mask.astype(np.uint8) * 255, matrix, (width, height), flags=cv2.INTER_LINEAR)
        return np.asarray(moved) > 127


def fit_similarity(
    places_xy: NDArray[np.float64], flow_xy: NDArray[np.float64], weights: NDArray[np.float64], *, shift_only: bool
) -> Similarity:
    """The similarity that most of the flow agrees with.

    places_xy, flow_xy: float64 (n, 2), pixels; weights: float64 (n), above 0. Iteratively reweighted least squares with
    the Geman-McClure weight 1 / (1 + (r / c)^2)^2, whose c falls from the median residual about the weighted median
    shift to RESIDUAL_PX. shift_only: neither turn nor scale, for items with too few pixels to measure them.
    """
    weights = weights / weights.sum()
    middle_x, middle_y = (float((weights * places_xy[:, axis]).sum()) for axis in (0, 1))
    x, y = places_xy[:, 0] - middle_x, places_xy[:, 1] - middle_y
    u, v = flow_xy[:, 0], flow_xy[:, 1]
    shift_x, shift_y = _weighted_median(u, weights), _weighted_median(v, weights)
    growth = turn = 0.0
    residual = np.hypot(u - shift_x, v - shift_y)
    width = max(RESIDUAL_PX, float(np.median(residual)))
    for _ in range(ROUNDS):
        agreeing = weights / (1 + (residual / width) ** 2) ** 2
        agreeing = agreeing / agreeing.sum()
        mean_x, mean_y, mean_u, mean_v = (float((agreeing * values).sum()) for values in (x, y, u, v))
        if not shift_only:
            dx, dy, du, dv = x - mean_x, y - mean_y, u - mean_u, v - mean_v
            extent = float((agreeing * (dx * dx + dy * dy)).sum()) + 1e-9
            growth = float((agreeing * (dx * du + dy * dv)).sum()) / extent
            turn = float((agreeing * (dx * dv - dy * du)).sum()) / extent
        shift_x = mean_u - growth * mean_x + turn * mean_y
        shift_y = mean_v - turn * mean_x - growth * mean_y
        residual = np.hypot(u - shift_x - growth * x + turn * y, v - shift_y - turn * x - growth * y)
        width = max(RESIDUAL_PX, 0.7 * width)
    a, b = 1 + growth, turn
    return Similarity(
        a, b, middle_x + shift_x - a * middle_x + b * middle_y, middle_y + shift_y - b * middle_x - a * middle_y
    )


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    heavy = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(heavy, heavy[-1] / 2)])
