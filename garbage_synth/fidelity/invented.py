"""Things that appeared in a rewritten picture where nothing was."""

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.fidelity import InventedConfig
from garbage_synth.fidelity.verdicts import Invented

__all__ = ["find_invented"]

REDUCED = 2  # the search runs on pictures of half the size
WINDOW_SIGMA_PX = 6.0
SMOOTH_SIGMA_PX = 1.5
MAX_SAMPLES = 50_000


def find_invented(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    free: NDArray[np.bool_],
    config: InventedConfig,
) -> tuple[Invented, ...]:
    """Regions of new structure, highest score first, at most config.max_count.

    before, after: luminance, float32 (h, w), 0..255. free: bool (h, w), where no item was or is. New is structure
    (gradient energy in a window, as a logarithm) by which the rewritten picture exceeds the picture before, where the
    two are unlike (one minus their normalised correlation). Both are measured against the free part of the same frame,
    so that a grainier or sharper style as a whole counts for nothing.
    """
    if config.max_count == 0 or not free.any():
        return ()
    height, width = before.shape
    small_wh = -(-width // REDUCED), -(-height // REDUCED)
    smooth = [_reduced(gray, small_wh) for gray in (before, after)]
    free = cv2.resize(free.astype(np.uint8), small_wh, interpolation=cv2.INTER_NEAREST) > 0
    structure = [_structure(gray) for gray in smooth]
    stride = max(1, int(free.sum()) // MAX_SAMPLES)
    gain = np.asarray(structure[1] - structure[0], np.float32)
    sample = gain[free][::stride]
    middle = float(np.median(sample))
    spread = 1.4826 * float(np.median(np.abs(sample - middle))) + 0.05
    score = (gain - middle) / spread * (1 - np.clip(_correlation(*smooth), 0, 1))
    score = np.where(free, score, 0)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((score > config.min_score).astype(np.uint8))
    found = []
    for index in range(1, count):
        x0, y0, columns, rows, area = (int(value) for value in statistics[index])
        x1, y1 = x0 + columns, y0 + rows
        if area * REDUCED**2 >= config.min_area_px:
            peak = float(score[y0:y1, x0:x1][labels[y0:y1, x0:x1] == index].max())
            box = x0 * REDUCED, y0 * REDUCED, min(width, x1 * REDUCED), min(height, y1 * REDUCED)
            found.append(Invented(box, round(peak, 2)))
    found.sort(key=lambda region: (-region.score, region.box_xyxy))
    return tuple(found[: config.max_count])


def _reduced(gray: NDArray[np.float32], size_wh: tuple[int, int]) -> NDArray[np.float32]:
    small = cv2.resize(gray, size_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), SMOOTH_SIGMA_PX / REDUCED), np.float32)


def _structure(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    return np.asarray(np.log(cv2.GaussianBlur(x * x + y * y, (0, 0), WINDOW_SIGMA_PX / REDUCED) + 4.0), np.float32)


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """The normalised correlation of two pictures in a window, float32 (h, w), -1..1."""

    def blur(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), WINDOW_SIGMA_PX / REDUCED), np.float32)

    mean, other_mean = blur(first), blur(second)
    covariance = blur(first * second) - mean * other_mean
    variance = np.maximum(blur(first * first) - mean * mean, 0)
    other_variance = np.maximum(blur(second * second) - other_mean * other_mean, 0)
    return np.asarray(covariance / np.sqrt((variance + 0.25) * (other_variance + 0.25)), np.float32)
