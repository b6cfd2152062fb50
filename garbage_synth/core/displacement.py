"""Masks that follow the displacement of a picture."""

import math

import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.masks import box_of_mask

__all__ = ["moved_mask", "reach_px"]


def reach_px(displacement: NDArray[np.float32]) -> int:
    """A whole number of pixels beyond which nothing in a displacement (h, w, 2) moves along either axis."""
    return math.ceil(float(np.abs(displacement).max()))


def moved_mask(
    mask: NDArray[np.bool_], displacement: NDArray[np.float32], reach: int | None = None
) -> NDArray[np.bool_]:
    """The pixels p (h, w) whose value mask(p + u(p)), bilinear, is at least half: where a mask is in a moved picture.

    displacement: u, float32 (h, w, 2), (right, down) in pixels. Beyond the frame the border is repeated. The picture
    itself is sampled the same way, but where p + u(p) lies beyond the right or lower border of one whose sides are no
    multiples of 4: such a picture is mirrored there, by up to 3 pixels, before a generator gets it. reach: `reach_px`
    of it, where it is known already.
    """
    moved = np.zeros_like(mask)
    box = box_of_mask(mask)
    if box is None:
        return moved
    margin = (reach_px(displacement) if reach is None else reach) + 1
    height, width = mask.shape
    top, bottom = max(box[1] - margin, 0), min(box[3] + margin, height)
    left, right = max(box[0] - margin, 0), min(box[2] + margin, width)
    u = displacement[top:bottom, left:right]
    whole = np.floor(u)
    part = u - whole
    columns = np.arange(left, right) + whole[..., 0].astype(np.int64)
    rows = np.arange(top, bottom)[:, None] + whole[..., 1].astype(np.int64)
    x0, x1 = ((columns + more).clip(0, width - 1) for more in (0, 1))
    y0, y1 = ((rows + more).clip(0, height - 1) for more in (0, 1))
    over, under = (mask[y, x0] + part[..., 0] * (mask[y, x1].astype(np.float32) - mask[y, x0]) for y in (y0, y1))
    moved[top:bottom, left:right] = over + part[..., 1] * (under - over) >= 0.5
    return moved
