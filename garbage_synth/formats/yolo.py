"""YOLO label files: one line per item, `class cx cy w h`, class from 0, the rest as fractions of the picture.

Layout: images/<split>/*, labels/<split>/<stem>.txt, data.yaml. data.yaml has no `path` key on purpose: trainers then
resolve it from its own folder, while `path: .` would be looked for in their global datasets folder.
"""

from pathlib import PurePosixPath

import yaml

from garbage_synth.core.masks import mask_of_segmentation
from garbage_synth.core.polygons import joined_polygon, polygons_of_mask
from garbage_synth.core.types import Annotation, Dataset, ImageRecord
from garbage_synth.errors import InputError
from garbage_synth.formats import splits

__all__ = ["decode", "encode", "label_path", "picture_paths"]


def encode(dataset: Dataset, *, outlines: bool = False) -> dict[str, str]:
    """The text of every file by its path in the tree: labels/<split>/<stem>.txt for each image, and data.yaml.

    Classes are numbered from 0 in the order of the category ids. An image without items gets an empty file. Crowd
    regions are left out, for YOLO has no way to mark them. outlines: lines `class x y x y ...` along the mask's pixel
    edges, for segmentation models, instead of boxes; an item without mask gets its box's corners.
    Raises InputError where two images share a label file.
    """
    classes = {key: index for index, key in enumerate(sorted(dataset.categories))}
    files: dict[str, str] = {}
    for name, split in dataset.splits.items():
        lines: dict[int, list[str]] = {record.id: [] for record in split.images}
        records = {record.id: record for record in split.images}
        for annotation in split.annotations:
            if not annotation.iscrowd:
                record = records[annotation.image_id]
                numbers = _outline(annotation, record) if outlines else _box(annotation, record)
                text = " ".join([str(classes[annotation.category_id]), *(f"{number:.8f}" for number in numbers)])
                lines[record.id].append(text)
        for record in split.images:
            path = label_path(name, record.file_name)
            if path in files:
                raise InputError(f"{record.file_name}: another picture of split {name} has the label file {path} too")
            files[path] = "".join(f"{line}\n" for line in lines[record.id])
    return files | {"data.yaml": _data_yaml(dataset)}


def decode(text: str, size_wh: tuple[int, int], *, source: str) -> list[tuple[int, tuple[float, float, float, float]]]:
    """The (class from 0, box x, y, width, height in pixels) of every line of a label file.

    Lines of polygons (`class x y x y ...`) give the polygon's extent. Raises InputError naming source and line.
    """
    width, height = size_wh
    items = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            label, values = int(fields[0]), [float(field) for field in fields[1:]]
            if label < 0 or len(values) < 4 or len(values) % 2 or not all(abs(value) < 1e6 for value in values):
                raise ValueError
        except ValueError:
            raise InputError(f"{source}: line {number} is {line!r}; expected 'class cx cy w h'") from None
        if len(values) == 4:
            cx, cy, w, h = values
        else:
            xs, ys = values[::2], values[1::2]
            cx, cy, w, h = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys)
        items.append((label, ((cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height)))
    return items


def label_path(split: str, file_name: str) -> str:
    """The label file of a picture: labels/<split>/<file_name with .txt>, POSIX, relative to the tree's root."""
    return str(PurePosixPath("labels", split, file_name).with_suffix(".txt"))


def picture_paths(dataset: Dataset) -> dict[tuple[str, int], str]:
    """The path of every picture in the tree by (split, image id)."""
    return splits.picture_paths(dataset, {name: f"images/{name}" for name in dataset.splits})


def _edges(annotation: Annotation, record: ImageRecord) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 as fractions of the picture, cut to it: trainers drop a file with a number outside 0..1."""
    x, y, width, height = annotation.bbox_xywh
    x0, x1 = (min(max(edge / record.width, 0.0), 1.0) for edge in (x, x + width))
    y0, y1 = (min(max(edge / record.height, 0.0), 1.0) for edge in (y, y + height))
    return x0, y0, x1, y1


def _box(annotation: Annotation, record: ImageRecord) -> list[float]:
    x0, y0, x1, y1 = _edges(annotation, record)
    return [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]


def _outline(annotation: Annotation, record: ImageRecord) -> list[float]:
    polygons: list[list[float]] = []
    if annotation.segmentation:
        try:
            polygons = polygons_of_mask(mask_of_segmentation(annotation.segmentation, (record.height, record.width)))
        except (OverflowError, TypeError, ValueError) as error:
            raise InputError(f"annotation {annotation.id} of {record.file_name}: segmentation: {error}") from error
    if not polygons:
        x0, y0, x1, y1 = _edges(annotation, record)
        return [x0, y0, x1, y0, x1, y1, x0, y1]
    sides = (record.width, record.height)
    return [value / sides[index % 2] for index, value in enumerate(joined_polygon(polygons))]


def _data_yaml(dataset: Dataset) -> str:
    names = [dataset.categories[key] for key in sorted(dataset.categories)]
    folders = {role: f"images/{split}" for split, role in splits.split_roles(dataset.splits).items()}
    # trainers refuse a file without val
    entries = {"train": folders["train"], "val": folders.get("val", folders["train"])}
    entries |= {"test": folders["test"]} if "test" in folders else {}
    return yaml.safe_dump({**entries, "names": dict(enumerate(names))}, sort_keys=False, allow_unicode=True)
