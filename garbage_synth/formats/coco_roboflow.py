"""COCO as Roboflow lays it out and RF-DETR reads it: {train,valid,test}/_annotations.coco.json beside the pictures."""

import json
from collections.abc import Mapping
from dataclasses import replace

from garbage_synth.core.types import Dataset, Split
from garbage_synth.errors import InputError
from garbage_synth.formats import coco, splits

__all__ = ["ANNOTATION_FILE", "decode", "encode", "picture_paths"]

ANNOTATION_FILE = "_annotations.coco.json"
SPLIT_FOLDERS: Mapping[str, str] = {"val": "valid"}


def encode(dataset: Dataset) -> dict[str, str]:
    """The text of every file by its path in the tree: one `_annotations.coco.json` per split, ids from 1.

    Supercategories of the source are left out: RF-DETR would take some classes for headings by them.
    """
    numbered = replace(coco.renumbered(dataset), category_extras={})
    return {
        f"{folder}/{ANNOTATION_FILE}": json.dumps(coco.encode(numbered, split), sort_keys=True, allow_nan=False)
        for split, folder in splits.split_folders(dataset, SPLIT_FOLDERS).items()
    }


def decode(text: str, *, source: str) -> tuple[dict[int, str], Split]:
    """The categories (id -> name) and the split of one `_annotations.coco.json`. Raises InputError as `coco.decode`."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{source}: cannot be read as JSON: {error}") from error
    return coco.decode(document, source=source)


def picture_paths(dataset: Dataset) -> dict[tuple[str, int], str]:
    """The path of every picture in the tree by (split, image id)."""
    return splits.picture_paths(dataset, splits.split_folders(dataset, SPLIT_FOLDERS))
