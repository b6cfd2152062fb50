"""The dataset tree on disk: which files make a split, reading it, and writing its annotations.

    images/<split>/*.jpg   annotations/instances_<split>.json   labels/<split>/*.txt + data.yaml (YOLO, optional)

Foreign trees are read too: any split names, images under <split>/ or images/, COCO files of other names in annotations/
or beside the images (`_annotations.coco.json`), and one bare COCO file with its image folder.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from garbage_synth.core.types import Dataset, ImageRecord
from garbage_synth.errors import InputError
from garbage_synth.formats import coco, yolo
from garbage_synth.io.atomic import write_json, write_text
from garbage_synth.io.images import image_size

__all__ = [
    "SplitFiles",
    "chosen_split",
    "image_path",
    "read_dataset",
    "read_document",
    "read_text",
    "split_files",
    "write_annotations",
]

ROBOFLOW_NAME = "_annotations.coco.json"


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """The COCO file of a split and the folders where its pictures may lie, likeliest first."""

    annotations: Path
    image_folders: tuple[Path, ...]

    def locate(self, file_name: str) -> Path:
        """The picture's path: the first that exists, otherwise where it should be."""
        candidates = [folder / file_name for folder in self.image_folders]
        return next((path for path in candidates if path.is_file()), candidates[0])


def split_files(root: Path, images: Path | None = None) -> dict[str, SplitFiles]:
    """The splits of a dataset, sorted by name. root: a dataset folder or one COCO file; images: its image folder.

    Raises InputError where root is missing or holds no COCO file.
    """
    if root.is_file():
        found = {_split_name(root): root}
        base = root.parent.parent if root.parent.name == "annotations" else root.parent
    elif root.is_dir():
        base = root
        found = {_split_name(path): path for path in sorted((root / "annotations").glob("instances_*.json"))}
        if not found:
            found = {path.parent.name: path for path in sorted(root.glob(f"*/{ROBOFLOW_NAME}"))}
        if not found:
            found = {_split_name(path): path for path in sorted((root / "annotations").glob("*.json"))}
    else:
        raise InputError(f"{root}: no such dataset; expected a folder with annotations/instances_<split>.json")
    if not found:
        raise InputError(f"{root}: holds no annotations/instances_<split>.json; is it the root of a COCO dataset?")
    splits = {}
    for name, path in sorted(found.items()):
        folders = [base / "images" / name, base / name, base / "images", base, path.parent]
        # a folder that is not there cannot be the place where a missing picture "should be"
        existing = [folder for folder in folders if folder.is_dir()]
        splits[name] = SplitFiles(path, (images,) if images else tuple(dict.fromkeys(existing)))
    return splits


def chosen_split(dataset_path: Path, splits: Collection[str], asked: str | None, usual: Sequence[str]) -> str:
    """The split that is asked for, else the first usual one that is there, else the only one.

    Raises InputError, listing the splits, where it is not there or none says which.
    """
    if asked is None:
        found = next((name for name in usual if name in splits), next(iter(splits)) if len(splits) == 1 else None)
    else:
        found = asked if asked in splits else None
    if found is None:
        missing = repr(asked) if asked is not None else " or ".join(usual)
        raise InputError(f"{dataset_path} has no split {missing}; choose one of {', '.join(splits)} by split")
    return found


def read_text(path: Path) -> str:
    """The text of a file. Raises InputError naming it where it is missing or no UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error


def read_document(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises InputError naming the file where it is missing or not a JSON object."""
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, or a number of thousands of digits
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds a JSON {type(document).__name__}, expected a COCO object")
    return document


def read_dataset(root: Path, images: Path | None = None) -> Dataset:
    """The dataset in a folder (or in one COCO file with its image folder), ids and extra fields kept as they are.

    Image sizes that the file leaves out are read from the pictures. Raises InputError for a missing or damaged file,
    and where splits give one category id two names.
    """
    categories: dict[int, str] = {}
    extras: dict[int, dict[str, Any]] = {}
    splits = {}
    info: Mapping[str, Any] = {}
    licenses: tuple[Mapping[str, Any], ...] = ()
    for name, files in split_files(root, images).items():
        document = read_document(files.annotations)
        for entry in _list(document, "images"):
            _fill_size(entry, files)
        own, splits[name] = coco.decode(document, source=str(files.annotations))
        for key, category in own.items():
            if categories.setdefault(key, category) != category:
                raise InputError(
                    f"{files.annotations}: category {key} is {category!r}, but {categories[key]!r} in another split; "
                    "splits must share one list of categories"
                )
        for key, extra in coco.category_extras(document).items():
            extras.setdefault(key, extra)
        info = info or (document["info"] if isinstance(document.get("info"), dict) else {})
        licenses = licenses or tuple(entry for entry in _list(document, "licenses") if isinstance(entry, dict))
    if len(set(categories.values())) != len(categories):
        raise InputError(f"{root}: two category ids share a name: {sorted(categories.items())}; rename one")
    return Dataset(
        categories=dict(sorted(categories.items())),
        splits=splits,
        info=info,
        licenses=licenses,
        category_extras=dict(sorted(extras.items())),
    )


def image_path(root: Path, split: str, record: ImageRecord, images: Path | None = None) -> Path:
    """Where the picture of a record lies: the first place that holds it, otherwise where it should be.

    For many records take `split_files(root)[split].locate(record.file_name)`, which looks for the splits once.
    """
    return split_files(root, images)[split].locate(record.file_name)


def write_annotations(root: Path, dataset: Dataset, *, formats: Sequence[str] = ("coco",)) -> None:
    """Writes annotations/instances_<split>.json and, with "yolo" in formats, labels/ and data.yaml under root.

    Raises InputError for an unknown format.
    """
    unknown = sorted(set(formats) - {"coco", "yolo"})
    if unknown:
        raise InputError(f"unknown annotation format {unknown[0]!r}; a dataset tree holds coco and yolo")
    for split in sorted(dataset.splits):
        write_json(root / "annotations" / f"instances_{split}.json", coco.encode(dataset, split), compact=True)
    if "yolo" in formats:
        for name, text in sorted(yolo.encode(dataset).items()):
            write_text(root / name, text)


def _split_name(path: Path) -> str:
    if path.name == ROBOFLOW_NAME:
        return path.parent.name
    return path.stem.removeprefix("instances_")


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    """The list under a key, empty where there is something else."""
    value = document.get(key)
    return value if isinstance(value, list) else []


def _fill_size(entry: Any, files: SplitFiles) -> None:
    if not isinstance(entry, dict) or ("width" in entry and "height" in entry):
        return
    if coco.is_safe_file_name(entry.get("file_name")):
        entry["width"], entry["height"] = image_size(files.locate(entry["file_name"]))
