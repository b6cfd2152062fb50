import json
from pathlib import Path
from typing import Any

import pytest

from garbage_synth.core.types import Dataset, ImageRecord
from garbage_synth.errors import InputError
from garbage_synth.formats import coco
from garbage_synth.io.dataset import (
    chosen_split,
    image_path,
    read_dataset,
    read_document,
    read_text,
    split_files,
    write_annotations,
)
from tests.makers import DrawnDataset, drawn_dataset, save, write_tree

DRAWN: DrawnDataset = drawn_dataset({"train": [(40, 30)] * 2, "night": [(30, 40)] * 2}, seed=1)


def lay_out(root: Path, annotations: str, images: str) -> Path:
    """The dataset with its files at other places; {} is the split."""
    for name, split in DRAWN.dataset.splits.items():
        path = root / annotations.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(coco.encode(DRAWN.dataset, name)))
        for record in split.images:
            save(root / images.format(name) / record.file_name, DRAWN.pixels[name, record.id])
    return root


def test_our_tree_comes_back_as_it_was_written(tmp_path: Path) -> None:
    root = write_tree(tmp_path, DRAWN)
    assert read_dataset(root) == DRAWN.dataset


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("annotations/instances_{}.json", "images/{}"),
        ("annotations/instances_{}.json", "{}"),
        ("annotations/instances_{}.json", "images"),
        ("annotations/instances_{}.json", "."),
        ("annotations/{}.json", "images/{}"),
        ("{}/_annotations.coco.json", "{}"),
    ],
)
def test_foreign_trees_are_read_and_their_pictures_found(tmp_path: Path, annotations: str, images: str) -> None:
    root = lay_out(tmp_path, annotations, images)
    dataset = read_dataset(root)
    assert dataset.splits == DRAWN.dataset.splits
    for split, record in ((name, record) for name in dataset.splits for record in dataset.splits[name].images):
        assert image_path(root, split, record) == root / images.format(split) / record.file_name
        assert image_path(root, split, record).is_file()


@pytest.mark.parametrize(("annotations", "images"), [("annotations/instances_{}.json", "images/{}"), ("{}.json", ".")])
def test_one_coco_file_is_a_dataset_of_one_split(tmp_path: Path, annotations: str, images: str) -> None:
    file = lay_out(tmp_path, annotations, images) / annotations.format("night")
    dataset = read_dataset(file)
    assert dataset.splits == {"night": DRAWN.dataset.splits["night"]}
    assert image_path(file, "night", dataset.splits["night"].images[0]).is_file()


def test_one_coco_file_with_a_folder_of_pictures_elsewhere(tmp_path: Path) -> None:
    file = lay_out(tmp_path / "labels", "{}.json", "../pictures") / "night.json"
    record = read_dataset(file, tmp_path / "pictures").splits["night"].images[0]
    assert image_path(file, "night", record, tmp_path / "pictures") == tmp_path / "pictures" / record.file_name


def test_the_split_is_the_one_asked_for_or_the_first_usual_one_or_the_only_one() -> None:
    root = Path("data")
    assert chosen_split(root, ["a", "test", "val"], "a", ["val"]) == "a"
    assert chosen_split(root, ["a", "test", "val"], None, ["val", "test"]) == "val"
    assert chosen_split(root, {"odd": 1}, None, ["train"]) == "odd"
    for splits, asked, said in (
        (["odd"], "train", "no split 'train'; choose one of odd"),
        (["a", "b"], None, "no split test or val; choose one of a, b"),
    ):
        with pytest.raises(InputError, match=f"data has {said}"):
            chosen_split(root, splits, asked, ["test", "val"])


def test_a_picture_that_is_missing_is_expected_in_the_folder_of_its_split(tmp_path: Path) -> None:
    root = write_tree(tmp_path, DRAWN)
    assert image_path(root, "train", ImageRecord(9, "none.jpg", 1, 1)) == root / "images/train/none.jpg"


def test_sizes_that_a_foreign_file_leaves_out_come_from_the_pictures(tmp_path: Path) -> None:
    root = write_tree(tmp_path, DRAWN)
    path = root / "annotations/instances_night.json"
    document = json.loads(path.read_text())
    for entry in document["images"]:
        del entry["width"], entry["height"]
    path.write_text(json.dumps(document))
    assert read_dataset(root) == DRAWN.dataset


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_document(path) == {}


def test_yolo_labels_are_written_on_request(tmp_path: Path) -> None:
    write_annotations(tmp_path, DRAWN.dataset)
    assert not (tmp_path / "data.yaml").exists()
    write_annotations(tmp_path, DRAWN.dataset, formats=("coco", "yolo"))
    assert sorted(path.name for path in (tmp_path / "labels/night").iterdir()) == ["night_0001.txt", "night_0002.txt"]
    assert "images/night" in (tmp_path / "data.yaml").read_text()


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown annotation format 'voc'"):
        write_annotations(tmp_path, DRAWN.dataset, formats=("coco", "voc"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [b"{", b"[1]", b"\xff\xfe\x00", b"[" * 100_000, b"[" + b"9" * 5000 + b"]"])
def test_a_damaged_file_is_refused_with_its_name(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "annotations" / "instances_train.json"
    path.parent.mkdir()
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"instances_train\.json: "):
        read_dataset(tmp_path)


def test_places_without_a_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no annotations"):
        split_files(tmp_path)
    with pytest.raises(InputError, match="no such dataset"):
        split_files(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be read as text"):
        read_text(tmp_path / "none")


def rename(root: Path, split: str, categories: list[dict[str, Any]]) -> None:
    path = root / "annotations" / f"instances_{split}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"categories": categories}))


def test_splits_that_name_one_category_differently_are_refused(tmp_path: Path) -> None:
    root = write_tree(tmp_path, DRAWN)
    rename(root, "train", [{"id": 1, "name": "tin"}, {"id": 2, "name": "paper"}, {"id": 3, "name": "bottle"}])
    with pytest.raises(InputError, match=r"instances_train\.json: category 1 is 'tin', but 'can' in another split"):
        read_dataset(root)


def test_one_name_for_two_categories_is_refused(tmp_path: Path) -> None:
    root = write_tree(tmp_path, DRAWN)
    for split in DRAWN.dataset.splits:
        rename(root, split, [{"id": 1, "name": "can"}, {"id": 2, "name": "can"}, {"id": 3, "name": "bottle"}])
    with pytest.raises(InputError, match="two category ids share a name"):
        read_dataset(root)


@pytest.mark.real_data
def test_the_real_belt_is_read(real_data: Path) -> None:
    root = real_data / "construction_belt"
    dataset = read_dataset(root)
    assert dataset.categories == {1: "brick", 2: "concrete", 3: "rubber", 4: "wood"}
    assert {name: len(split.images) for name, split in dataset.splits.items()} == {"devtest": 25, "train": 75}
    assert isinstance(dataset, Dataset)


@pytest.mark.parametrize(("key", "value"), [("images", 5), ("images", {"a": 1})])
def test_images_that_are_no_list_are_refused(tmp_path: Path, key: str, value: object) -> None:
    root = write_tree(tmp_path, DRAWN)
    path = root / "annotations/instances_night.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(InputError, match="no list 'images'"):
        read_dataset(root)


def test_licenses_that_are_no_list_are_passed_over(tmp_path: Path) -> None:
    root = write_tree(tmp_path, DRAWN)
    for split in DRAWN.dataset.splits:
        path = root / f"annotations/instances_{split}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"licenses": 5}))
    assert read_dataset(root).licenses == ()
