"""Is an item still drawn, and where: the rewritten picture against what the item alone adds to its belt.

An item's signal is the picture minus a smooth belt filled in from around the item. It is strong at the silhouette and,
for items with texture, inside. The correlation of signal and rewritten picture in small windows is near one where the
item is drawn, whatever gain and light, and near zero where belt is: belt has no part in the signal. Windows count by
how far the signal stands out of the belt's own grain, so that an even item is judged by its silhouette alone.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.fidelity import FidelityConfig
from garbage_synth.core.masks import box_of_mask

__all__ = ["ItemSignal", "Likeness", "item_signal", "pieces_of"]

SOFT_EDGE_PX = 2  # how far an item's soft edge and contact shadow reach into the belt
RING_PX = 15  # belt around an item whose grain is taken as its noise
LOCAL_SIGMA_PX = 5.0  # of the grain
STEP_VARIANCE = 0.25  # of rounding to 8 bits, generously; keeps black on black from dividing by nothing
BEST_SHARE = 0.8  # the quantile of likeness that counts as an item's best
Window = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class ItemSignal:
    """What one item adds to its belt, in a window of the frame; arrays are (h, w) of the window.

    window: x0, y0, x1, y1 in the frame. mask: bool. region: bool, mask and silhouette band. signal: float32, 8-bit
    steps. weight: float32, 0..1, how much each place tells; 0 outside region.
    """

    window: Window
    mask: NDArray[np.bool_]
    region: NDArray[np.bool_]
    signal: NDArray[np.float32]
    weight: NDArray[np.float32]
    _mean: NDArray[np.float32]
    _variance: NDArray[np.float32]
    _config: FidelityConfig

    def likeness(self, fetched: NDArray[np.float32]) -> "Likeness":
        """The likeness with the rewritten picture: luminance, float32 (h, w), fetched back into the window."""
        sigma = self._config.window_sigma_px
        mean = cv2.GaussianBlur(fetched, (0, 0), sigma)
        variance = np.maximum(cv2.GaussianBlur(fetched * fetched, (0, 0), sigma) - mean * mean, 0)
        variance = np.maximum(variance, self._config.min_contrast**2 * self._variance)
        covariance = cv2.GaussianBlur(self.signal * fetched, (0, 0), sigma) - self._mean * mean
        local = covariance / np.sqrt((self._variance + STEP_VARIANCE) * (variance + STEP_VARIANCE))
        total = float(self.weight.sum())
        return Likeness(float((local * self.weight).sum()) / total if total > 0 else 0.0, np.asarray(local, np.float32))

    def drawn(self, likeness: "Likeness") -> NDArray[np.bool_]:
        """The part of the mask that is still drawn, bool (h, w): places as like as the item's best places, nearly.

        Where a place tells nothing, the nearest that do decide. Crumbs are left out.
        """
        told = self.weight > 0
        if not told.any():
            return np.zeros_like(self.mask)
        config = self._config
        best = _weighted_quantile(likeness.local[told], self.weight[told], BEST_SHARE)
        spread = _spread_out(np.clip(likeness.local, 0, 1), self.weight)
        smooth = cv2.GaussianBlur(spread, (0, 0), config.present_sigma_px)
        bound = max(config.min_likeness, config.present_likeness * best)
        return pieces_of(self.mask & (smooth > bound), config.min_piece)


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """e: likeness over the whole item, -1..1. local: float32 (h, w) of the item's window, -1..1."""

    e: float
    local: NDArray[np.float32]


def item_signal(gray: NDArray[np.float32], mask: NDArray[np.bool_], config: FidelityConfig) -> ItemSignal:
    """The signal of one item in the luminance of the picture before, float32 (h, w), 0..255; mask bool (h, w).

    Raises ValueError where the mask is empty.
    """
    box = box_of_mask(mask)
    if box is None:
        raise ValueError("the mask of an item is empty")
    margin = config.band_px + RING_PX + round(3 * config.window_sigma_px)
    height, width = mask.shape
    x0, y0 = max(0, box[0] - margin), max(0, box[1] - margin)
    x1, y1 = min(width, box[2] + margin), min(height, box[3] + margin)
    inside = mask[y0:y1, x0:x1]
    around = gray[y0:y1, x0:x1]
    region = _grown(inside, config.band_px)
    belt = _spread_out(around, (~_grown(inside, SOFT_EDGE_PX)).astype(np.float32))
    softly = cv2.GaussianBlur(_grown(inside, 1).astype(np.float32), (0, 0), 1.0)
    signal = np.asarray((around - belt) * softly, np.float32)
    mean = np.asarray(cv2.GaussianBlur(signal, (0, 0), config.window_sigma_px), np.float32)
    squares = cv2.GaussianBlur(signal * signal, (0, 0), config.window_sigma_px)
    variance = np.maximum(squares - mean * mean, 0)
    noise = config.signal_to_noise * _grain(around, _grown(region, RING_PX) & ~region)
    weight = np.where(region, variance / (variance + noise), 0)
    return ItemSignal(
        window=(x0, y0, x1, y1),
        mask=inside,
        region=region,
        signal=signal,
        weight=np.asarray(weight, np.float32),
        _mean=mean,
        _variance=np.asarray(variance, np.float32),
        _config=config,
    )


def pieces_of(mask: NDArray[np.bool_], min_part: float) -> NDArray[np.bool_]:
    """The mask (h, w) without connected pieces smaller than min_part of all its pixels."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = statistics[:, cv2.CC_STAT_AREA]
    large = areas >= min_part * areas[1:].sum()
    large[0] = False
    return np.asarray(large[labels], np.bool_) if count > 1 else mask


def _grown(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    side = 2 * radius_px + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc)) > 0


def _grain(gray: NDArray[np.float32], ring: NDArray[np.bool_]) -> float:
    """The median local variance of the belt around an item, in 8-bit steps squared, at least 1."""
    if not ring.any():
        return 1.0
    difference = gray - cv2.GaussianBlur(gray, (0, 0), LOCAL_SIGMA_PX)
    variance = np.asarray(cv2.GaussianBlur(difference * difference, (0, 0), LOCAL_SIGMA_PX))
    return max(1.0, float(np.median(variance[ring])))


def _spread_out(values: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """values (h, w), and where their weight (0..1) is small what the nearest heavier places say.

    Push-pull over a pyramid (Gortler, Grzeszczuk, Szeliski, Cohen: The Lumigraph, SIGGRAPH 1996).
    """
    if not weights.any():
        return np.full_like(values, float(values.mean()))
    levels = [(values * weights, weights)]
    while min(levels[-1][0].shape) > 2:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    weighted, weight = levels[-1]
    filled = weighted / np.maximum(weight, 1e-6)
    for weighted, weight in reversed(levels[:-1]):
        coarse = cv2.pyrUp(filled, dstsize=(weighted.shape[1], weighted.shape[0]))
        own = np.minimum(weight, 1)
        filled = np.asarray(weighted / np.maximum(weight, 1e-6) * own + coarse * (1 - own), np.float32)
    return np.asarray(filled, np.float32)


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.pyrDown(values), np.float32)


def _weighted_quantile(values: NDArray[np.float32], weights: NDArray[np.float32], share: float) -> float:
    order = np.argsort(values)
    heavy = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(heavy, share * heavy[-1])])
