"""Soft edges: how much of each edge pixel is item, and the item's own colour there, free of the board's."""

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.segment.board import smooth_fill
from garbage_synth.segment.likeness import disc

__all__ = ["cut_out_rgba", "refine_alpha", "signed_distance"]

_CONTRAST = 24.0  # colour distance (of 255) between item and surroundings from which colour decides about alpha
_SOLID_ALPHA = 0.98
_EMPTY_ALPHA = 1 / 255
_COLOUR_SPREAD = 40.0


def signed_distance(mask: NDArray[np.bool_], size_wh: tuple[int, int]) -> NDArray[np.float32]:
    """The signed distance to the border of a mask, bool (h, w), at another size: pixels there, positive inside."""
    scale = size_wh[0] / mask.shape[1]
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    signed = np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)
    if scale > 1:
        # rounds the steps that the small mask would leave
        signed = np.asarray(cv2.GaussianBlur(signed, (0, 0), 0.7), np.float32)
    return np.asarray(cv2.resize(signed, size_wh, interpolation=cv2.INTER_CUBIC) * np.float32(scale), np.float32)


def refine_alpha(
    image_rgb: NDArray[np.uint8], signed_px: NDArray[np.float32], *, width_px: float
) -> NDArray[np.float32]:
    """alpha, float32 (h, w) in 0..1, of an item in RGB uint8 (h, w, 3).

    signed_px: float32 (h, w), distance to its border, positive inside, true to about width_px. Where item and
    surroundings differ in colour, alpha is where the pixel lies between the two (each averaged from the pure pixels
    nearby); where they do not, a ramp of one pixel on the border. Farther than width_px from the border it is 0 or 1.
    """
    ramp = np.clip(signed_px + 0.5, 0, 1).astype(np.float32)
    band = np.abs(signed_px) <= width_px + 0.5
    if not band.any():
        return np.asarray(ramp, dtype=np.float32)
    pixels = image_rgb.astype(np.float32)
    item = smooth_fill(pixels, signed_px > width_px + 0.5, width_px)
    around = smooth_fill(pixels, signed_px < -width_px - 0.5, width_px)
    axis = item - around
    length = (axis * axis).sum(axis=2)
    mixed = np.clip(((pixels - around) * axis).sum(axis=2) / np.maximum(length, 1.0), 0, 1)
    # A step that colour sees must lie near the border: noise and print may not eat into the item or grow from it.
    reach = np.clip(signed_px / max(width_px, 1.0), -1, 1)
    mixed = np.clip(mixed + np.sign(reach) * reach * reach, 0, 1)
    trust = length / (length + _CONTRAST**2)
    alpha = np.where(band, trust * mixed + (1 - trust) * ramp, ramp)
    return np.asarray(np.clip((alpha - 0.04) / 0.92, 0, 1), dtype=np.float32)


def cut_out_rgba(
    image_rgb: NDArray[np.uint8], alpha: NDArray[np.float32], *, keep_colours: bool = False
) -> NDArray[np.uint8]:
    """RGBA uint8 (h, w, 4): edge pixels in the item's own colour, empty ones too, so that no scaling brings a halo.

    The mixing rule pixel = alpha * item + (1 - alpha) * surroundings is solved for the item's colour where alpha is
    large enough to bear it; elsewhere the colour is continued from the solid pixels nearby. keep_colours: the picture
    is a cut-out already, only its empty pixels are coloured.
    """
    pixels = image_rgb.astype(np.float32)
    visible = alpha > _EMPTY_ALPHA
    if keep_colours:
        colour = np.where(visible[..., None], pixels, smooth_fill(pixels * visible[..., None], visible, 1.0))
    else:
        colour = _own_colour(pixels, alpha)
    opacity = np.where(visible, np.clip(alpha, 0, 1), 0)
    return np.dstack([np.clip(np.rint(colour), 0, 255), np.rint(opacity * 255)]).astype(np.uint8)


def _own_colour(pixels: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    solid = alpha >= min(_SOLID_ALPHA, 0.9 * float(alpha.max()))
    # The outermost solid pixels still hold a little of the board (lens blur, JPEG).
    core = cv2.erode(solid.astype(np.uint8), disc(1)) > 0
    core = core if core.sum() > 0.3 * solid.sum() else solid
    nearby = smooth_fill(pixels, core, 1.2)
    around = smooth_fill(pixels, alpha <= _EMPTY_ALPHA, 1.5)
    share = alpha[..., None]
    solved = around + (pixels - around) / np.maximum(share, 0.3)
    trust = np.clip((share - 0.5) / 0.5, 0, 1) ** 2
    colour = trust * np.clip(solved, 0, 255) + (1 - trust) * nearby
    # The solved colour is off where alpha is: it stays near what the item shows beside it.
    colour = np.clip(colour, nearby - _COLOUR_SPREAD, nearby + _COLOUR_SPREAD)
    return np.where(core[..., None], pixels, colour)
