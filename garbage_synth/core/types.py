"""The data that the stages hand to each other: frozen, typed, free of files and tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Annotation",
    "Background",
    "Crop",
    "Dataset",
    "ImageRecord",
    "Instance",
    "Rendered",
    "Split",
]


@dataclass(frozen=True, slots=True)
class Crop:
    """One cut-out item in a crops folder: where it lies and what is known of it. Pixels are loaded by `io.catalog`.

    id: "<category>/<stem>", unique in its folder; category is "" for a distractor, which is never labelled.
    file, mask_file: POSIX paths relative to the crops folder; mask_file is the silhouette that makes labels and
    occlusion where alpha is opacity (see-through items), or None.
    source: the photo or dataset image it was cut from; crops of one source never fall into both train and val.
    size_px: (width, height). length_mm: longer side of the silhouette's minimum-area rectangle, or None. quality: 0..1.
    """

    id: str
    category: str
    file: str
    mask_file: str | None
    source: str
    size_px: tuple[int, int]
    length_mm: float | None
    quality: float


@dataclass(frozen=True, slots=True)
class Background:
    """One empty belt picture. file is relative to the backgrounds folder; size_px is (width, height).

    polygon_px: corners of the belt surface in the picture, (x, y), or None = the whole frame.
    belt_mm_per_px: millimetres on the belt per picture pixel, or None. travel_deg: 0 = +x, 90 = +y, in the picture.
    mm_per_px_at: (x, y, millimetres per pixel there), where a camera that looks aslant sees near things larger.
    """

    id: str
    file: str
    source: str
    size_px: tuple[int, int]
    polygon_px: tuple[tuple[float, float], ...] | None
    belt_mm_per_px: float | None
    travel_deg: float | None
    mm_per_px_at: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """One labelled item of a rendered picture, measured on its visible pixels.

    mask: bool (h, w), full frame, the visible pixels. box_xyxy: half-open extent of mask, pixels.
    visible_fraction: visible pixels / pixels of the whole silhouette, also outside the frame (0..1).
    truncated: the silhouette is cut by the frame edge.
    """

    category: str
    crop_id: str
    mask: NDArray[np.bool_]
    box_xyxy: tuple[int, int, int, int]
    area_px: int
    visible_fraction: float
    truncated: bool


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished picture, RGB uint8 (h, w, 3), and its labels, front to back order not implied."""

    image_rgb: NDArray[np.uint8]
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image entry of a COCO split. file_name: relative to the split's image folder; extra holds unknown fields."""

    id: int
    file_name: str
    width: int
    height: int
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation entry. bbox_xywh in pixels as COCO has it; segmentation is a COCO RLE dict (counts: str),
    a list of polygons, or None where the source has none; extra holds every further field (visible_fraction, ...)."""

    id: int
    image_id: int
    category_id: int
    bbox_xywh: tuple[float, float, float, float]
    area: float
    iscrowd: int
    segmentation: Any
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Split:
    """The images and annotations of one split, both sorted by id."""

    images: tuple[ImageRecord, ...]
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A detection dataset in memory, without pixels. categories: id -> name; splits: name -> Split.

    category_extras: id -> what else is known of a category (supercategory, keypoints, ...), only where there is any.
    """

    categories: Mapping[int, str]
    splits: Mapping[str, Split]
    info: Mapping[str, Any] = field(default_factory=dict)
    licenses: tuple[Mapping[str, Any], ...] = ()
    category_extras: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
