"""What is wrong in a COCO document, entry by entry: every rule is one that a real consumer stumbled over.

Masks given as run-length codes must agree with box and area exactly. Polygons of other people's files are ideal lines:
their box may be that of the filled pixels or that of the corners, a pixel more or less, and their area may differ by
half a pixel along the outline.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeGuard

from garbage_synth.core.masks import area_of_segmentation, box_of_segmentation
from garbage_synth.formats.coco import MAX_SIDE_PX, is_safe_file_name

__all__ = ["Finding", "check_document", "compare_categories"]

EXACT_PX = 0.01
LARGEST_NUMBER = 1e300  # JSON knows longer ones, arithmetic does not


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. file: where; entry: "annotation 7", or "" for the file as a whole.

    defect: a consumer fails or is misled; otherwise it is only worth knowing.
    """

    file: str
    entry: str
    what: str
    defect: bool = True

    def __str__(self) -> str:
        """One line: file, entry and what is wrong."""
        return ": ".join(part for part in (self.file, self.entry, self.what) if part)


def check_document(document: Mapping[str, Any], file: str) -> list[Finding]:
    """Every finding in one COCO document, in its order. file: how findings name it."""
    found: list[Finding] = []
    lists: dict[str, list[Mapping[str, Any]]] = {}
    for name in ("categories", "images", "annotations"):
        entries = document.get(name)
        if not isinstance(entries, list):
            found.append(Finding(file, "", f"no list '{name}'; COCO readers fail without it"))
        elif not all(isinstance(entry, Mapping) for entry in entries):
            found.append(Finding(file, "", f"'{name}' holds something that is no object"))
        else:
            lists[name] = entries
    for name in ("info", "licenses"):
        if name not in document:
            found.append(Finding(file, "", f"'{name}' is missing; some readers want it", defect=False))
    if len(lists) < 3:
        return found
    checker = _Checker(file, lists["categories"], lists["images"])
    for what, entries, check in (
        ("category", lists["categories"], checker.category),
        ("image", lists["images"], checker.image),
        ("annotation", lists["annotations"], checker.annotation),
    ):
        counts = Counter(repr(entry.get("id")) for entry in entries)
        for position, entry in enumerate(entries):
            key = entry.get("id")
            label = f"{what} {key}" if _is_integer(key) else f"{what} at position {position}"
            found += [Finding(file, label, text) for text in _own_id(entry, counts)]
            found += [Finding(file, label, f"{path} is not a finite number") for path in _not_finite(entry, "")]
            found += [Finding(file, label, text) for text in check(entry)]
    found += [Finding(file, "", text) for text in checker.whole()]
    without = sum("segmentation" not in entry for entry in lists["annotations"])
    if without:
        found.append(Finding(file, "", f"{without} annotations have no segmentation: boxes only", defect=False))
    return found


