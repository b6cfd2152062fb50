import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from garbage_synth.core.masks import rle_of_mask
from garbage_synth.formats.coco_check import check_document, compare_categories

MASK = np.zeros((6, 8), dtype=np.bool_)
MASK[1:3, 2:7] = True
SOUND: dict[str, Any] = {
    "info": {},
    "licenses": [],
    "categories": [{"id": 1, "name": "can"}, {"id": 2, "name": "cup"}],
    "images": [
        {"id": 5, "file_name": "a.jpg", "width": 8, "height": 6},
        {"id": 6, "file_name": "b.jpg", "width": 8, "height": 6},
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 5,
            "category_id": 1,
            "bbox": [2.0, 1.0, 5.0, 2.0],
            "area": 10.0,
            "iscrowd": 0,
            "segmentation": rle_of_mask(MASK),
        },
        {
            "id": 2,
            "image_id": 5,
            "category_id": 2,
            "bbox": [1.0, 1.0, 4.0, 3.0],
            "area": 12.0,
            "iscrowd": 0,
            "segmentation": [[1.0, 1.0, 5.0, 1.0, 5.0, 4.0, 1.0, 4.0]],
        },
    ],
}


def findings(change: Callable[[dict[str, Any]], object], *, defect: bool = True) -> list[str]:
    document = copy.deepcopy(SOUND)
    change(document)
    return [str(finding) for finding in check_document(document, "f") if finding.defect == defect]


def of_annotation(**changes: Any) -> list[str]:
    return findings(lambda document: document["annotations"][0].update(changes))


def test_a_sound_document_has_no_findings() -> None:
    assert check_document(SOUND, "f") == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": 0}, "annotation 0: id is below 1"),
        ({"id": "a"}, "annotation at position 0: id is 'a', expected an integer"),
        ({"id": True}, "annotation at position 0: id is True, expected an integer"),
        ({"id": 2}, "annotation 2: id 2 is used 2 times"),
        ({"category_id": 7}, "annotation 1: category_id 7 is unknown"),
        ({"image_id": 7}, "annotation 1: image_id 7 is unknown"),
        ({"iscrowd": 3}, "annotation 1: iscrowd is 3, expected 0 or 1"),
        ({"area": "ten"}, "annotation 1: area is 'ten', expected a number"),
        ({"area": 0}, "annotation 1: area is 0, expected more than 0"),
        ({"area": math.nan}, "annotation 1: area is not a finite number"),
        ({"area": 11.0}, "annotation 1: area 11.0 differs from the mask's 10 pixels"),
        ({"bbox": None}, "annotation 1: bbox is None, expected four numbers"),
        ({"bbox": [1, 2, 3]}, "annotation 1: bbox is [1, 2, 3], expected four numbers"),
        ({"bbox": [2.0, 1.0, math.inf, 2.0]}, "annotation 1: bbox is not a finite number"),
        ({"bbox": [2.0, 1.0, 0.0, 2.0]}, "annotation 1: bbox [2.0, 1.0, 0.0, 2.0] has no size"),
        ({"bbox": [2.0, -1.0, 5.0, 2.0]}, "annotation 1: bbox [2.0, -1.0, 5.0, 2.0] leaves the picture of 8x6"),
        ({"bbox": [4.0, 1.0, 5.0, 2.0]}, "annotation 1: bbox [4.0, 1.0, 5.0, 2.0] leaves the picture"),
        ({"bbox": [2.0, 5.0, 5.0, 2.0]}, "annotation 1: bbox [2.0, 5.0, 5.0, 2.0] leaves the picture"),
        ({"bbox": [2.0, 1.0, 5.0, 3.0]}, "annotation 1: bbox [2.0, 1.0, 5.0, 3.0] differs from the mask's extent"),
        ({"segmentation": []}, "annotation 1: segmentation: segmentation is empty"),
        ({"segmentation": [[1, 1, 5, 5]]}, "annotation 1: segmentation: a polygon has fewer than three points"),
        ({"segmentation": {"size": [8, 6], "counts": "o1"}}, "annotation 1: segmentation: RLE size [8, 6] differs"),
        ({"segmentation": {"size": [6, 8], "counts": [48]}}, "annotation 1: segmentation covers no pixel"),
        ({"segmentation": {"size": [6, 8], "counts": [0, 48]}}, "annotation 1: segmentation counts are a list"),
        ({"segmentation": 5}, "annotation 1: segmentation: "),
        (
            {"segmentation": [["1", "1", "5", "1", "5", "5"]]},
            "annotation 1: segmentation: a polygon is no list of numbers",
        ),
        ({"segmentation": [{"1": 1}]}, "annotation 1: segmentation: a polygon is no list of numbers"),
        ({"bbox": [10**400, 1, 5, 2]}, "annotation 1: bbox is [1000"),
        ({"extra": {"tilt": [math.nan]}}, "annotation 1: extra.tilt is not a finite number"),
    ],
)
def test_a_defect_of_an_annotation_is_named(changes: dict[str, Any], expected: str) -> None:
    found = of_annotation(**changes)
    assert any(line.startswith(f"f: {expected}") for line in found), found


