import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from garbage_synth.errors import InputError
from garbage_synth.stages.validate import validate
from tests.makers import DrawnDataset, drawn_dataset, save, write_tree

DRAWN: DrawnDataset = drawn_dataset({"train": [(48, 36)] * 3, "val": [(36, 48)] * 2}, seed=5)
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "dataset", DRAWN, formats=("coco", "yolo"))


def edit(root: Path, change: Change, split: str = "train") -> Path:
    path = root / f"annotations/instances_{split}.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return root


def defects(root: Path) -> list[str]:
    summary = validate(root)
    assert summary.ok == (not summary.numbers["defects"])
    assert summary.numbers["defect_count"] == len(summary.numbers["defects"])
    return list(summary.numbers["defects"])


def test_a_sound_dataset_is_ok_and_counted(root: Path) -> None:
    summary = validate(root)
    assert summary.ok
    assert summary.warnings == ()
    annotations = {name: len(split.annotations) for name, split in DRAWN.dataset.splits.items()}
    assert summary.numbers["splits"] == {
        "train": {"images": 3, "annotations": annotations["train"]},
        "val": {"images": 2, "annotations": annotations["val"]},
    }


def test_a_dataset_without_labels_or_yaml_is_ok(tmp_path: Path) -> None:
    assert defects(write_tree(tmp_path, DRAWN)) == []


def test_one_coco_file_is_checked_with_its_pictures_alone(root: Path) -> None:
    save(root / "images/val/extra.jpg", DRAWN.pixels["val", 1])
    assert defects(root / "annotations/instances_val.json") == []


def test_nothing_to_check_is_wrong_input_not_a_failed_check(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no annotations"):
        validate(tmp_path)


def test_defects_of_the_documents_are_listed_with_file_and_id(root: Path) -> None:
    edit(root, lambda document: document["annotations"][0].update(area=1.0))
    edit(root, lambda document: document["categories"][0].update(name="tin"))
    found = defects(root)
    assert len(found) == 2
    assert found[0].startswith("annotations/instances_train.json: annotation 1: area 1.0 differs")
    assert found[1] == (
        "annotations/instances_val.json: category 1: categories differ from those of annotations/instances_train.json"
    )


def test_a_document_that_cannot_be_read_is_one_defect_and_the_others_are_still_checked(root: Path) -> None:
    (root / "annotations/instances_val.json").write_text("{")
    edit(root, lambda document: document["annotations"][0].pop("area"))
    found = defects(root)
    assert any(
        line.startswith("annotations/instances_val.json: ") and "cannot be read as JSON" in line for line in found
    )
    assert "annotations/instances_train.json: annotation 1: area is missing" in found


def test_not_a_number_in_the_json_is_found(root: Path) -> None:
    edit(root, lambda document: document["annotations"][0]["bbox"].__setitem__(0, float("nan")))
    assert "annotations/instances_train.json: annotation 1: bbox is not a finite number" in defects(root)


def test_documents_of_a_wrong_shape_give_defects_not_errors(root: Path) -> None:
    for change in (
        lambda document: document.update(images=None),
        lambda document: document.update(images=[1]),
        lambda document: document.update(annotations={}),
    ):
        edit(root, change)
        assert defects(root)


def test_a_missing_picture_is_found(root: Path) -> None:
    (root / "images/train/train_0002.jpg").unlink()
    assert defects(root) == ["annotations/instances_train.json: image 2: images/train/train_0002.jpg does not exist"]


def test_a_truncated_picture_is_found(root: Path) -> None:
    path = root / "images/train/train_0002.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    (found,) = defects(root)
    assert found.startswith("annotations/instances_train.json: image 2: ")
    assert "train_0002.jpg" in found


def test_text_named_jpg_is_found(root: Path) -> None:
    (root / "images/val/val_0001.jpg").write_text("no picture")
    (found,) = defects(root)
    assert found.startswith("annotations/instances_val.json: image 1: ")


def test_a_picture_of_another_size_is_found(root: Path) -> None:
    save(root / "images/train/train_0001.jpg", DRAWN.pixels["val", 1])
    assert defects(root) == [
        "annotations/instances_train.json: image 1: images/train/train_0001.jpg is 36x48 (EXIF turned), not 48x36"
    ]


def test_a_picture_that_its_exif_turns_is_measured_as_it_is_shown(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(DRAWN.pixels["train", 1]).copy()).save(root / "images/train/train_0001.jpg", exif=exif)
    assert defects(root) == []


def test_a_picture_that_no_split_lists_is_found(root: Path) -> None:
    save(root / "images/train/extra.png", DRAWN.pixels["val", 1])
    assert defects(root) == ["images/train/extra.png: lies among the pictures, but no split lists it"]


def test_a_picture_in_two_splits_is_found(root: Path) -> None:
    for path in (root / "images/val").iterdir():
        path.rename(root / "images" / path.name)
    for path in (root / "images/train").iterdir():
        path.rename(root / "images" / path.name)
    (root / "images/train").rmdir()
    (root / "images/val").rmdir()
    edit(root, lambda document: document["images"][1].update(file_name="val_0002.jpg"))
    found = defects(root)
    assert (
        "annotations/instances_val.json: image 2: images/val_0002.jpg is listed in annotations/instances_train.json too"
        in found
    )


def test_a_file_name_that_leaves_the_folder_is_a_defect_and_not_followed(root: Path) -> None:
    edit(root, lambda document: document["images"][0].update(file_name="../../../etc/passwd"))
    assert any("image 1: file_name is '../../../etc/passwd'" in line for line in defects(root))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: "", "labels/train/train_0001.txt: annotation 1: has no line of the same class and box"),
        (
            lambda text: text + "2 0.5 0.5 0.1 0.1\n",
            "labels/train/train_0001.txt: image 1: class 2 at (21.6, 16.2, 4.8, 3.6)",
        ),
        (lambda text: "0 0.5\n", "labels/train/train_0001.txt: line 1 is '0 0.5'; expected"),
        (lambda text: "9" + text[1:], "labels/train/train_0001.txt: annotation 1: has no line"),
    ],
)
def test_labels_that_disagree_with_coco_are_found(root: Path, change: Callable[[str], str], expected: str) -> None:
    path = root / "labels/train/train_0001.txt"
    path.write_text(change(path.read_text()))
    found = defects(root)
    assert any(line.startswith(expected) for line in found), found


