"""From what a backend found to the crop: tight, in the item's own colour."""

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.masks import box_of_mask
from garbage_synth.segment.backend import CutOut, Found, Photo
from garbage_synth.segment.matte import cut_out_rgba

__all__ = ["finish"]

_MARGIN_PX = 24  # photo around the crop from which the board's colour is learned
_FAINT_ALPHA = 2 / 255


def finish(photo: Photo, found: Found) -> CutOut:
    """The crop of a found item, whose alpha must not be empty. An image's own alpha keeps its colours where opaque."""
    visible = found.alpha >= _FAINT_ALPHA
    if found.silhouette is not None:
        visible |= found.silhouette
    box = box_of_mask(visible)
    if box is None:
        raise ValueError("alpha is empty")
    x0, y0 = max(0, box[0] - _MARGIN_PX), max(0, box[1] - _MARGIN_PX)
    window = np.s_[y0 : box[3] + _MARGIN_PX, x0 : box[2] + _MARGIN_PX]
    rgba = cut_out_rgba(photo.image_rgb[window], found.alpha[window], keep_colours=photo.alpha is not None)
    tight = np.s_[box[1] - y0 : box[3] - y0, box[0] - x0 : box[2] - x0]
    extent = np.s_[box[1] : box[3], box[0] : box[2]]
    silhouette = None if found.silhouette is None else found.silhouette[extent]
    shape = silhouette if silhouette is not None else found.alpha[extent] >= 0.5
    return CutOut(np.ascontiguousarray(rgba[tight]), silhouette, found.quality, _length_px(shape))


def _length_px(shape: NDArray[np.bool_]) -> float:
    rows, columns = np.nonzero(shape)
    if not rows.size:
        return 0.0
    _, sides, _ = cv2.minAreaRect(np.stack([columns, rows], axis=1).astype(np.float32))
    return float(max(sides)) + 1.0  # pixels have an extent
