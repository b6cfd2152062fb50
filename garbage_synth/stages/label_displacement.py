"""Labels that follow the displacement which a generator tells: the same positions that its picture was sampled at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.annotate import polygons_of_part
from garbage_synth.core.displacement import moved_mask, reach_px
from garbage_synth.core.masks import box_of_mask, mask_of_box, mask_of_segmentation, rle_of_mask
from garbage_synth.core.types import Annotation
from garbage_synth.errors import InputError
from garbage_synth.fidelity.verdicts import Label

__all__ = ["Followed", "follow", "mean_warp_px", "moved_picture"]

Mask = NDArray[np.bool_]
Displacement = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """A label after its picture was displaced.

    fields: the fields of its COCO annotation that change, none where it stays on its pixels; None where nothing of it
    is left. label: what the label check needs of it.
    """

    fields: Mapping[str, Any] | None
    label: Label


def follow(
    annotations: Sequence[Annotation], labels: Sequence[Label], displacement: Displacement, source: str
) -> tuple[Followed, ...]:
    """The labels of the picture `source` after it was displaced (see `core.displacement`), each for itself.

    Its mask is moved, and the edges of its box move as those of the mask's extent do, or, where it has no mask, as
    those of the filled box: a loose box stays loose. Amodal fields change likewise; polygons stay polygons where they
    can. visible_fraction stays: what is seen and what is hidden are deformed alike. Raises InputError naming source and
    id for amodal fields that cannot be read.
    """
    reach = reach_px(displacement)
    return tuple(
        _followed(annotation, label, displacement, reach, source)
        for annotation, label in zip(annotations, labels, strict=True)
    )


def mean_warp_px(label: Label, displacement: Displacement) -> float:
    """How far what lies on the pixels of a label has moved, in the mean; 0 for a label without a pixel."""
    mask = label.filled(displacement.shape[:2])
    box = box_of_mask(mask)
    if box is None:
        return 0.0
    part = slice(box[1], box[3]), slice(box[0], box[2])
    return float(np.hypot(*displacement[part][mask[part]].T).mean())


def moved_picture(image_rgb: NDArray[np.uint8], displacement: Displacement) -> NDArray[np.uint8]:
    """The picture before, RGB uint8 (h, w, 3), displaced as a generator displaces it, but for rounding."""
    height, width = image_rgb.shape[:2]
    x = np.arange(width, dtype=np.float32) + displacement[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + displacement[..., 1]
    moved = cv2.remap(image_rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _followed(annotation: Annotation, label: Label, displacement: Displacement, reach: int, source: str) -> Followed:
    mask = label.filled(displacement.shape[:2])
    moved = moved_mask(mask, displacement, reach)
    old, new = box_of_mask(mask), box_of_mask(moved)
    if new is None and old is not None:
        return Followed(None, Label((0.0, 0.0, 0.0, 0.0), moved))
    try:
        fields = _amodal(annotation.extra, displacement, reach)
    except (ValueError, TypeError) as error:
        raise InputError(f"amodal fields of annotation {annotation.id} of picture {source}: {error}") from error
    if old is None or new is None or np.array_equal(moved, mask):
        return Followed(fields, label)
    has_mask = label.mask is mask
    x, y, width, height = fields["bbox"] = _moved_box(annotation.bbox_xywh, old, new)
    if has_mask:
        fields |= {"area": int(moved.sum()), "segmentation": _segmentation(annotation.segmentation, moved)}
    else:
        fields["area"] = round(width * height, 3)
    return Followed(fields, Label((x, y, x + width, y + height), moved if has_mask else None))


def _amodal(extra: Mapping[str, Any], displacement: Displacement, reach: int) -> dict[str, Any]:
    """The amodal fields that change. The part of a box beyond the frame stays: nothing is known of its motion."""
    fields: dict[str, Any] = {}
    size_hw = displacement.shape[0], displacement.shape[1]
    box, segmentation = extra.get("amodal_bbox"), extra.get("amodal_segmentation")
    if segmentation:
        mask = mask_of_segmentation(segmentation, size_hw)
    elif box:
        x, y, width, height = box
        mask = mask_of_box((x, y, x + width, y + height), size_hw)
    else:
        return fields
    moved = moved_mask(mask, displacement, reach)
    old, new = box_of_mask(mask), box_of_mask(moved)
    if old is None or new is None or np.array_equal(moved, mask):
        return fields
    if segmentation:
        fields["amodal_segmentation"] = _segmentation(segmentation, moved)
    if box:
        fields["amodal_bbox"] = _moved_box(box, old, new)
    return fields


def _moved_box(bbox_xywh: Sequence[float], old: Sequence[int], new: Sequence[int]) -> list[float]:
    """A COCO box whose edges move as those of an extent (x0, y0, x1, y1) do, at least a pixel wide and high."""
    x, y, width, height = bbox_xywh
    left, top, right, bottom = (after - before for before, after in zip(old, new, strict=True))
    moved = x + left, y + top, max(width + right - left, 1), max(height + bottom - top, 1)
    return [round(value, 3) for value in moved]


def _segmentation(before: Any, mask: Mask) -> Any:
    """A mask in the kind of segmentation that it had: polygons, where they hold it, or RLE."""
    if isinstance(before, list):
        x0, y0, x1, y1 = box_of_mask(mask) or (0, 0, 0, 0)
        polygons = polygons_of_part(mask[y0:y1, x0:x1].astype(np.uint8), x0, y0)
        if polygons is not None:
            return polygons
    return rle_of_mask(mask)
