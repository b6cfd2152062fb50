"""COCO instances JSON, written so that every consumer takes it and read so that foreign files are understood.

Written: ids as the dataset has them (ours: categories 1..N, annotations from 1), `file_name` relative to the split's
image folder, plain floats, `area`, `iscrowd`, `info`, `licenses`, `width`, `height` always there, images without items
listed, RLE `counts` as str. Format: https://cocodataset.org/#format-data
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from garbage_synth.core.masks import area_of_segmentation, box_of_segmentation, compressed_rle
from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError

__all__ = ["category_extras", "decode", "encode", "is_safe_file_name", "renumbered"]

IMAGE_FIELDS = frozenset({"id", "file_name", "width", "height"})
MAX_SIDE_PX = 2**31
ANNOTATION_FIELDS = frozenset({"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation"})


def encode(dataset: Dataset, split: str) -> dict[str, Any]:
    """The COCO document of one split: plain dicts, lists, str, int and float, ready for `json.dumps`.

    Ids are written as they are (see `renumbered`). An annotation without segmentation gets no such key, for an empty
    one breaks pycocotools. Raises KeyError for an unknown split, InputError for a number that is not finite.
    """
    part = dataset.splits[split]
    parent = _parent(dataset.categories.values())
    return {
        "info": plain(dict(dataset.info), "info"),
        "licenses": [plain(dict(entry), "licenses") for entry in dataset.licenses],
        "categories": [
            {"supercategory": parent}
            | plain(dict(dataset.category_extras.get(key, {})), f"category {key}")
            | {"id": int(key), "name": name}
            for key, name in sorted(dataset.categories.items())
        ],
        "images": [_encode_image(record) for record in sorted(part.images, key=lambda record: record.id)],
        "annotations": [_encode_annotation(entry) for entry in sorted(part.annotations, key=lambda entry: entry.id)],
    }


def decode(document: Mapping[str, Any], *, source: str) -> tuple[dict[int, str], Split]:
    """The categories (id -> name) and the split of a COCO document; unknown fields survive in `extra`.

    Where a foreign file leaves out `iscrowd` it is 0; a missing `bbox` or `area` is measured on the segmentation (a
    missing area without one is that of the box). Ids are kept as they are. source names the file in messages.
    Raises InputError for a document that is not COCO, an id that is missing, no integer, used twice or unknown, a
    file_name that leaves its folder, and numbers that are missing or not finite.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("images"), list):
        raise InputError(f"{source}: not a COCO instances file (no list 'images'); give instances_<split>.json")
    categories: dict[int, str] = {}
    for entry in _entries(document, "categories", source):
        key = _integer(entry, "id", "category", source)
        if key in categories:
            raise InputError(f"{source}: category id {key} is used twice; ids must be unique")
        categories[key] = str(entry.get("name", key))
    images: dict[int, ImageRecord] = {}
    for entry in _entries(document, "images", source):
        record = _decode_image(entry, source)
        if record.id in images:
            raise InputError(f"{source}: image id {record.id} is used twice; ids must be unique")
        images[record.id] = record
    annotations: dict[int, Annotation] = {}
    for entry in _entries(document, "annotations", source):
        annotation = _decode_annotation(entry, images, source)
        if annotation.id in annotations:
            raise InputError(f"{source}: annotation id {annotation.id} is used twice; ids must be unique")
        if annotation.category_id not in categories:
            raise InputError(
                f"{source}: annotation {annotation.id} has unknown category_id {annotation.category_id}; "
                f"categories are {sorted(categories)}"
            )
        annotations[annotation.id] = annotation
    return categories, Split(
        images=tuple(images[key] for key in sorted(images)),
        annotations=tuple(annotations[key] for key in sorted(annotations)),
    )