def test_missing_and_stray_label_files_are_found(root: Path) -> None:
    (root / "labels/train/train_0003.txt").rename(root / "labels/train/train_0009.txt")
    found = defects(root)
    assert any(line.startswith("labels/train/train_0003.txt: cannot be read") for line in found), found
    assert "labels/train/train_0009.txt: a label file without a picture" in found


@pytest.mark.parametrize("text", ["names: [can]\n", "names: {0: can, 1: bottle, 2: paper}\n", "- 1\n"])
def test_a_data_yaml_with_other_classes_is_found(root: Path, text: str) -> None:
    (root / "data.yaml").write_text(text)
    (found,) = defects(root)
    assert found.startswith("data.yaml: names are ")


def test_a_data_yaml_that_is_missing_or_damaged_is_found(root: Path) -> None:
    (root / "data.yaml").write_text("names: [")
    assert defects(root)[0].startswith("data.yaml: cannot be read")
    (root / "data.yaml").unlink()
    assert defects(root)[0].startswith("data.yaml: cannot be read")


def test_crowds_have_no_label(root: Path) -> None:
    edit(root, lambda document: document["annotations"][0].update(iscrowd=1))
    path = root / "labels/train/train_0001.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert defects(root) == []


@pytest.mark.real_data
def test_the_real_belt_of_others_passes(real_data: Path) -> None:
    assert validate(real_data / "construction_belt").numbers["defects"] == []


def test_a_data_yaml_that_cannot_be_read_is_a_defect(root: Path) -> None:
    for text in ("names: [", "names: [2020-13-45]"):
        (root / "data.yaml").write_text(text)
        (found,) = defects(root)
        assert found.startswith("data.yaml: cannot be read")
