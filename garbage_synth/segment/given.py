"""The backends for an item whose extent somebody else has found: the file's own alpha, a mask, a COCO label."""

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.segment import SegmentConfig
from garbage_synth.core.masks import box_of_mask
from garbage_synth.segment.backend import Found, Photo, Rejection
from garbage_synth.segment.judge import check_size, touches_frame
from garbage_synth.segment.likeness import disc, fill_holes, opened
from garbage_synth.segment.matte import refine_alpha, signed_distance
from garbage_synth.segment.snap import snap

__all__ = ["find_by_alpha", "find_by_label", "find_by_mask"]

_WIDTH_PX = 1.5  # how far off a mask's border may be
_LABEL_INWARDS, _LABEL_OUTWARDS = 0.06, 0.01  # of the looked at window
_LABEL_KEPT = 0.85  # of the label's area
_LABEL_MARGIN = 0.15  # of the item's longer side: the surroundings that are looked at


def find_by_alpha(photo: Photo, config: SegmentConfig) -> Found | Rejection:
    """The item as the picture's own alpha has it; with a mask too, alpha is opacity and the mask its extent."""
    if photo.alpha is None:
        return Rejection("empty", "the picture has no alpha channel")
    alpha = photo.alpha.astype(np.float32) / np.float32(255)
    silhouette = photo.mask
    seen = silhouette if silhouette is not None else alpha >= 0.5
    return check_size(seen, config, of_photo=False) or Found(alpha, 1.0, silhouette)


def find_by_mask(photo: Photo, config: SegmentConfig) -> Found | Rejection:
    """The item in its mask, with a soft edge."""
    if photo.mask is None:
        return Rejection("empty", "the picture has no mask")
    rejection = check_size(photo.mask, config, of_photo=False)
    if rejection is None and touches_frame(photo.mask):
        rejection = Rejection("touches the frame", "the mask reaches the edge of the photo")
    return rejection or Found(_soft(photo.image_rgb, photo.mask, photo.mask), 1.0)


def find_by_label(photo: Photo, config: SegmentConfig) -> Found | Rejection:
    """The item in a labelled picture of many: its mask, moved onto its own edge (labels are drawn by hand)."""
    if photo.mask is None:
        return Rejection("empty", "the instance has no segmentation")
    rejection = check_size(photo.mask, config, of_photo=False)
    if rejection is None and touches_frame(photo.mask, margin_px=2):
        rejection = Rejection("cut by the frame", "its mask reaches the edge of the picture")
    touching = _touching(photo.mask, photo.others)
    if rejection is None and touching > config.max_touching:
        rejection = Rejection("covered", f"{touching:.0%} of its outline touches other items")
    if rejection is not None:
        return rejection
    window = _around(photo.mask)
    image_rgb, given = np.ascontiguousarray(photo.image_rgb[window]), np.ascontiguousarray(photo.mask[window])
    moved = given
    if config.snap_coco:
        moved = _on_own_edge(image_rgb, given, None if photo.others is None else photo.others[window])
    alpha = np.zeros(photo.mask.shape, np.float32)
    alpha[window] = _soft(image_rgb, moved, given)
    return Found(alpha, round(1 - touching, 4))


def _on_own_edge(
    image_rgb: NDArray[np.uint8], given: NDArray[np.bool_], others: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """The label moved inwards or outwards by a little: labels are drawn too wide and hold the item's shadow.

    Where that would take much of the item (dark rubber on a dark belt), the label stays as it is.
    """
    moved = snap(image_rgb, given, chunk_px=0, inwards=_LABEL_INWARDS, outwards=_LABEL_OUTWARDS)
    if others is not None:
        moved &= ~others
    holes = fill_holes(given) & ~given
    moved = opened(fill_holes(moved) & ~holes, max(1, round(0.008 * max(given.shape))))
    kept = float((moved & given).sum()) / float(given.sum())
    return moved if kept >= _LABEL_KEPT else given


def _soft(image_rgb: NDArray[np.uint8], mask: NDArray[np.bool_], fallback: NDArray[np.bool_]) -> NDArray[np.float32]:
    mask = mask if mask.any() else fallback
    return refine_alpha(image_rgb, signed_distance(mask, (mask.shape[1], mask.shape[0])), width_px=_WIDTH_PX)


def _around(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    box = box_of_mask(mask)
    if box is None:
        raise ValueError("mask is empty")
    margin = max(12, round(_LABEL_MARGIN * max(box[2] - box[0], box[3] - box[1])))
    return np.s_[max(0, box[1] - margin) : box[3] + margin, max(0, box[0] - margin) : box[2] + margin]


def _touching(mask: NDArray[np.bool_], others: NDArray[np.bool_] | None) -> float:
    """The share, 0..1, of the border of mask, bool (h, w), that lies within 3 pixels of other items."""
    if others is None or not others.any():
        return 0.0
    rim = (cv2.dilate(mask.astype(np.uint8), disc(1)) > 0) & ~mask
    near = cv2.dilate(others.astype(np.uint8), disc(3)) > 0
    return float(near[rim].mean()) if rim.any() else 1.0
