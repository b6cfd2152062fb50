"""The second look: a silhouette that leaves strong edges beside it has lost a part of its item."""

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.masks import box_of_mask
from garbage_synth.segment.evidence import Evidence
from garbage_synth.segment.likeness import disc, fill_holes, opened

__all__ = ["Box", "box_agreement", "completed", "on_edge"]

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels, half-open."""

_STRONG_EDGE = 5.0  # noise units
_LEFT_OVER = 1.0  # edge pixels beside the silhouette per pixel of its border from which it is looked at again
_SPAN = 0.1  # of the long side: gaps up to twice that are closed then
_SURE = 0.88
_LEAST_EXTENT = 0.03  # of the long side: smaller specks are dirt


def completed(mask: NDArray[np.bool_], evidence: Evidence, box: Box | None) -> tuple[NDArray[np.bool_], float]:
    """(the silhouette with the parts that its own and the edges beside it span, factor by which it would have grown).

    It is taken only where its new border lies on edges almost everywhere, or agrees better with the known box;
    otherwise mask, bool (h, w), comes back. The factor is 1 where there was nothing to mend.
    """
    long_px = max(mask.shape)
    edges = _edges_of_item(evidence)
    near = cv2.dilate(mask.astype(np.uint8), disc(max(1, round(0.012 * long_px)))) > 0
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    length = max(cv2.arcLength(contour, True) for contour in contours)
    if float((edges & ~near).sum()) <= _LEFT_OVER * length:
        return mask, 1.0
    spanned = opened(fill_holes(_closed(mask | edges, round(_SPAN * long_px))), max(1, round(0.006 * long_px)))
    growth = float(spanned.sum()) / float(mask.sum())
    if box is None:
        better = on_edge(spanned, evidence, _STRONG_EDGE) >= _SURE
    else:
        better = box_agreement(spanned, box) > box_agreement(mask, box)
    return (spanned, 1.0) if better else (mask, growth)


def on_edge(mask: NDArray[np.bool_], evidence: Evidence, strength: float) -> float:
    """The share, 0..1, of the border of mask, bool (h, w), that lies within 2 pixels of an edge of that strength."""
    rim = (cv2.dilate(mask.astype(np.uint8), disc(1)) > 0) & ~mask
    near = cv2.dilate(evidence.edge, np.ones((5, 5), np.uint8)) > strength
    return float(near[rim].mean()) if rim.any() else 0.0


def box_agreement(mask: NDArray[np.bool_], box: Box | None) -> float:
    """Intersection over union, 0..1, of the extent of mask, bool (h, w), and the box; 1 where there is no box."""
    own = box_of_mask(mask)
    if box is None or own is None:
        return 1.0
    width = max(0.0, min(box[2], own[2]) - max(box[0], own[0]))
    height = max(0.0, min(box[3], own[3]) - max(box[1], own[1]))
    union = (box[2] - box[0]) * (box[3] - box[1]) + (own[2] - own[0]) * (own[3] - own[1]) - width * height
    return width * height / max(union, 1e-9)


def _edges_of_item(evidence: Evidence) -> NDArray[np.bool_]:
    """Strong edges that do not run out of the picture and are no specks."""
    strong = (evidence.edge > _STRONG_EDGE) & ~evidence.outside
    joined = cv2.dilate(strong.astype(np.uint8), disc(2))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    extent = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    dropped = extent < _LEAST_EXTENT * max(strong.shape)
    rim = np.ones(strong.shape, np.bool_)
    rim[4:-4, 4:-4] = False
    dropped[np.unique(labels[rim])] = True
    return np.asarray(strong & ~dropped[labels], dtype=np.bool_)


def _closed(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    pad = 2 * radius_px + 2
    wide = cv2.morphologyEx(np.pad(mask.astype(np.uint8), pad), cv2.MORPH_CLOSE, disc(radius_px))
    return wide[pad:-pad, pad:-pad] > 0
