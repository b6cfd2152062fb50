"""The labels of a dataset's pictures as class maps, painted when they are asked for."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.masks import mask_of_box, mask_of_segmentation
from garbage_synth.core.types import Annotation, ImageRecord
from garbage_synth.errors import InputError
from garbage_synth.io.dataset import read_dataset, split_files
from garbage_synth.io.resize import resize_labels, short_side_wh

__all__ = ["ClassMaps", "paint_classes", "read_class_maps"]

_MOST_CLASSES = 255


@dataclass(frozen=True, slots=True)
class ClassMaps:
    """The labels of a split. names: categories in the order of their ids; class k of a map is names[k - 1].

    annotations: the COCO file they come from. boxes: items that have no mask and are painted as their whole box.
    """

    names: tuple[str, ...]
    annotations: Path
    boxes: int
    _numbers: Mapping[int, int]
    _records: Mapping[Path, ImageRecord]
    _items: Mapping[int, Sequence[Annotation]]

    def read(self, path: Path, *, short_px: int | None = None) -> NDArray[np.uint8]:
        """The class map of a picture of the split, uint8 (h, w): 0 = belt, k = an item of the k-th category.

        short_px: the length of its shorter side, as the picture has it after --resize; None = as annotated.
        Raises InputError for a mask that cannot be drawn.
        """
        record = self._records[path]
        try:
            classes = paint_classes(self._items.get(record.id, ()), (record.height, record.width), self._numbers)
        except ValueError as error:
            raise InputError(f"{self.annotations}: {record.file_name}: {error}; validate the dataset") from error
        if short_px is None:
            return classes
        return resize_labels(classes, short_side_wh((record.width, record.height), short_px))


def read_class_maps(folder: Path, split: str, paths: Sequence[Path]) -> ClassMaps | None:
    """The labels of a split's pictures, None where the folder has no annotations of the split, or they hold no item.

    paths: the pictures that are to have one. Raises InputError where one of them is not in the annotations, and for
    more categories than a map of bytes can tell apart.
    """
    try:
        files = split_files(folder)
    except InputError:
        return None
    if split not in files:
        return None
    dataset = read_dataset(folder)
    if not dataset.splits[split].annotations:
        return None
    if len(dataset.categories) > _MOST_CLASSES:
        raise InputError(
            f"{folder} has {len(dataset.categories)} categories, at most {_MOST_CLASSES} can be kept apart; "
            "train with --set preset=paper, or on a dataset with fewer"
        )
    records = {files[split].locate(record.file_name): record for record in dataset.splits[split].images}
    unknown = [path for path in paths if path not in records]
    if unknown:
        raise InputError(
            f"{files[split].annotations} does not list {len(unknown)} pictures of the split, {unknown[0]} among them; "
            "add or remove them, or train without labels by --set preset=paper"
        )
    items = defaultdict(list)
    for annotation in dataset.splits[split].annotations:
        if not annotation.iscrowd:
            items[annotation.image_id].append(annotation)
    return ClassMaps(
        names=tuple(dataset.categories.values()),
        annotations=files[split].annotations,
        boxes=sum(not annotation.segmentation for members in items.values() for annotation in members),
        _numbers={key: number for number, key in enumerate(dataset.categories, start=1)},
        _records=records,
        _items=items,
    )


def paint_classes(
    items: Sequence[Annotation], size_hw: tuple[int, int], numbers: Mapping[int, int]
) -> NDArray[np.uint8]:
    """A class map uint8 (h, w) of labelled items, smaller ones over larger ones; numbers: category id -> 1..255.

    An item without a mask is its whole box. Raises ValueError for a damaged mask.
    """
    masks = [(_mask(item, size_hw), numbers[item.category_id]) for item in items]
    classes = np.zeros(size_hw, np.uint8)
    for mask, number in sorted(masks, key=lambda pair: -int(pair[0].sum())):
        classes[mask] = number
    return classes


def _mask(item: Annotation, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    if item.segmentation:
        return mask_of_segmentation(item.segmentation, size_hw)
    x, y, width, height = item.bbox_xywh
    return mask_of_box((x, y, x + width, y + height), size_hw)
