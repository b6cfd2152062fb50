"""Pictures at another size, the same way wherever they are resized."""

import re

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.errors import InputError

__all__ = ["parse_resize", "resize_labels", "resize_rgb", "short_side_wh"]

_LARGEST_SHORT_SIDE_PX = 8192


def parse_resize(text: str | None) -> int | None:
    """The length P in pixels of "short:P", None for None. Raises InputError for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"short:(\d{1,6})", text.strip())
    if match is None or not 8 <= int(match[1]) <= _LARGEST_SHORT_SIDE_PX:
        raise InputError(f"--resize {text!r} is unknown; give short:P, P = the shorter side in pixels, as in short:286")
    return int(match[1])


def short_side_wh(size_wh: tuple[int, int], short_px: int) -> tuple[int, int]:
    """(width, height) of the same shape whose shorter side has short_px pixels."""
    scale = short_px / min(size_wh)
    return max(short_px, round(size_wh[0] * scale)), max(short_px, round(size_wh[1] * scale))


def resize_rgb(image_rgb: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """RGB uint8 (h, w, 3) at width, height `size_wh`: area means where it shrinks, cubic where it grows."""
    height, width = image_rgb.shape[:2]
    if (width, height) == tuple(size_wh):
        return image_rgb
    shrinks = size_wh[0] < width and size_wh[1] < height
    resized = cv2.resize(image_rgb, size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return resized.astype(np.uint8, copy=False)


def resize_labels(labels: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """A map of classes uint8 (h, w) at width, height `size_wh`, each pixel from the nearest one; values never mix."""
    # not INTER_NEAREST, which takes the corner of a pixel for its middle
    return np.asarray(cv2.resize(labels, size_wh, interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8)
