"""Polygons along pixel edges, which turn back into exactly the mask they came from.

`cv2.findContours` runs through pixel centres and so loses half a pixel all round (a square of 3600 pixels comes back
with 3481). The outlines here run on the grid lines between pixels; a corner (x, y) is the upper left corner of pixel
column x and row y. Holes are joined to their outline by a cut of zero width, so that one polygon is one region.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["joined_polygon", "polygons_of_mask"]

Loop = list[tuple[int, int]]


def polygons_of_mask(mask: NDArray[np.bool_]) -> list[list[float]]:
    """COCO polygons [x0, y0, x1, y1, ...] in pixels of a bool mask (h, w), one for each 4-connected region.

    `mask_of_segmentation` of the result is the mask again, pixel for pixel. Empty mask: empty list.
    """
    outlines: list[Loop] = []
    holes: list[Loop] = []
    for loop in _loops(mask):
        x, y = min(loop, key=lambda corner: (corner[1], corner[0]))
        (outlines if mask[y, x] else holes).append(loop)
    # from left to right: the loop that a cut to the left meets is then an outline or part of one already
    for hole in sorted(holes, key=min):
        _join(outlines, hole, mask)
    return [[float(value) for corner in outline for value in corner] for outline in outlines]


def joined_polygon(polygons: list[list[float]]) -> list[float]:
    """One polygon of several, connected by lines of zero width; for formats that allow one polygon per item."""
    start = polygons[0][:2]
    joined = list(polygons[0])
    for polygon in polygons[1:]:
        joined += start + polygon + polygon[:2]
    return joined


def _loops(mask: NDArray[np.bool_]) -> list[Loop]:
    """The closed boundary lines as corner lists. A corner is a place where the 2x2 pixels around it make a turn."""
    padded = np.pad(mask, 1).astype(np.int8)
    upper_left, upper_right = padded[:-1, :-1], padded[:-1, 1:]
    lower_left, lower_right = padded[1:, :-1], padded[1:, 1:]
    turns = (upper_left + upper_right + lower_left + lower_right) % 2 == 1
    crossings = (upper_left == lower_right) & (upper_right == lower_left) & (upper_left != upper_right)
    # a crossing of two regions at a corner counts twice: once for its line to the left, once for that to the right
    ys, xs = np.nonzero(turns | crossings)
    double = crossings[ys, xs]
    ys, xs = np.repeat(ys, 1 + double), np.repeat(xs, 1 + double)
    count = len(xs)
    if count == 0:
        return []
    second = np.zeros(count, dtype=np.bool_)
    second[1:] = (ys[1:] == ys[:-1]) & (xs[1:] == xs[:-1])
    first = np.zeros(count, dtype=np.bool_)
    first[:-1] = second[1:]
    # which copy the line upwards belongs to: the one whose region is the upper one
    leads_up = np.where(second, ~upper_left[ys, xs].astype(np.bool_), upper_left[ys, xs].astype(np.bool_))
    order_in_column = np.where(first | second, np.where(leads_up, 0, 1), 0)
    along_row = _partners(np.lexsort((second, xs, ys)))
    along_column = _partners(np.lexsort((order_in_column, ys, xs)))
    loops = []
    unseen = np.ones(count, dtype=np.bool_)
    for begin in range(count):
        if not unseen[begin]:
            continue
        loop: Loop = []
        at = begin
        while unseen[at]:
            across = along_row[at]
            unseen[[at, across]] = False
            loop += [(int(xs[at]), int(ys[at])), (int(xs[across]), int(ys[across]))]
            at = along_column[across]
        loops.append(loop)
    return loops


def _partners(order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Corners sorted along their lines come in pairs that bound one edge each; the partner of every corner."""
    partners = np.empty_like(order)
    partners[order[0::2]] = order[1::2]
    partners[order[1::2]] = order[0::2]
    return partners


def _join(outlines: list[Loop], hole: Loop, mask: NDArray[np.bool_]) -> None:
    """Splices a hole into the outline that lies to the left of its leftmost corner."""
    start = hole.index(min(hole))
    hole = hole[start:] + hole[:start]
    x, y = hole[0]
    left = x - 1
    while left > 0 and mask[y, left - 1]:
        left -= 1
    for outline in outlines:
        for index, (x0, y0) in enumerate(outline):
            x1, y1 = outline[(index + 1) % len(outline)]
            if x0 == x1 == left and min(y0, y1) <= y < max(y0, y1):
                outline[index + 1 : index + 1] = [(left, y), *hole, hole[0], (left, y)]
                return
    raise AssertionError("a hole without an outline around it")  # pragma: no cover - cannot happen
