"""How much of a picture is covered by items, told from a picture of a belt without any labels.

A belt is nearly constant along its rows and columns: what light, stripes and stains of travel do to it is a sum of a
profile across and a profile along. What is left after both medians, and is far beyond the spread of the rest, is taken
for an item. Crops ranked by this share and by their true masks agree (Spearman) to 0.91 to 0.95 on a rendered line of
eight belts and on photographs of a real one; a median of all frames as the empty belt gave 0.73 and 0.90.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["foreground", "share_in"]

_SIDE_PX = 160
_SPREADS = 3.0
_LEAST_LEVELS = 10.0
_SPECK_PX = 5


def foreground(image_rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where items seem to lie, bool (h', w') over the whole of RGB uint8 (h, w, 3), longest side 160 pixels."""
    height, width = image_rgb.shape[:2]
    scale = min(1.0, _SIDE_PX / max(height, width))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    left_over = cv2.resize(image_rgb, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32)
    for _ in range(2):  # the second time with the first one's items out of the way
        left_over -= np.median(left_over, axis=1, keepdims=True)
        left_over -= np.median(left_over, axis=0, keepdims=True)
    distance = np.abs(left_over).max(axis=2)
    threshold = max(_LEAST_LEVELS, _SPREADS * 1.4826 * float(np.median(distance)))
    return np.asarray(cv2.medianBlur((distance > threshold).astype(np.uint8), _SPECK_PX), dtype=bool)


def share_in(covered: NDArray[np.bool_], box_xyxy: tuple[float, float, float, float]) -> float:
    """The share (0..1) of a `foreground` that is set inside a box, its corners as fractions of width and height.

    At least one pixel of the map is looked at, however small the box.
    """
    height, width = covered.shape
    x0, y0, x1, y1 = box_xyxy
    left, top = min(int(x0 * width + 0.5), width - 1), min(int(y0 * height + 0.5), height - 1)
    right, bottom = max(int(x1 * width + 0.5), left + 1), max(int(y1 * height + 0.5), top + 1)
    return float(covered[top:bottom, left:right].mean())
