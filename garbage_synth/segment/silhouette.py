"""The item's outline in a photo of it on a board."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.segment.board import frame_ring
from garbage_synth.segment.complete import Box, completed
from garbage_synth.segment.cut import cheapest_cut
from garbage_synth.segment.evidence import Evidence, gather_evidence
from garbage_synth.segment.likeness import disc, fill_holes, item_likeness, opened
from garbage_synth.segment.snap import snap

__all__ = ["Outline", "find_outline"]

_CUT_LONG_PX = 256
_CUT_ROUNDS = 250
_LEAST_LIKENESS = 0.06  # above which a pixel may gain by being inside
_STRICT_SHARE = 0.75  # of the usual likeness: above it a pixel gains without question
_STRICT_MOST = 0.75
_PART_OUTLINED = 3.0, 0.6  # at least this share of a part's outline must be an edge of so many noise units,
_SURELY_OUTLINED = 6.0, 0.8  # and this where the part looks like a shadow or like the board
_ALIKE = 0.015  # log units
_THIN = 0.016  # of the long side
_DARKENED = 0.05
_SHADOW_COLOUR = 8.0
_SOFTNESS = 0.08
_AREA_WEIGHT = 0.15  # a pixel's gain or cost against a pixel length of border where there is no edge
_SURE_COST = 3.0
_LEAST_PRICE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A silhouette, bool (h, w), at the reduced size, with the maps it was found on.

    missing: 1, or the factor by which it would grow if the strong edges beside it were the item's too.
    """

    mask: NDArray[np.bool_]
    evidence: Evidence
    likeness: NDArray[np.float32]
    missing: float


def find_outline(image_rgb: NDArray[np.uint8], box_xyxy: Box | None, *, reduction: float = 1.0) -> Outline:
    """The outline of the item in RGB uint8 (h, w, 3), about 512 pixels long; its mask is empty where none is seen.

    reduction: by how much the photo was scaled for it, 0..1.
    box_xyxy: the item's extent where it is known; everything outside is board then. Several parts come back as they
    are; see `judge`.
    """
    board, outside = _certain(image_rgb.shape[:2], box_xyxy)
    evidence = gather_evidence(image_rgb, board, outside, reduction=reduction)
    likeness = item_likeness(evidence)
    cut = _cut(evidence, likeness)
    if not cut.any():
        return Outline(cut, evidence, likeness, 1.0)
    hair_px = max(1, round(0.004 * max(cut.shape)))
    whole, growth = completed(cut, evidence, box_xyxy)
    snapped = snap(image_rgb, whole, chunk_px=hair_px)
    return Outline(opened(fill_holes(snapped, 0.05), hair_px), evidence, likeness, growth)


def _certain(size_hw: tuple[int, ...], box: Box | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(pixels that are mostly board, pixels that are surely outside of the item), bool (h, w)."""
    height, width = size_hw[:2]
    rim = np.ones((height, width), np.bool_)
    rim[1:-1, 1:-1] = False
    if box is None:
        return frame_ring((height, width)), rim
    margin = 0.008 * max(height, width)
    outside = np.ones((height, width), np.bool_)
    x0, y0 = (max(0, int(np.floor(value - margin))) for value in box[:2])
    x1, y1 = (int(np.ceil(value + margin)) for value in box[2:])
    outside[y0:y1, x0:x1] = False
    # A box that fills the picture leaves its rim, as without one.
    return (outside, outside) if outside.mean() > 0.02 else (frame_ring((height, width), 0.02), rim)


def _cut(evidence: Evidence, likeness: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The item without its shadow: what is surely inside, and what lies beside it and stands on an outline."""
    seen = likeness[likeness > _LEAST_LIKENESS]
    if not seen.size:
        return np.zeros(likeness.shape, np.bool_)
    usual = float(np.quantile(seen, 0.75))
    generous = _cut_at(evidence, likeness, _LEAST_LIKENESS)
    strict_level = min(_STRICT_SHARE * usual, _STRICT_MOST)
    if strict_level <= _LEAST_LIKENESS + 0.01:
        return generous
    strict = _cut_at(evidence, likeness, strict_level) & generous
    return _with_true_parts(strict, generous & ~strict, evidence)


def _with_true_parts(strict: NDArray[np.bool_], doubtful: NDArray[np.bool_], evidence: Evidence) -> NDArray[np.bool_]:
    """strict and those parts of doubtful that have an outline; where they look like shadow, all around."""
    hair_px = max(1, round(0.004 * max(strict.shape)))
    count, labels = cv2.connectedComponents(opened(doubtful, hair_px).astype(np.uint8))
    near_edge = cv2.dilate(evidence.edge, np.ones((5, 5), np.uint8))
    outside = ~(strict | doubtful)
    kept = strict.copy()
    for label in range(1, count):
        part = labels == label
        rim = (cv2.dilate(part.astype(np.uint8), disc(2)) > 0) & outside
        core = cv2.erode(part.astype(np.uint8), disc(2)) > 0
        core = core if core.any() else part
        dark = (
            float(np.median(evidence.light[core])) < -_DARKENED
            and float(np.median(evidence.colour[core])) < _SHADOW_COLOUR
        )
        # What looks just like the board and is small may be a JPEG block beside the item.
        thick = float(cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 3).max())
        alike = (
            float(np.median(np.abs(evidence.tone[core]))) < _ALIKE and float(np.median(evidence.tint[core])) < _ALIKE
        )
        edge, share = _SURELY_OUTLINED if dark or (alike and thick < _THIN * max(part.shape)) else _PART_OUTLINED
        if not rim.any() or float((near_edge[rim] > edge).mean()) >= share:
            kept |= part
    return opened(fill_holes(kept), hair_px)


def _cut_at(evidence: Evidence, likeness: NDArray[np.float32], turning_point: float) -> NDArray[np.bool_]:
    height, width = likeness.shape
    scale = min(1.0, _CUT_LONG_PX / max(height, width))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    edge, like, outside = (
        cv2.resize(values, size_wh, interpolation=cv2.INTER_AREA)
        for values in (evidence.edge, likeness, evidence.outside.astype(np.float32))
    )
    strong = evidence.edge[(evidence.edge > 6) & ~evidence.outside]
    half_edge = float(np.clip(0.2 * np.quantile(strong, 0.8), 2.5, 20)) if strong.size else 2.5
    price = (1 / (1 + (edge / half_edge) ** 2) + _LEAST_PRICE).astype(np.float32)
    cost = (-_AREA_WEIGHT * np.clip((like - turning_point) / _SOFTNESS, -1, 1)).astype(np.float32)
    cost[outside > 0.5] = _SURE_COST
    inside = cheapest_cut(cost, price, (like > turning_point).astype(np.float32), _CUT_ROUNDS)
    mask = cv2.resize(inside, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    return opened(fill_holes(mask), max(1, round(0.004 * max(height, width))))
