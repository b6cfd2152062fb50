"""Pascal VOC: one XML file per picture, boxes as 1-based pixels with both ends included (VOC devkit convention).

Layout: JPEGImages/*, Annotations/*.xml, ImageSets/Main/<split>.txt, labels.txt (class names in the order of their ids).
A half-open box (x0, y0, x1, y1) is written as xmin = x0 + 1, ymin = y0 + 1, xmax = x1, ymax = y1, rounded to whole
pixels of the picture, at least one.
"""

from pathlib import PurePosixPath
from xml.etree import ElementTree

from garbage_synth.core.types import Annotation, Dataset, ImageRecord
from garbage_synth.errors import InputError

__all__ = ["decode", "encode", "picture_paths"]

Item = tuple[str, tuple[float, float, float, float], bool]


def encode(dataset: Dataset) -> dict[str, str]:
    """The text of every file by its path in the tree: one XML per image, the split lists and labels.txt.

    Crowd regions are marked `difficult`, as VOC has it for what an evaluation should pass over.
    """
    names = picture_paths(dataset)
    files = {"labels.txt": "".join(f"{dataset.categories[key]}\n" for key in sorted(dataset.categories))}
    for split_name, split in dataset.splits.items():
        items: dict[int, list[Annotation]] = {record.id: [] for record in split.images}
        for annotation in split.annotations:
            items[annotation.image_id].append(annotation)
        stems = []
        for record in split.images:
            path = PurePosixPath(names[split_name, record.id])
            stems.append(path.stem)
            files[f"Annotations/{path.stem}.xml"] = _xml(path, record, items[record.id], dataset)
        files[f"ImageSets/Main/{split_name}.txt"] = "".join(f"{stem}\n" for stem in stems)
    return files


def decode(text: str, *, source: str) -> tuple[str, tuple[int, int], list[Item]]:
    """The (file name, (width, height), items) of one XML file; an item is (class, box x, y, width, height, difficult).

    Boxes are half-open pixels from 0. Raises InputError naming source where the XML or a number in it is damaged.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # nothing in VOC needs them, and entities can be made to explode
        raise InputError(f"{source}: XML with a document type is not read; VOC annotations have none")
    try:
        root = ElementTree.fromstring(text)
        size_wh = (int(_text(root, "size/width")), int(_text(root, "size/height")))
        items: list[Item] = []
        for entry in root.iter("object"):
            x0, y0, x1, y1 = (float(_text(entry, f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax"))
            box = (x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1)
            items.append((_text(entry, "name"), box, entry.findtext("difficult", "0").strip() == "1"))
        return _text(root, "filename"), size_wh, items
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{source}: not a Pascal VOC annotation: {error}") from error


def picture_paths(dataset: Dataset) -> dict[tuple[str, int], str]:
    """The path of every picture in the tree by (split, image id).

    All splits share one folder, so that folders in file names become `_`; where two would then meet (by their stem),
    all names begin with that of their split. Raises InputError where that does not help.
    """
    for prefix in (False, True):
        names = {
            (split_name, record.id): f"{split_name}_" * prefix + record.file_name.replace("/", "_")
            for split_name, split in dataset.splits.items()
            for record in split.images
        }
        stems = [PurePosixPath(name).stem for name in names.values()]
        if len(set(stems)) == len(stems):
            return {key: f"JPEGImages/{name}" for key, name in names.items()}
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    raise InputError(f"pictures {twice[0]}.* differ in their ending only and would share one VOC file; rename one")


def _xml(path: PurePosixPath, record: ImageRecord, items: list[Annotation], dataset: Dataset) -> str:
    root = ElementTree.Element("annotation")
    _add(root, "folder", path.parent.name)
    _add(root, "filename", path.name)
    size = ElementTree.SubElement(root, "size")
    for name, value in (("width", record.width), ("height", record.height), ("depth", 3)):
        _add(size, name, value)
    _add(root, "segmented", 0)
    for annotation in items:
        x0, x1 = _pixels(annotation.bbox_xywh[0], annotation.bbox_xywh[2], record.width)
        y0, y1 = _pixels(annotation.bbox_xywh[1], annotation.bbox_xywh[3], record.height)
        entry = ElementTree.SubElement(root, "object")
        _add(entry, "name", dataset.categories[annotation.category_id])
        _add(entry, "pose", "Unspecified")
        _add(entry, "truncated", int(bool(annotation.extra.get("truncated", False))))
        _add(entry, "difficult", annotation.iscrowd)
        box = ElementTree.SubElement(entry, "bndbox")
        for name, edge in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
            _add(box, name, edge)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _pixels(start: float, length: float, side: int) -> tuple[int, int]:
    """The half-open range of whole pixels 0..side next to a box's edges, at least one pixel long."""
    first = min(max(round(start), 0), side - 1)
    return first, min(max(round(start + length), first + 1), side)


def _add(parent: ElementTree.Element, name: str, value: object) -> None:
    ElementTree.SubElement(parent, name).text = str(value)


def _text(element: ElementTree.Element, path: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise ValueError(f"<{path}> is missing")
    return text