def compare_categories(documents: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """A finding for every document (file -> document) whose categories differ from those of the first."""
    found: list[Finding] = []
    first: dict[Any, Any] | None = None
    first_file = ""
    for file, document in documents.items():
        entries = document.get("categories")
        if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
            continue
        own = {repr(entry.get("id")): entry.get("name") for entry in entries}
        if first is None:
            first, first_file = own, file
        elif own != first:
            differ = sorted(key for key in first.keys() | own.keys() if first.get(key) != own.get(key))
            found.append(Finding(file, f"category {differ[0]}", f"categories differ from those of {first_file}"))
    return found


class _Checker:
    """The rules for one document; each method yields what is wrong with one entry."""

    def __init__(self, file: str, categories: list[Mapping[str, Any]], images: list[Mapping[str, Any]]) -> None:
        self.category_ids = [entry["id"] for entry in categories if _is_integer(entry.get("id"))]
        self.images = {entry["id"]: entry for entry in images if _is_integer(entry.get("id"))}
        self.names = Counter(str(entry.get("name")) for entry in categories)
        self.file_names = Counter(str(entry.get("file_name")) for entry in images)

    def whole(self) -> Iterator[str]:
        if sorted(self.category_ids) != list(range(1, len(self.category_ids) + 1)):
            yield (
                f"category ids are {sorted(self.category_ids)}, expected 1..{len(self.category_ids)}: 0 is background "
                "to torchvision, gaps make a detector's head too large; `export --format coco` numbers them anew"
            )

    def category(self, entry: Mapping[str, Any]) -> Iterator[str]:
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip():
            yield f"name is {name!r}, expected text"
        elif self.names[name] > 1:
            yield f"name {name!r} is used twice"

    def image(self, entry: Mapping[str, Any]) -> Iterator[str]:
        name = entry.get("file_name")
        if not is_safe_file_name(name):
            yield f"file_name is {name!r}, expected a path inside the image folder"
        elif self.file_names[str(name)] > 1:
            yield f"file_name {name!r} is listed twice"
        for side in ("width", "height"):
            if not _is_side(entry.get(side)):
                yield f"{side} is {entry.get(side)!r}, expected a whole number of pixels"

    def annotation(self, entry: Mapping[str, Any]) -> Iterator[str]:
        if _is_integer(entry.get("id")) and entry["id"] < 1:
            yield "id is below 1: pycocotools takes id 0 for 'no match' and lowers the scores without an error"
        if entry.get("category_id") not in self.category_ids:
            yield f"category_id {entry.get('category_id')!r} is unknown"
        if entry.get("iscrowd") not in (0, 1):
            yield f"iscrowd is {entry['iscrowd']!r}, expected 0 or 1" if "iscrowd" in entry else "iscrowd is missing"
        area = entry.get("area")
        if not _is_number(area):
            yield "area is missing" if "area" not in entry else f"area is {area!r}, expected a number"
        elif area <= 0:
            yield f"area is {area}, expected more than 0"
        box = entry.get("bbox")
        sound_box = isinstance(box, list) and len(box) == 4 and all(_is_number(value) for value in box)
        if not sound_box:
            yield f"bbox is {box!r}, expected four numbers x, y, width, height"
        image = self.images.get(entry["image_id"]) if _is_integer(entry.get("image_id")) else None
        if image is None:
            yield f"image_id {entry.get('image_id')!r} is unknown"
            return
        if not all(_is_side(image.get(side)) for side in ("width", "height")):
            return
        if sound_box:
            yield from _check_box(entry["bbox"], image)
        if "segmentation" in entry:
            yield from _check_mask(entry, image, entry["bbox"] if sound_box else None)


def _check_box(box: list[float], image: Mapping[str, Any]) -> Iterator[str]:
    x, y, width, height = box
    if width <= 0 or height <= 0:
        yield f"bbox {box} has no size"
    if min(x, y) < -EXACT_PX or x + width > image["width"] + EXACT_PX or y + height > image["height"] + EXACT_PX:
        yield f"bbox {box} leaves the picture of {image['width']}x{image['height']}"


def _check_mask(entry: Mapping[str, Any], image: Mapping[str, Any], box: list[float] | None) -> Iterator[str]:
    segmentation = entry["segmentation"]
    if isinstance(segmentation, list) and not all(map(_is_polygon, segmentation)):
        yield "segmentation: a polygon is no list of numbers"
        return
    size_hw = (image["height"], image["width"])
    try:
        pixels = area_of_segmentation(segmentation, size_hw)
        extent = box_of_segmentation(segmentation, size_hw)
    except (ValueError, TypeError, OverflowError) as error:
        yield f"segmentation: {error}"
        return
    if pixels == 0:
        yield "segmentation covers no pixel"
        return
    coded = isinstance(segmentation, Mapping)
    if coded and not isinstance(segmentation["counts"], str) and entry.get("iscrowd") != 1:
        yield "segmentation counts are a list, expected str; `export --format coco` packs them"
    if box is not None:
        apart = _apart_px(box, extent)
        if not coded:
            xs, ys = ([value for polygon in segmentation for value in polygon[axis::2]] for axis in (0, 1))
            x, y = max(min(xs), 0), max(min(ys), 0)
            corners = (x, y, min(max(xs), image["width"]) - x, min(max(ys), image["height"]) - y)
            apart = min(apart, _apart_px(box, corners))
        if apart > (EXACT_PX if coded else 1.0 + EXACT_PX):
            yield f"bbox {box} differs from the mask's extent {list(extent)} by {apart:.2f} px"
    area = entry.get("area")
    tolerance = EXACT_PX if coded else 1.0 + sum(_outline_px(polygon) for polygon in segmentation) / 2
    if _is_number(area) and abs(area - pixels) > tolerance:
        yield f"area {area} differs from the mask's {pixels:.0f} pixels"


def _apart_px(box: Sequence[float], other: Sequence[float]) -> float:
    """The largest distance between the same edges of two boxes (x, y, width, height)."""
    return max(
        abs(box[0] - other[0]),
        abs(box[1] - other[1]),
        abs(box[0] + box[2] - other[0] - other[2]),
        abs(box[1] + box[3] - other[1] - other[3]),
    )


def _outline_px(polygon: list[float]) -> float:
    points = list(zip(polygon[::2], polygon[1::2], strict=True))
    return sum(math.dist(one, other) for one, other in pairwise([*points, points[0]]))


def _own_id(entry: Mapping[str, Any], counts: Counter[str]) -> Iterator[str]:
    key = entry.get("id")
    if not _is_integer(key):
        yield f"id is {key!r}, expected an integer"
    elif counts[repr(key)] > 1:
        yield f"id {key} is used {counts[repr(key)]} times"


def _not_finite(value: Any, path: str) -> Iterator[str]:
    """The dotted path of every NaN or infinity in an entry."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _not_finite(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _not_finite(inner, path)


def _is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def _is_side(value: Any) -> TypeGuard[int]:
    return _is_integer(value) and 1 <= value < MAX_SIDE_PX


def _is_polygon(value: Any) -> TypeGuard[list[float]]:
    return isinstance(value, list) and all(map(_is_number, value))
