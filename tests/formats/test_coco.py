import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from garbage_synth.core.masks import rle_of_mask
from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError
from garbage_synth.formats import coco

MASK = np.zeros((6, 8), dtype=np.bool_)
MASK[1:3, 2:7] = True


def annotation(**changes: Any) -> Annotation:
    entry = Annotation(1, 5, 1, (2.0, 1.0, 5.0, 2.0), 10.0, 0, rle_of_mask(MASK))
    return replace(entry, **changes)


def dataset(*annotations: Annotation, categories: dict[int, str] | None = None) -> Dataset:
    images = (ImageRecord(5, "a.jpg", 8, 6), ImageRecord(6, "sub/b.jpg", 8, 6))
    return Dataset(categories or {1: "can", 2: "cup"}, {"train": Split(images, annotations)})


def document(**changes: Any) -> dict[str, Any]:
    return coco.encode(dataset(annotation()), "train") | changes


def first_annotation(**changes: Any) -> dict[str, Any]:
    entry = document()["annotations"][0] | changes
    return document(annotations=[{key: value for key, value in entry.items() if value is not ...}])


numbers = st.floats(0, 1e4, allow_nan=False)
extras = st.dictionaries(
    st.text(min_size=1).filter(lambda key: key not in coco.ANNOTATION_FIELDS | coco.IMAGE_FIELDS),
    st.none() | st.booleans() | st.integers() | numbers | st.text() | st.lists(st.integers()),
    max_size=3,
)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    names = draw(st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
    keys = draw(st.lists(st.integers(0, 99), min_size=len(names), max_size=len(names), unique=True))
    image_ids = sorted(draw(st.sets(st.integers(0, 999), max_size=4)))
    images = tuple(ImageRecord(key, f"{key}.jpg", 8, 6, draw(extras)) for key in image_ids)
    count = draw(st.integers(0, 5)) if images else 0
    annotations = tuple(
        Annotation(
            id=index,
            image_id=draw(st.sampled_from(image_ids)),
            category_id=draw(st.sampled_from(keys)),
            bbox_xywh=draw(st.tuples(numbers, numbers, numbers, numbers)),
            area=draw(numbers),
            iscrowd=draw(st.integers(0, 1)),
            segmentation=draw(st.sampled_from([None, rle_of_mask(MASK), [[1.0, 1.0, 4.0, 1.0, 4.0, 4.0]]])),
            extra=draw(extras),
        )
        for index in range(1, count + 1)
    )
    return Dataset(dict(zip(keys, names, strict=True)), {"train": Split(images, annotations)})


@given(datasets())
def test_decode_gives_back_what_encode_wrote(before: Dataset) -> None:
    text = json.dumps(coco.encode(before, "train"), allow_nan=False)
    categories, split = coco.decode(json.loads(text), source="x.json")
    assert categories == before.categories
    assert split == before.splits["train"]


def test_every_key_that_a_reader_may_want_is_there() -> None:
    written = document()
    assert set(written) == {"info", "licenses", "categories", "images", "annotations"}
    assert set(written["images"][0]) == {"id", "file_name", "width", "height"}
    assert set(written["annotations"][0]) == {
        "id",
        "image_id",
        "category_id",
        "bbox",
        "area",
        "iscrowd",
        "segmentation",
    }


def test_images_without_items_are_listed() -> None:
    assert [entry["id"] for entry in document()["images"]] == [5, 6]


def test_numpy_numbers_and_bytes_become_plain_json() -> None:
    entry = annotation(
        id=np.int64(1),
        image_id=np.int32(5),
        bbox_xywh=tuple(np.array([2, 1, 5, 2], dtype=np.float32)),
        area=np.float32(10),
        segmentation={"size": np.array([6, 8]), "counts": rle_of_mask(MASK)["counts"].encode()},
        extra={"visible_fraction": np.float32(0.5), "corners": np.zeros((1, 2)), "cut": np.bool_(True), "of": (1, 2)},
    )
    written = json.loads(json.dumps(coco.encode(dataset(entry), "train")["annotations"][0]))
    assert written["bbox"] == [2.0, 1.0, 5.0, 2.0]
    assert written["segmentation"] == rle_of_mask(MASK)
    assert (written["visible_fraction"], written["corners"], written["cut"], written["of"]) == (
        0.5,
        [[0, 0]],
        True,
        [1, 2],
    )


def test_a_missing_mask_is_left_out_rather_than_written_empty() -> None:
    for nothing in (None, []):
        assert "segmentation" not in coco.encode(dataset(annotation(segmentation=nothing)), "train")["annotations"][0]


@pytest.mark.parametrize(
    "changes",
    [{"area": float("nan")}, {"bbox_xywh": (0.0, 0.0, float("inf"), 1.0)}, {"extra": {"tilt": np.float32("nan")}}],
)
def test_numbers_that_json_does_not_know_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"annotation 1.*not a finite number"):
        coco.encode(dataset(annotation(**changes)), "train")


