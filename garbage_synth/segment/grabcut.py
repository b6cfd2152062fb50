"""The backend for a photo of one item on a plain board, nothing else being known."""

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.segment import SegmentConfig
from garbage_synth.segment.backend import Found, Photo, Rejection
from garbage_synth.segment.complete import Box, box_agreement, on_edge
from garbage_synth.segment.judge import check_size, single_item, touches_frame
from garbage_synth.segment.matte import refine_alpha, signed_distance
from garbage_synth.segment.silhouette import find_outline

__all__ = ["find_on_board"]

_EDGES = (3.0, 5.0)  # units of the board's grain
_BAND_PX = 1.8  # of the reduced photo: how far off the outline may be


def find_on_board(photo: Photo, config: SegmentConfig) -> Found | Rejection:
    """The item: its outline at reduced size, its edge at full size; see `silhouette` and `matte`."""
    height, width = photo.image_rgb.shape[:2]
    scale = min(1.0, config.work_px / max(height, width))
    outline = find_outline(_reduced(photo.image_rgb, scale), _scaled(photo.box_xyxy, scale), reduction=scale)
    mask = single_item(outline.mask, config, box_known=photo.box_xyxy is not None)
    if isinstance(mask, Rejection):
        return mask
    if touches_frame(mask):
        return Rejection("touches the frame", "the item must lie wholly inside of the photo")
    stands = float(np.mean([on_edge(mask, outline.evidence, strength) for strength in _EDGES]))
    if stands < config.min_outline:
        return Rejection(
            "low contrast", f"{stands:.0%} of its outline stands out from the board, {config.min_outline:.0%} needed"
        )
    agreement = box_agreement(mask, _scaled(photo.box_xyxy, scale))
    if agreement < config.min_box_agreement:
        return Rejection("low contrast", f"only a part is seen: {agreement:.0%} agreement with its box")
    if outline.missing > config.max_missing:
        span = f"edges beside it span {outline.missing:.1f} times its area"
        return Rejection("low contrast", f"only a part is seen: {span}")
    signed_px = signed_distance(mask, (width, height))
    alpha = refine_alpha(photo.image_rgb, signed_px, width_px=_BAND_PX / scale)
    return check_size(signed_px > 0, config, of_photo=True) or Found(alpha, round(stands * agreement, 4))


def _reduced(image_rgb: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale == 1.0:
        return image_rgb
    size_wh = (max(1, round(image_rgb.shape[1] * scale)), max(1, round(image_rgb.shape[0] * scale)))
    return cv2.resize(image_rgb, size_wh, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _scaled(box: Box | None, scale: float) -> Box | None:
    return None if box is None else (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
