"""Whether what was found is one whole item."""

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.segment import SegmentConfig
from garbage_synth.core.masks import box_of_mask
from garbage_synth.segment.backend import Rejection
from garbage_synth.segment.likeness import disc

__all__ = ["check_size", "single_item", "touches_frame"]

_CRUMB = 0.03  # of the largest part: smaller parts are dropped
_STRAY = 0.12  # likewise where they lie apart
_NEAR = 0.06  # of the long side: parts closer than this belong together


def single_item(mask: NDArray[np.bool_], config: SegmentConfig, *, box_known: bool) -> NDArray[np.bool_] | Rejection:
    """The item's parts in mask, bool (h, w), without crumbs; a rejection where there are several items.

    Parts close to each other are one item (a clear bottle between its cap and its label may be lost), and with a known
    box all are.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 1:
        return Rejection("low contrast", "nothing stands out from the board")
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.int64)
    areas[0] = 0
    largest = int(areas.argmax())
    kept = np.asarray(labels == largest, np.bool_)
    if count == 2:
        return kept
    reach = max(1, round(_NEAR * max(mask.shape)))
    near = kept if box_known else cv2.dilate(kept.astype(np.uint8), disc(reach)) > 0
    for label in sorted(range(1, count), key=lambda label: -int(areas[label])):
        share = areas[label] / areas[largest]
        if label == largest or share < _CRUMB:
            continue
        part = labels == label
        if box_known or (near & part).any():
            kept |= part
            near = near if box_known else near | (cv2.dilate(part.astype(np.uint8), disc(reach)) > 0)
        elif share >= config.max_second_item:
            return Rejection("several items", f"a second one has {share:.0%} of the area of the first")
    return kept


def touches_frame(mask: NDArray[np.bool_], margin_px: int = 1) -> bool:
    """Whether mask, bool (h, w), comes within margin_px of the picture's edge along more than a few pixels."""
    rim = np.concatenate(
        [mask[:margin_px].any(0), mask[-margin_px:].any(0), mask[:, :margin_px].any(1), mask[:, -margin_px:].any(1)]
    )
    return bool(rim.sum() > max(2, 0.004 * max(mask.shape)))


def check_size(mask: NDArray[np.bool_], config: SegmentConfig, *, of_photo: bool) -> Rejection | None:
    """A rejection where the item in mask, bool (h, w), is too small; of_photo: also measured as a part of it."""
    box = box_of_mask(mask)
    if box is None:
        return Rejection("empty", "no pixel belongs to the item")
    short = min(box[2] - box[0], box[3] - box[1])
    if short < config.min_side_px:
        size = f"{box[2] - box[0]}x{box[3] - box[1]} pixels"
        return Rejection("too small", f"{size}, at least {config.min_side_px} a side needed")
    share = float(mask.mean())
    if of_photo and share < config.min_area_fraction:
        return Rejection("too small", f"covers {share:.2%} of the photo, {config.min_area_fraction:.2%} needed")
    return None
