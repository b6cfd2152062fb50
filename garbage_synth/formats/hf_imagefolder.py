"""Hugging Face `imagefolder`: `{train,validation,test}/metadata.jsonl` beside the pictures, one line per picture.

A line holds `file_name`, `image_id`, `width`, `height` and `objects` {id, bbox (x, y, width, height in pixels), area,
category}. Categories count from 0, as transformers wants them (with 1..N, DETR silently trains class N as "no object");
categories.json has their names. Crowd regions are left out, for the layout has no field for them.
"""

import json
from collections.abc import Mapping
from typing import Any

from garbage_synth.core.types import Annotation, Dataset
from garbage_synth.errors import InputError
from garbage_synth.formats import splits

__all__ = ["METADATA_FILE", "decode", "encode", "picture_paths"]

METADATA_FILE = "metadata.jsonl"
SPLIT_FOLDERS: Mapping[str, str] = {"val": "validation"}


def encode(dataset: Dataset) -> dict[str, str]:
    """The text of every file by its path in the tree: one metadata.jsonl per split and categories.json."""
    keys = sorted(dataset.categories)
    classes = {key: index for index, key in enumerate(keys)}
    names = {str(index): dataset.categories[key] for key, index in classes.items()}
    files = {"categories.json": json.dumps(names, indent=2, ensure_ascii=False) + "\n"}
    for split_name, folder in splits.split_folders(dataset, SPLIT_FOLDERS).items():
        split = dataset.splits[split_name]
        items: dict[int, list[Annotation]] = {record.id: [] for record in split.images}
        for annotation in split.annotations:
            if not annotation.iscrowd:
                items[annotation.image_id].append(annotation)
        rows = [
            {
                "file_name": record.file_name,
                "image_id": record.id,
                "width": record.width,
                "height": record.height,
                "objects": {
                    "id": [entry.id for entry in items[record.id]],
                    "bbox": [[float(value) for value in entry.bbox_xywh] for entry in items[record.id]],
                    "area": [float(entry.area) for entry in items[record.id]],
                    "category": [classes[entry.category_id] for entry in items[record.id]],
                },
            }
            # a picture with items first: the library guesses the types of the columns from the first lines
            for record in sorted(split.images, key=lambda record: (not items[record.id], record.id))
        ]
        files[f"{folder}/{METADATA_FILE}"] = "".join(f"{json.dumps(row, allow_nan=False)}\n" for row in rows)
    return files


def decode(text: str, *, source: str) -> list[dict[str, Any]]:
    """The rows of a metadata.jsonl as written by `encode`. Raises InputError naming source and line."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            row = json.loads(line)
            objects = row["objects"]
            if len({len(objects[name]) for name in ("id", "bbox", "area", "category")}) != 1 or not row["file_name"]:
                raise ValueError("lists of different length")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{source}: line {number} is no picture with objects: {error!r}") from error
        rows.append(row)
    return rows


def picture_paths(dataset: Dataset) -> dict[tuple[str, int], str]:
    """The path of every picture in the tree by (split, image id)."""
    return splits.picture_paths(dataset, splits.split_folders(dataset, SPLIT_FOLDERS))
