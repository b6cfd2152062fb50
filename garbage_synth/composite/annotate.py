"""Labels from the one id map of a picture: what is seen of each item, and its exact run-length encoding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from garbage_synth.composite.blend import frame_part
from garbage_synth.composite.warp import Patch
from garbage_synth.core.masks import mask_of_segmentation
from garbage_synth.core.polygons import polygons_of_mask

__all__ = ["Visible", "polygons_of_part", "rle_of_part", "visible_parts"]

POLYGON_IOU = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Visible:
    """What is seen of one item. part: uint8 (h, w) 0 or 255, its visible pixels within its own box.

    box_xyxy: that box, half-open frame pixels; (0, 0, 0, 0) and an empty part where nothing is seen.
    area_px: visible pixels. whole_px: pixels of the silhouette, outside the frame too.
    truncated: the frame edge cuts the silhouette. whole_xyxy: the box of the whole silhouette, which may reach outside
    the frame; its corners are equal where it has no pixel.
    """

    part: NDArray[np.uint8]
    box_xyxy: tuple[int, int, int, int]
    area_px: int
    whole_px: int
    truncated: bool
    whole_xyxy: tuple[int, int, int, int]

    @property
    def fraction(self) -> float:
        """Visible pixels / pixels of the whole silhouette, 0..1."""
        return self.area_px / self.whole_px if self.whole_px else 0.0


def visible_parts(patches: Sequence[Patch], frame_hw: tuple[int, int]) -> list[Visible]:
    """What is seen of each item, the patches given from the lowest to the highest.

    A higher item hides what is below its silhouette, even where it is see-through.
    """
    id_map = np.zeros(frame_hw, np.uint8 if len(patches) < 256 else np.uint16)
    for number, patch in enumerate(patches, start=1):
        place = frame_part(patch.x0, patch.y0, patch.silhouette.shape, frame_hw)
        if place is not None:
            ids = np.full_like(id_map[place[0]], number)
            cv2.copyTo(ids, patch.silhouette[place[1]], id_map[place[0]])
    return [_visible(number, patch, id_map) for number, patch in enumerate(patches, start=1)]


def rle_of_part(part: NDArray[np.uint8], x0: int, y0: int, size_wh: tuple[int, int]) -> dict[str, Any]:
    """The compressed COCO RLE {"size": [h, w], "counts": str} of a mask that is `part` (non-zero = set) at (x0, y0) and
    empty elsewhere; the same string as encoding the whole frame, without going through its pixels.

    part must lie within the frame.
    """
    width, height = size_wh
    rows, columns = part.shape
    # One empty pixel below every column ends its runs; edges then alternate start, end, start, ...
    flat = np.zeros((columns, rows + 1), np.bool_)
    flat[:, :rows] = part.T != 0
    edges = np.flatnonzero(np.diff(flat.ravel(), prepend=False))
    column, row = np.divmod(edges, rows + 1)
    position = (column + x0) * height + row + y0
    if rows == height:  # a run may go on from one column's foot to the next one's head
        joined = np.flatnonzero(position[1:-1:2] == position[2::2])
        position = np.delete(position, np.concatenate([2 * joined + 1, 2 * joined + 2]))
    runs = np.diff(np.concatenate([[0], position, [height * width]]))
    if runs.size > 1 and runs[-1] == 0:
        runs = runs[:-1]
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def polygons_of_part(part: NDArray[np.uint8], x0: int, y0: int) -> list[list[float]] | None:
    """COCO polygons [x, y, x, y, ...] along the pixel edges of a mask that is `part` (non-zero = set) at (x0, y0).

    None where what a reader makes of them has an IoU with the mask below POLYGON_IOU.
    """
    mask = part != 0
    polygons = polygons_of_mask(mask)
    if not polygons:
        return None
    again = mask_of_segmentation(polygons, (mask.shape[0], mask.shape[1]))
    if np.count_nonzero(again & mask) < POLYGON_IOU * np.count_nonzero(again | mask):
        return None
    return [[value + (y0 if index % 2 else x0) for index, value in enumerate(polygon)] for polygon in polygons]


def _visible(number: int, patch: Patch, id_map: NDArray[Any]) -> Visible:
    whole_px = cv2.countNonZero(patch.silhouette)
    x, y, width, height = cv2.boundingRect(patch.silhouette)
    whole_xyxy = (patch.x0 + x, patch.y0 + y, patch.x0 + x + width, patch.y0 + y + height)
    place = frame_part(patch.x0, patch.y0, patch.silhouette.shape, id_map.shape)
    if place is None:
        return Visible(np.zeros((0, 0), np.uint8), (0, 0, 0, 0), 0, whole_px, whole_px > 0, whole_xyxy)
    (rows, columns), inside = place
    seen = cv2.inRange(id_map[rows, columns], (number,), (number,))
    inside_px = cv2.countNonZero(patch.silhouette[inside])
    x, y, width, height = cv2.boundingRect(seen)
    left, top = (columns.start + x, rows.start + y) if width else (0, 0)
    part = np.asarray(seen[y : y + height, x : x + width], np.uint8)
    area_px = cv2.countNonZero(part) if width else 0
    return Visible(part, (left, top, left + width, top + height), area_px, whole_px, inside_px < whole_px, whole_xyxy)
