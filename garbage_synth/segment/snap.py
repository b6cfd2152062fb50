"""A silhouette moved by a few pixels to where the colours change, by GrabCut in a narrow band."""

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.segment.likeness import disc

__all__ = ["snap"]

_ROUNDS = 3


def snap(
    image_rgb: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    *,
    chunk_px: int,
    inwards: float = 0.03,
    outwards: float = 0.012,
) -> NDArray[np.bool_]:
    """The silhouette, bool (h, w), on the image's own borders (GrabCut, Rother et al. 2004), holes and hair included.

    Only the band from `inwards` to `outwards` (parts of the long side) is decided anew. GrabCut goes by colour and
    gives away what has the board's: chrome, white paper, glass. So it may move the border, but not take off a piece
    that is more than 2 chunk_px thick (0 = it may).
    """
    long_px = max(mask.shape)
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    marks = np.full(mask.shape, cv2.GC_BGD, np.uint8)
    marks[away <= outwards * long_px] = cv2.GC_PR_BGD
    marks[mask] = cv2.GC_PR_FGD
    marks[depth > min(inwards * long_px, 0.45 * float(depth.max()))] = cv2.GC_FGD
    rows, columns = np.nonzero(away <= 3 * outwards * long_px + 4)
    window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    inner = np.ascontiguousarray(marks[window])
    if not (inner == cv2.GC_BGD).any():
        return mask
    lab = cv2.cvtColor(np.ascontiguousarray(image_rgb[window]), cv2.COLOR_RGB2LAB)
    cv2.setRNGSeed(0)  # GrabCut's clustering draws from OpenCV's generator
    whole = (0, 0, inner.shape[1], inner.shape[0])  # not looked at where the marks are given
    cv2.grabCut(lab, inner, whole, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    moved = np.zeros_like(mask)
    moved[window] = (inner == cv2.GC_FGD) | (inner == cv2.GC_PR_FGD)
    if chunk_px == 0:
        return moved
    lost = mask & ~moved
    chunks = cv2.morphologyEx(lost.astype(np.uint8), cv2.MORPH_OPEN, disc(chunk_px))
    return moved | ((cv2.dilate(chunks, disc(chunk_px)) > 0) & lost)