def category_extras(document: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """What a document that `decode` takes says of its categories beyond id and name, by id, where it says anything.

    The supercategory that `encode` puts in for want of another counts as none.
    """
    entries = document.get("categories") or []
    parent = _parent(str(entry.get("name", entry["id"])) for entry in entries)
    extras = {
        int(entry["id"]): {
            name: value
            for name, value in entry.items()
            if name not in ("id", "name") and (name, value) != ("supercategory", parent)
        }
        for entry in entries
    }
    return {key: extra for key, extra in extras.items() if extra}


def renumbered(dataset: Dataset) -> Dataset:
    """The same dataset with category ids 1..N in the order of the old ids and annotation ids 1..M in each split.

    Image ids are kept. This mends foreign files: category id 0 is background to torchvision, and annotation id 0
    silently lowers the scores of pycocotools.
    """
    new_ids = {old: new for new, old in enumerate(sorted(dataset.categories), start=1)}
    splits = {
        name: replace(
            split,
            annotations=tuple(
                replace(entry, id=new, category_id=new_ids[entry.category_id])
                for new, entry in enumerate(sorted(split.annotations, key=lambda entry: entry.id), start=1)
            ),
        )
        for name, split in dataset.splits.items()
    }
    return replace(
        dataset,
        categories={new_ids[old]: name for old, name in dataset.categories.items()},
        category_extras={new_ids[old]: extra for old, extra in dataset.category_extras.items() if old in new_ids},
        splits=splits,
    )


def is_safe_file_name(file_name: object) -> bool:
    """Whether a COCO file_name is a relative path that stays inside its folder."""
    if not isinstance(file_name, str) or not file_name or "\0" in file_name:
        return False
    path = PurePosixPath(file_name)
    return not path.is_absolute() and ".." not in path.parts and path.name != ""


def plain(value: Any, where: str) -> Any:
    """value with numpy scalars and arrays, tuples, mappings and bytes turned into what JSON knows.

    Raises InputError naming `where` for NaN and infinity, which JSON has not, and for a type that JSON has not.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{where}: {value} is not a finite number and cannot be written to JSON")
        return value
    if isinstance(value, bytes):
        return value.decode("ascii")
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), where)
    if isinstance(value, Mapping):
        return {str(key): plain(entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(value, Sequence):
        return [plain(entry, where) for entry in value]
    raise InputError(f"{where}: a {type(value).__name__} cannot be written to JSON")


def _parent(names: Iterable[str]) -> str:
    """The supercategory of categories that have none: a word that is no category's name.

    RF-DETR takes a category that is named as a supercategory for a mere heading, and leaves out those of "none".
    """
    taken = set(names)
    parent = "item"
    while parent in taken:
        parent += "s"
    return parent


def _encode_image(record: ImageRecord) -> dict[str, Any]:
    entry: dict[str, Any] = plain(dict(record.extra), f"image {record.id}")
    entry |= {"id": int(record.id), "file_name": record.file_name}
    return entry | {"width": int(record.width), "height": int(record.height)}


def _encode_annotation(annotation: Annotation) -> dict[str, Any]:
    where = f"annotation {annotation.id}"
    entry: dict[str, Any] = plain(dict(annotation.extra), where)
    entry |= {
        "id": int(annotation.id),
        "image_id": int(annotation.image_id),
        "category_id": int(annotation.category_id),
        "bbox": plain([float(value) for value in annotation.bbox_xywh], where),
        "area": plain(float(annotation.area), where),
        "iscrowd": int(annotation.iscrowd),
    }
    if annotation.segmentation:
        try:
            entry["segmentation"] = plain(compressed_rle(annotation.segmentation), where)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise InputError(f"{where}: its segmentation is damaged ({error!r}); see what validate says") from error
    return entry


def _decode_image(entry: Mapping[str, Any], source: str) -> ImageRecord:
    key = _integer(entry, "id", "image", source)
    file_name = entry.get("file_name")
    if not isinstance(file_name, str) or not is_safe_file_name(file_name):
        raise InputError(f"{source}: image {key} has file_name {file_name!r}; expected a path inside its image folder")
    width, height = (_integer(entry, side, f"image {key}", source) for side in ("width", "height"))
    if not (1 <= width < MAX_SIDE_PX and 1 <= height < MAX_SIDE_PX):
        raise InputError(f"{source}: image {key} is {width}x{height} pixels; expected a positive size")
    extra = {name: value for name, value in entry.items() if name not in IMAGE_FIELDS}
    return ImageRecord(key, file_name, width, height, extra)


def _decode_annotation(entry: Mapping[str, Any], images: Mapping[int, ImageRecord], source: str) -> Annotation:
    key = _integer(entry, "id", "annotation", source)
    what = f"annotation {key}"
    image_id = _integer(entry, "image_id", what, source)
    if image_id not in images:
        raise InputError(f"{source}: {what} has unknown image_id {image_id}; no such image is listed")
    segmentation = entry.get("segmentation") or None
    size_hw = (images[image_id].height, images[image_id].width)
    if not isinstance(segmentation, list | Mapping | None):
        raise InputError(f"{source}: {what} has a segmentation that is neither a list of polygons nor an RLE")
    try:
        if "bbox" in entry:
            x, y, width, height = (float(value) for value in entry["bbox"])
        else:
            x, y, width, height = box_of_segmentation(segmentation, size_hw)
        if "area" in entry:
            area = float(entry["area"])
        else:
            area = area_of_segmentation(segmentation, size_hw) if segmentation else width * height
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{source}: {what} has no usable bbox, area or segmentation: {error}") from error
    if not all(math.isfinite(value) for value in (x, y, width, height, area)):
        raise InputError(f"{source}: {what} has a number that is not finite in bbox or area")
    return Annotation(
        id=key,
        image_id=image_id,
        category_id=_integer(entry, "category_id", what, source),
        bbox_xywh=(x, y, width, height),
        area=area,
        iscrowd=int(bool(entry.get("iscrowd", 0))),
        segmentation=segmentation,
        extra={name: value for name, value in entry.items() if name not in ANNOTATION_FIELDS},
    )


def _entries(document: Mapping[str, Any], name: str, source: str) -> list[Mapping[str, Any]]:
    entries = document.get(name, [] if name == "annotations" else None)
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise InputError(f"{source}: '{name}' is not a list of objects; this is no COCO instances file")
    return entries


def _integer(entry: Mapping[str, Any], name: str, what: str, source: str) -> int:
    value = entry.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{source}: {what} has {name} {value!r}; expected an integer")
    return value
