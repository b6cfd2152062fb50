"""How much each pixel looks like the item: how hard it is to get there from the board, and how far its colour is."""

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.segment.board import frame_ring
from garbage_synth.segment.evidence import Evidence, reachable

__all__ = ["disc", "fill_holes", "item_likeness", "opened"]

_EDGE_LEVELS = (2.5, 3.5, 5.0, 7.0, 10.0, 15.0, 22.0)
_GAPS = (0.004, 0.012, 0.028)  # of the long side: gaps in an outline up to twice that are shut
_COLOUR_LEVELS = (4.0, 8.0, 12.0, 16.0)
_COLOUR_STEP = 0.2
_TONE_LEVELS = (0.015, 0.025, 0.04, 0.07)  # log units
_ISLAND_EDGE = 2.5
_LEAST_ISLAND = 0.0004  # of the picture
_ISLAND_STEP = 0.15
_BRIGHT_OUTLINED, _DARK_OUTLINED = 0.7, 0.9
_HAIR = 0.006  # of the long side: what is thinner than twice that is no item,
_GROOVE = 0.022  # nor what is thinner than twice that and runs out of the picture


def item_likeness(evidence: Evidence) -> NDArray[np.float32]:
    """float32 (h, w) in 0..1: the share of walks from the board that do not get there.

    A walker comes from what is surely board and may not cross edges; walkers differ in how strong an edge must be to
    stop them and in how wide they are. The more of them are kept out of a place, the more it is inside of something:
    the outline of a clear bottle keeps them out of pixels that look just like the board.
    """
    long_px = max(evidence.edge.shape)
    inside = np.zeros(evidence.edge.shape, np.float32)
    for level in _EDGE_LEVELS:
        barrier = _hysteresis(evidence.edge, level, 2 * level)
        for gap in _GAPS:
            reached = reachable(barrier, evidence.start, gap_px=max(1, round(gap * long_px)))
            inside += _without_lines(~reached)
    inside /= len(_EDGE_LEVELS) * len(_GAPS)
    coloured = np.zeros_like(inside)
    for level in _COLOUR_LEVELS:
        coloured += np.float32(_COLOUR_STEP) * _without_lines(fill_holes(evidence.colour > level))
    return np.maximum(np.maximum(inside, coloured), _islands(evidence))


def _islands(evidence: Evidence) -> NDArray[np.float32]:
    """float32 (h, w): places a little brighter, darker or more coloured than the board that edges part from it.

    White paper and grey glass differ from the board by a few levels only, all over. Shadows and second lamps do so too,
    but where they end there is no edge; a dark place must therefore be outlined nearly all around.
    """
    barrier = cv2.dilate((evidence.edge > _ISLAND_EDGE).astype(np.uint8), disc(1)) > 0
    near = cv2.dilate(barrier.astype(np.uint8), disc(2)) > 0
    spread = 3 * 1.4826 * float(np.median(np.abs(evidence.tone[evidence.start])))
    found = np.zeros(evidence.edge.shape, np.float32)
    for level in _TONE_LEVELS:
        level = max(level, spread)
        for place, outlined in (
            (evidence.tone > level, _BRIGHT_OUTLINED),
            (evidence.tint > level, _BRIGHT_OUTLINED),
            (evidence.tone < -level, _DARK_OUTLINED),
        ):
            found += np.float32(_ISLAND_STEP) * _without_lines(_outlined_parts(place & ~barrier, near, outlined))
    return np.minimum(found, 1)


def _outlined_parts(place: NDArray[np.bool_], near_edge: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """The connected parts of place, bool (h, w), with `share` of the outer border near an edge, grown onto it."""
    place = opened(place, 2)
    found = np.zeros(place.shape, np.bool_)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(place.astype(np.uint8), connectivity=4)
    for label in np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= _LEAST_ISLAND * place.size):
        if label == 0:
            continue
        x, y, width, height = (int(value) for value in stats[label, :4])
        window = np.s_[max(0, y - 1) : y + height + 1, max(0, x - 1) : x + width + 1]
        part = fill_holes(labels[window] == label)
        rim = part & ~(cv2.erode(part.astype(np.uint8), disc(1), borderValue=1) > 0)
        if float(near_edge[window][rim].mean()) >= share:
            found[window] |= part
    return cv2.dilate(found.astype(np.uint8), disc(4)) > 0


def fill_holes(mask: NDArray[np.bool_], largest_part: float = 1.0) -> NDArray[np.bool_]:
    """mask, bool (h, w), without the holes that are smaller than `largest_part` of its area."""
    padded = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(padded, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < largest_part * max(int(mask.sum()), 1)
    small[[0, labels[0, 0]]] = False
    return np.asarray(mask | small[labels[1:-1, 1:-1]], dtype=np.bool_)


def opened(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """mask, bool (h, w), without what a disc of that radius does not fit into."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc(radius_px)) > 0


def disc(radius_px: int) -> NDArray[np.uint8]:
    """A disc as a structuring element, uint8 (2 radius + 1, 2 radius + 1)."""
    side = 2 * radius_px + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)).astype(np.uint8)


def _without_lines(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without hair, and without grooves and shadows that cross the board and run out of the picture."""
    long_px = max(mask.shape)
    mask = opened(mask, max(1, round(_HAIR * long_px)))
    ring = frame_ring(mask.shape, 0.02)
    if not (mask & ring).any():
        return mask
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    linked = np.isin(labels, np.unique(labels[ring & mask]))
    linked &= mask
    return (mask & ~linked) | opened(linked, round(_GROOVE * long_px))


def _hysteresis(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.bool_]:
    """The connected regions above `low` that reach `high` somewhere."""
    count, labels = cv2.connectedComponents((values > low).astype(np.uint8), connectivity=8)
    reached = np.zeros(count, np.bool_)
    reached[np.unique(labels[values > high])] = True
    reached[0] = False
    return np.asarray(reached[labels], dtype=np.bool_)
