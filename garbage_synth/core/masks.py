"""Masks, boxes, COCO run-length encoding and polygons, without loss."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

__all__ = [
    "area_of_segmentation",
    "box_of_mask",
    "box_of_segmentation",
    "compressed_rle",
    "mask_of_box",
    "mask_of_segmentation",
    "rle_of_mask",
]


def box_of_mask(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """The half-open extent (x0, y0, x1, y1) in pixels of a bool mask (h, w), or None where it is empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def rle_of_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """The compressed COCO RLE {"size": [h, w], "counts": str} of a bool mask (h, w); counts as str, for JSON."""
    return _text_rle(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


def compressed_rle(segmentation: Any) -> Any:
    """segmentation with an RLE's counts as compressed str (from a list of runs or from bytes); polygons unchanged."""
    if not isinstance(segmentation, Mapping) or isinstance(segmentation["counts"], str):
        return segmentation
    if isinstance(segmentation["counts"], bytes):
        return _text_rle(segmentation)
    height, width = segmentation["size"]
    return _text_rle(coco_mask.frPyObjects(dict(segmentation), height, width))


def mask_of_box(box_xyxy: tuple[float, float, float, float], size_hw: tuple[int, ...]) -> NDArray[np.bool_]:
    """A box filled, bool (h, w): edges go to the nearest pixel border, and what is beyond the frame is left out."""
    mask = np.zeros(size_hw, np.bool_)
    x0, y0, x1, y1 = (max(0, round(edge)) for edge in box_xyxy)
    mask[y0:y1, x0:x1] = True
    return mask


def mask_of_segmentation(segmentation: Any, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The bool mask (h, w) of a COCO segmentation: RLE (compressed or not) or a list of polygons.

    Raises ValueError where the segmentation is empty, a polygon has fewer than three points or an odd count of
    numbers, or the RLE has another size or is damaged.
    """
    # not coco_mask.decode: it warns under numpy 2
    counts = _rle(segmentation, size_hw)["counts"]
    runs = _runs(counts if isinstance(counts, str) else counts.decode("ascii"))
    inside = np.arange(len(runs)) % 2 == 1
    height, width = size_hw
    return np.ascontiguousarray(np.repeat(inside, runs).reshape(width, height).T)


def area_of_segmentation(segmentation: Any, size_hw: tuple[int, int]) -> float:
    """The number of pixels that a COCO segmentation covers. Raises ValueError as `mask_of_segmentation` does."""
    return float(coco_mask.area(_rle(segmentation, size_hw)))


def box_of_segmentation(segmentation: Any, size_hw: tuple[int, int]) -> tuple[float, float, float, float]:
    """The COCO box (x, y, width, height) in pixels of a segmentation; zeros where it covers no pixel.

    Raises ValueError as `mask_of_segmentation` does.
    """
    x, y, width, height = (float(value) for value in coco_mask.toBbox(_rle(segmentation, size_hw)))
    return x, y, width, height


def _rle(segmentation: Any, size_hw: tuple[int, int]) -> Any:
    """The pycocotools RLE of any COCO segmentation, checked first, for pycocotools itself trusts its input."""
    height, width = size_hw
    if isinstance(segmentation, Mapping):
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if not isinstance(size, list | tuple) or list(size) != [height, width]:
            raise ValueError(f"RLE size {size} differs from the image's [{height}, {width}]")
        if not isinstance(counts, str | bytes | list):
            raise ValueError(f"RLE counts are a {type(counts).__name__}, expected str")
        runs = counts if isinstance(counts, list) else _runs(counts if isinstance(counts, str) else counts.decode())
        if not all(isinstance(run, int) and run >= 0 for run in runs) or sum(runs) != height * width:
            raise ValueError(f"RLE counts do not cover the {height * width} pixels of the image")
        return compressed_rle(segmentation)
    if not segmentation or not isinstance(segmentation, list | tuple):
        raise ValueError("segmentation is empty")
    polygons = [[float(value) for value in polygon] for polygon in segmentation]
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in polygons):
        raise ValueError("a polygon has fewer than three points or an odd count of numbers")
    if not np.isfinite([value for polygon in polygons for value in polygon]).all():
        raise ValueError("a polygon has a coordinate that is not finite")
    return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))


def _runs(counts: str) -> list[int]:
    """The run lengths of compressed counts: 5 bits a character, low first, from the fourth run on as differences
    (rleFrString of the COCO API). pycocotools reads past the end of damaged counts, so they are read here first."""
    runs: list[int] = []
    position = 0
    while position < len(counts):
        value, shift, more = 0, 0, True
        while more:
            if position >= len(counts):
                raise ValueError("RLE counts end in the middle of a run")
            bits = ord(counts[position]) - 48
            if not 0 <= bits < 64:
                raise ValueError(f"RLE counts hold the character {counts[position]!r}")
            value |= (bits & 31) << shift
            more = bool(bits & 32)
            shift += 5
            position += 1
            if not more and bits & 16:
                value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs or [0]


def _text_rle(rle: Mapping[str, Any]) -> dict[str, Any]:
    counts = rle["counts"]
    return {
        "size": [int(side) for side in rle["size"]],
        "counts": counts if isinstance(counts, str) else counts.decode("ascii"),
    }
