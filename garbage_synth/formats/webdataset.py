"""WebDataset: tar shards `<split>-000000.tar`, each sample `<key>.jpg` (or .png, ...) beside `<key>.json`.

The JSON of a sample is the target that DETR-like loaders ask for: `image_id`, `file_name`, `width`, `height` and
`annotations`, entries as COCO has them, category ids 1..N. dataset.json beside the shards has the categories, info,
licenses, and per split the number of images and the names of the shards. Key: the file name without its ending, other
dots and slashes as `_`, because a reader takes what follows the first dot for the ending. Samples are in the order of
the image ids; readers shuffle.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from garbage_synth.core.types import Annotation, Dataset, ImageRecord
from garbage_synth.errors import InputError
from garbage_synth.formats import coco

__all__ = ["DATASET_FILE", "SHARD_SIZE", "decode", "encode", "picture_paths"]

DATASET_FILE = "dataset.json"
SHARD_SIZE = 1000
"""Images in a shard, where nothing else is asked for."""


def encode(dataset: Dataset, *, shard_size: int = SHARD_SIZE) -> dict[str, str]:
    """The text of every file by its path in the tree, a shard taken for a folder: <shard>/<key>.json, dataset.json.

    shard_size: images in a shard, at least 1.
    """
    files: dict[str, str] = {}
    overview: dict[str, Any] = {"splits": {}}
    pictures = picture_paths(dataset, shard_size=shard_size)
    for name, split in dataset.splits.items():
        document = coco.encode(dataset, name)
        overview |= {key: document[key] for key in ("categories", "info", "licenses")}
        items: dict[int, list[dict[str, Any]]] = {record.id: [] for record in split.images}
        for entry in document["annotations"]:
            items[entry["image_id"]].append(entry)
        for entry in document["images"]:
            key = entry.pop("id")
            sample = {**entry, "image_id": key, "annotations": items[key]}
            files[str(PurePosixPath(pictures[name, key]).with_suffix(".json"))] = _json(sample)
        shards = sorted({path.partition("/")[0] for (split_name, _), path in pictures.items() if split_name == name})
        overview["splits"][name] = {"images": len(split.images), "shards": shards}
    return files | {DATASET_FILE: json.dumps(overview, sort_keys=True, allow_nan=False, indent=2) + "\n"}


def decode(text: str, *, source: str) -> tuple[ImageRecord, tuple[Annotation, ...]]:
    """The image and the annotations of one sample's JSON. Raises InputError naming source where it is none of ours."""
    try:
        sample = json.loads(text)
        image = {name: value for name, value in sample.items() if name not in ("annotations", "image_id")}
        categories = sorted({entry["category_id"] for entry in sample["annotations"]})
        document: Mapping[str, Any] = {
            "images": [image | {"id": sample["image_id"]}],
            "annotations": sample["annotations"],
            "categories": [{"id": key} for key in categories],
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{source}: no sample with image_id and annotations: {error!r}") from error
    _, split = coco.decode(document, source=source)
    return split.images[0], split.annotations


def picture_paths(dataset: Dataset, *, shard_size: int = SHARD_SIZE) -> dict[tuple[str, int], str]:
    """The path of every picture, <shard>/<key>.<ending>, by (split, image id).

    Where two pictures of a split would share a key, all its keys end in their image id.
    """
    paths: dict[tuple[str, int], str] = {}
    for name, split in dataset.splits.items():
        keys = {record.id: _key(record) for record in split.images}
        if max(Counter(keys.values()).values(), default=1) > 1:
            keys = {number: f"{key}_{number}" for number, key in keys.items()}
        for position, record in enumerate(sorted(split.images, key=lambda record: record.id)):
            shard = f"{name}-{position // shard_size:06d}.tar"
            paths[name, record.id] = f"{shard}/{keys[record.id]}.{_ending(record)}"
    return paths


def _key(record: ImageRecord) -> str:
    return str(PurePosixPath(record.file_name).with_suffix("")).replace("/", "_").replace(".", "_")


def _ending(record: ImageRecord) -> str:
    """The ending in small letters, one for all JPEGs, so that a script can name the field."""
    ending = PurePosixPath(record.file_name).suffix.lower().removeprefix(".")
    return "jpg" if ending in ("", "jpeg") else ending


def _json(sample: Mapping[str, Any]) -> str:
    return json.dumps(sample, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