def test_a_value_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match=r"annotation 1\.when: a set cannot"):
        coco.encode(dataset(annotation(extra={"when": {1}})), "train")


def test_no_category_bears_the_name_of_a_supercategory() -> None:
    categories = coco.encode(dataset(categories={1: "item", 2: "items"}), "train")["categories"]
    assert {entry["supercategory"] for entry in categories} == {"itemss"}


def test_what_a_foreign_file_leaves_out_is_measured_on_the_mask() -> None:
    _, split = coco.decode(first_annotation(bbox=..., area=..., iscrowd=...), source="x.json")
    assert split.annotations[0] == annotation()


def test_a_missing_area_without_mask_is_that_of_the_box() -> None:
    _, split = coco.decode(first_annotation(area=..., segmentation=...), source="x.json")
    assert split.annotations[0].area == 10.0
    assert split.annotations[0].segmentation is None


def test_whole_numbers_written_as_floats_are_ids() -> None:
    _, split = coco.decode(first_annotation(id=4.0), source="x.json")
    assert split.annotations[0].id == 4


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ([], "no list 'images'"),
        ({"images": {}}, "no list 'images'"),
        (document(categories=...), "'categories' is not a list"),
        (document(annotations=[1]), "'annotations' is not a list of objects"),
        (document(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]), "category id 1 is used twice"),
        (document(images=document()["images"] * 2), "image id 5 is used twice"),
        (document(annotations=document()["annotations"] * 2), "annotation id 1 is used twice"),
        (first_annotation(category_id=9), r"annotation 1 has unknown category_id 9; categories are \[1, 2\]"),
        (first_annotation(image_id=9), "annotation 1 has unknown image_id 9"),
        (first_annotation(id="one"), "annotation has id 'one'; expected an integer"),
        (first_annotation(id=True), "expected an integer"),
        (first_annotation(bbox=[1, 2, 3]), "annotation 1 has no usable bbox"),
        (first_annotation(bbox=None), "annotation 1 has no usable bbox"),
        (first_annotation(bbox=..., segmentation=...), "annotation 1 has no usable bbox"),
        (first_annotation(area="big"), "annotation 1 has no usable bbox, area"),
        (first_annotation(bbox=[10**400, 0, 1, 1]), "annotation 1 has no usable bbox"),
        (first_annotation(segmentation=5), "annotation 1 has a segmentation that is neither"),
        (document(images=[{"id": 5, "file_name": "a.jpg", "width": 10**400, "height": 6}]), "expected a positive size"),
        (first_annotation(bbox=[0, 0, float("nan"), 1]), "not finite"),
        (document(images=[{"id": 5, "file_name": "../a.jpg", "width": 8, "height": 6}]), r"file_name '\.\./a\.jpg'"),
        (document(images=[{"id": 5, "width": 8, "height": 6}]), "file_name None"),
        (document(images=[{"id": 5, "file_name": "a.jpg", "height": 6}]), "image 5 has width None"),
        (document(images=[{"id": 5, "file_name": "a.jpg", "width": 0, "height": 6}]), "image 5 is 0x6 pixels"),
    ],
)
def test_a_broken_document_is_refused_with_file_and_entry(broken: Any, message: str) -> None:
    with pytest.raises(InputError, match=r"^x\.json: .*" + message):
        coco.decode(broken, source="x.json")


def test_renumbered_starts_at_one_and_keeps_names_images_and_order() -> None:
    odd = dataset(annotation(id=0, category_id=7), annotation(id=12, category_id=0), categories={7: "can", 0: "cup"})
    even = coco.renumbered(odd)
    assert even.categories == {1: "cup", 2: "can"}
    assert [(entry.id, entry.category_id) for entry in even.splits["train"].annotations] == [(1, 2), (2, 1)]
    assert even.splits["train"].images == odd.splits["train"].images


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../a.jpg", "a/../../b.jpg", "a\0.jpg", None, 3, "."])
def test_file_names_that_leave_their_folder_are_not_safe(name: object) -> None:
    assert not coco.is_safe_file_name(name)
    assert coco.is_safe_file_name("sub/..a.jpg")


@pytest.mark.parametrize("segmentation", [{"size": [6, 8]}, {"size": [6, 8], "counts": ["a"]}, {"counts": [48]}])
def test_a_damaged_mask_is_refused_when_written(segmentation: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="annotation 1: its segmentation is damaged"):
        coco.encode(dataset(annotation(segmentation=segmentation)), "train")
