"""Masks, boxes and COCO run-length encoding, without loss."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

__all__ = ["box_of_mask", "mask_of_segmentation", "rle_of_mask"]


def box_of_mask(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """The half-open extent (x0, y0, x1, y1) in pixels of a bool mask (h, w), or None where it is empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def rle_of_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """The compressed COCO RLE {"size": [h, w], "counts": str} of a bool mask (h, w); counts is str, so JSON takes it."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def mask_of_segmentation(segmentation: Any, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The bool mask (h, w) of a COCO segmentation: RLE (compressed or not) or a list of polygons.

    Raises ValueError where the segmentation is empty, a polygon has fewer than three points, or the RLE has another size.
    """
    height, width = size_hw
    if isinstance(segmentation, dict):
        rle = segmentation
        if [int(side) for side in rle["size"]] != [height, width]:
            raise ValueError(f"RLE size {rle['size']} differs from the image's [{height}, {width}]")
        if isinstance(rle["counts"], list):
            rle = coco_mask.frPyObjects(rle, height, width)
        return np.asarray(coco_mask.decode(rle), dtype=np.bool_)
    if not segmentation or any(len(polygon) < 6 for polygon in segmentation):
        raise ValueError("segmentation has no polygon of at least three points")
    return np.asarray(coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))), dtype=np.bool_)
