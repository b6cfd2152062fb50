from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from garbage_synth.core.masks import mask_of_segmentation, rle_of_mask
from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError
from garbage_synth.formats import yolo


def dataset(*annotations: Annotation, names: tuple[str, ...] = ("a.jpg", "b.jpg"), split: str = "train") -> Dataset:
    images = tuple(ImageRecord(index, name, 200, 100) for index, name in enumerate(names, start=1))
    return Dataset({3: "can", 8: "cup: blue"}, {split: Split(images, annotations)})


def annotation(box: tuple[float, float, float, float], **changes: Any) -> Annotation:
    return replace(Annotation(1, 1, 8, box, 1.0, 0, None), **changes)


def test_classes_count_from_zero_and_numbers_are_fractions_of_the_picture() -> None:
    files = yolo.encode(dataset(annotation((20, 10, 40, 30))))
    assert files["labels/train/a.txt"] == "1 0.20000000 0.25000000 0.20000000 0.30000000\n"


def test_an_image_without_items_has_an_empty_file() -> None:
    assert yolo.encode(dataset())["labels/train/b.txt"] == ""


def test_crowd_regions_are_left_out() -> None:
    assert yolo.encode(dataset(annotation((0, 0, 9, 9), iscrowd=1)))["labels/train/a.txt"] == ""


def test_a_box_over_the_edge_is_cut_to_it() -> None:
    (item,) = yolo.decode(
        yolo.encode(dataset(annotation((-10, 50, 30, 60))))["labels/train/a.txt"], (200, 100), source="a.txt"
    )
    assert item == (1, pytest.approx((0, 50, 20, 50)))


edges = st.floats(0, 1, allow_nan=False, width=32)


@given(edges, edges, edges, edges)
def test_decode_gives_back_the_box_within_a_ten_thousandth_of_a_pixel(a: float, b: float, c: float, d: float) -> None:
    (x0, x1), (y0, y1) = sorted([a * 200, b * 200]), sorted([c * 100, d * 100])
    text = yolo.encode(dataset(annotation((x0, y0, x1 - x0, y1 - y0))))["labels/train/a.txt"]
    assert all(0 <= float(field) <= 1 for field in text.split()[1:])
    ((label, box),) = yolo.decode(text, (200, 100), source="a.txt")
    assert label == 1
    assert box == pytest.approx((x0, y0, x1 - x0, y1 - y0), abs=1e-4)


def test_outlines_hold_the_mask_with_its_parts_and_holes_exactly() -> None:
    mask = np.zeros((100, 200), dtype=np.bool_)
    mask[10:40, 20:60] = True
    mask[20:25, 30:35] = False
    mask[50:60, 100:130] = True
    item = annotation((20, 10, 110, 50), segmentation=rle_of_mask(mask))
    text = yolo.encode(dataset(item), outlines=True)["labels/train/a.txt"]
    numbers = [float(field) for field in text.split()[1:]]
    polygon = [value * (200, 100)[index % 2] for index, value in enumerate(numbers)]
    assert np.array_equal(mask_of_segmentation([polygon], (100, 200)), mask)
    assert yolo.decode(text, (200, 100), source="a.txt") == [(1, pytest.approx((20, 10, 110, 50)))]


def test_an_outline_without_mask_is_that_of_the_box() -> None:
    text = yolo.encode(dataset(annotation((20, 10, 40, 30))), outlines=True)["labels/train/a.txt"]
    assert len(text.split()) == 9
    assert yolo.decode(text, (200, 100), source="a.txt") == [(1, pytest.approx((20, 10, 40, 30)))]


def test_data_yaml_names_folders_and_classes_and_has_no_path_of_its_own() -> None:
    both = Dataset({3: "can", 8: "cup: blue"}, {name: dataset().splits["train"] for name in ("train", "devtest")})
    assert yaml.safe_load(yolo.encode(both)["data.yaml"]) == {
        "train": "images/train",
        "val": "images/devtest",
        "names": {0: "can", 1: "cup: blue"},
    }


def test_data_yaml_of_a_single_split_validates_on_it_for_trainers_refuse_a_missing_val() -> None:
    document = yaml.safe_load(yolo.encode(dataset())["data.yaml"])
    assert document["train"] == document["val"] == "images/train"


def test_data_yaml_names_a_test_split() -> None:
    three = Dataset({1: "can"}, {name: Split((), ()) for name in ("train", "val", "test")})
    assert yaml.safe_load(yolo.encode(three)["data.yaml"])["test"] == "images/test"


def test_folders_and_dots_in_file_names_survive() -> None:
    assert yolo.label_path("val", "night/cam.1_000.5.jpg") == "labels/val/night/cam.1_000.5.txt"


def test_two_pictures_with_one_label_file_are_refused() -> None:
    with pytest.raises(InputError, match=r"a\.png: another picture of split train has the label file"):
        yolo.encode(dataset(names=("a.jpg", "a.png")))


def test_blank_lines_are_passed_over() -> None:
    assert yolo.decode("\n  \n", (4, 4), source="a.txt") == []


@pytest.mark.parametrize(
    "line", ["0 0.5 0.5 0.1", "x 0 0 0 0", "0 0 0 0 nan", "-1 0 0 0 0", "0 1 2 3 4 5", "0.5 0 0 0 0"]
)
def test_a_damaged_line_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(InputError, match=r"a\.txt: line 2 is"):
        yolo.decode(f"0 0.5 0.5 0.1 0.1\n{line}\n", (4, 4), source="a.txt")


def test_a_damaged_mask_is_refused_with_its_annotation() -> None:
    with pytest.raises(InputError, match=r"annotation 1 of a\.jpg: segmentation: "):
        yolo.encode(dataset(annotation((20, 10, 40, 30), segmentation=[[1, 1, 5, 5]])), outlines=True)