@pytest.mark.parametrize("key", ["area", "iscrowd"])
def test_missing_fields_are_named(key: str) -> None:
    assert findings(lambda document: document["annotations"][0].pop(key)) == [f"f: annotation 1: {key} is missing"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda document: document.pop("images"), "f: no list 'images'; COCO readers fail without it"),
        (lambda document: document.update(annotations=[3]), "f: 'annotations' holds something that is no object"),
        (lambda document: document["categories"][0].update(id=0), "f: category ids are [0, 2], expected 1..2: 0 is"),
        (lambda document: document["categories"][1].update(id=4), "f: category ids are [1, 4], expected 1..2: 0 is"),
        (lambda document: document["categories"][0].update(name=" "), "f: category 1: name is ' ', expected text"),
        (lambda document: document["categories"][0].update(name="cup"), "f: category 1: name 'cup' is used twice"),
        (lambda document: document["images"][1].update(id=5), "f: image 5: id 5 is used 2 times"),
        (lambda document: document["images"][1].update(id=1.5), "f: image at position 1: id is 1.5"),
        (lambda document: document["images"][1].update(file_name="../b"), "f: image 6: file_name is '../b', expected"),
        (
            lambda document: document["images"][1].update(file_name="a.jpg"),
            "f: image 6: file_name 'a.jpg' is listed twice",
        ),
        (lambda document: document["images"][1].pop("width"), "f: image 6: width is None, expected a whole number"),
        (lambda document: document["images"][0].update(height=0), "f: image 5: height is 0, expected a whole number"),
        (lambda document: document["images"][0].update(height=10**400), "f: image 5: height is 1000"),
    ],
)
def test_a_defect_of_the_document_an_image_or_a_category_is_named(
    change: Callable[[dict[str, Any]], object], expected: str
) -> None:
    found = findings(change)
    assert any(line.startswith(expected) for line in found), found


def test_missing_masks_and_headers_are_only_worth_knowing() -> None:
    def change(document: dict[str, Any]) -> None:
        del document["annotations"][0]["segmentation"], document["info"]

    assert findings(change) == []
    assert findings(change, defect=False) == [
        "f: 'info' is missing; some readers want it",
        "f: 1 annotations have no segmentation: boxes only",
    ]


def test_an_uncompressed_crowd_is_usual() -> None:
    runs = {"size": [6, 8], "counts": [0, 48]}
    assert of_annotation(iscrowd=1, segmentation=runs, bbox=[0, 0, 8, 6], area=48) == []


def test_polygons_of_others_may_be_a_pixel_off_but_not_more() -> None:
    def change(document: dict[str, Any], shift: float, area: float) -> None:
        document["annotations"][1].update(bbox=[1.0, 1.0, 4.0 + shift, 3.0], area=area)

    assert findings(lambda document: change(document, 0.9, 15.0)) == []
    assert len(findings(lambda document: change(document, 2.0, 12.0))) == 1
    assert len(findings(lambda document: change(document, 0.0, 22.0))) == 1


def test_the_box_of_a_polygon_with_a_thin_spike_may_be_that_of_its_corners() -> None:
    spike = [[1.0, 1.0, 5.0, 1.0, 5.0, 2.0, 7.9, 2.05, 5.0, 2.1, 5.0, 4.0, 1.0, 4.0]]
    assert of_annotation(segmentation=spike, bbox=[1.0, 1.0, 6.9, 3.0], area=12.0) == []


def test_categories_that_differ_between_splits_are_named() -> None:
    other = copy.deepcopy(SOUND)
    other["categories"][1]["name"] = "mug"
    (finding,) = compare_categories({"a.json": SOUND, "b.json": other, "c.json": {"categories": 3}})
    assert str(finding) == "b.json: category 2: categories differ from those of a.json"
    assert compare_categories({"a.json": SOUND, "b.json": SOUND}) == []
