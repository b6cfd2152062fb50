from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.core.masks import rle_of_mask
from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError
from garbage_synth.io.dataset import write_annotations
from garbage_synth.stages.class_maps import paint_classes, read_class_maps

SIZE_HW = (12, 16)


def box_mask(x0: int, y0: int, x1: int, y1: int) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE_HW, np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def item(mask: NDArray[np.bool_] | None, category: int, number: int = 1, **changes: Any) -> Annotation:
    fields: dict[str, Any] = {
        "id": number,
        "image_id": 1,
        "category_id": category,
        "bbox_xywh": (2.0, 3.0, 4.0, 5.0),
        "area": 20.0,
        "iscrowd": 0,
        "segmentation": None if mask is None else rle_of_mask(mask),
    }
    return Annotation(**{**fields, **changes})


def tree(root: Path, items: list[Annotation], categories: dict[int, str] | None = None) -> tuple[Path, list[Path]]:
    """A dataset of two pictures, of which the second holds nothing, and the paths of both."""
    records = tuple(ImageRecord(n, f"{n}.png", SIZE_HW[1], SIZE_HW[0]) for n in (1, 2))
    dataset = Dataset(categories or {3: "can", 7: "tray"}, {"train": Split(records, tuple(items))})
    write_annotations(root, dataset)
    folder = root / "images" / "train"
    folder.mkdir(parents=True)
    paths = [folder / record.file_name for record in records]
    for path in paths:
        path.touch()
    return root, paths


def test_smaller_items_lie_on_top_whatever_their_order() -> None:
    large, small = item(box_mask(0, 0, 10, 10), 3), item(box_mask(4, 4, 7, 7), 7)
    for order in ([large, small], [small, large]):
        classes = paint_classes(order, SIZE_HW, {3: 1, 7: 2})
        assert classes.dtype == np.uint8
        assert np.array_equal(classes == 2, box_mask(4, 4, 7, 7))
        assert np.array_equal(classes == 1, box_mask(0, 0, 10, 10) & ~box_mask(4, 4, 7, 7))


def test_item_without_a_mask_is_its_box_inside_the_picture() -> None:
    assert np.array_equal(paint_classes([item(None, 3)], SIZE_HW, {3: 1}) == 1, box_mask(2, 3, 6, 8))
    over_the_edge = item(None, 3, bbox_xywh=(-3.0, -2.0, 5.0, 4.0))
    assert np.array_equal(paint_classes([over_the_edge], SIZE_HW, {3: 1}) == 1, box_mask(0, 0, 2, 2))


def test_classes_are_numbered_in_the_order_of_their_ids_and_crowds_left_out(tmp_path: Path) -> None:
    crowd = item(box_mask(8, 8, 16, 12), 3, 3, iscrowd=1)
    root, paths = tree(tmp_path, [item(box_mask(0, 0, 3, 3), 7), item(None, 3, 2), crowd])
    maps = read_class_maps(root, "train", paths)
    assert maps is not None
    assert maps.names == ("can", "tray")
    assert maps.annotations == root / "annotations" / "instances_train.json"
    assert maps.boxes == 1
    classes = maps.read(paths[0])
    assert np.array_equal(classes == 2, box_mask(0, 0, 3, 3))
    assert np.array_equal(classes == 1, box_mask(2, 3, 6, 8))
    assert not maps.read(paths[1]).any()


def test_resized_map_keeps_its_classes_and_places(tmp_path: Path) -> None:
    root, paths = tree(tmp_path, [item(box_mask(4, 2, 8, 6), 7)])
    maps = read_class_maps(root, "train", paths)
    assert maps is not None
    half, double = maps.read(paths[0], short_px=6), maps.read(paths[0], short_px=24)
    assert (half.shape, double.shape) == ((6, 8), (24, 32))
    assert np.array_equal(half, maps.read(paths[0])[::2, ::2])
    assert np.array_equal(double, maps.read(paths[0]).repeat(2, 0).repeat(2, 1))


def test_folder_without_labels_has_no_maps(tmp_path: Path) -> None:
    assert read_class_maps(tmp_path, "train", []) is None
    root, paths = tree(tmp_path / "empty", [])
    assert read_class_maps(root, "train", paths) is None
    root, paths = tree(tmp_path / "full", [item(None, 3)])
    assert read_class_maps(root, "val", paths) is None


def test_picture_that_is_not_listed_is_named(tmp_path: Path) -> None:
    root, paths = tree(tmp_path, [item(None, 3)])
    with pytest.raises(InputError, match=r"does not list 1 pictures of the split, .*new\.png.*preset=paper"):
        read_class_maps(root, "train", [*paths, root / "images" / "train" / "new.png"])


def test_more_categories_than_a_byte_can_number_are_refused(tmp_path: Path) -> None:
    names = {number: f"class {number}" for number in range(1, 257)}
    root, paths = tree(tmp_path / "many", [item(None, 256)], names)
    with pytest.raises(InputError, match="has 256 categories, at most 255"):
        read_class_maps(root, "train", paths)
    del names[1]
    root, paths = tree(tmp_path / "fewer", [item(None, 256)], names)
    maps = read_class_maps(root, "train", paths)
    assert maps is not None
    assert maps.read(paths[0]).max() == 255


def test_damaged_mask_is_named_with_its_file(tmp_path: Path) -> None:
    root, paths = tree(tmp_path, [item(None, 3, segmentation=[[1.0, 2.0, 3.0, 4.0]])])
    maps = read_class_maps(root, "train", paths)
    assert maps is not None
    with pytest.raises(InputError, match=r"instances_train\.json: 1\.png: .*validate"):
        maps.read(paths[0])
