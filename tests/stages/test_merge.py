import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from garbage_synth.core.types import Dataset
from garbage_synth.errors import InputError
from garbage_synth.io.dataset import read_dataset
from garbage_synth.stages.export import export
from garbage_synth.stages.merge import merge
from garbage_synth.stages.validate import validate
from tests.consumers import perfect_score
from tests.makers import drawn_dataset, write_tree


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Two datasets with the same file names; the classes of the second are in another order, one is new."""
    one = drawn_dataset({"train": [(48, 36)] * 3, "val": [(36, 48)] * 2}, seed=5)
    two = drawn_dataset({"train": [(40, 36)] * 4, "test": [(36, 40)] * 2}, seed=6)
    other = replace(two, dataset=replace(two.dataset, categories={1: "bottle", 2: "cup", 3: "can"}))
    return write_tree(tmp_path / "day1", one), write_tree(tmp_path / "day2", other)


def change(root: Path, split: str, **fields: Any) -> None:
    """Put fields into the document; a callable changes what is there."""
    path = root / f"annotations/instances_{split}.json"
    document = json.loads(path.read_text())
    for name, value in fields.items():
        document[name] = value(document[name]) if callable(value) else value
    path.write_text(json.dumps(document))


def facts(dataset: Dataset, split: str, prefix: str = "") -> list[tuple[Any, ...]]:
    """What must survive a merge, without ids: of each picture its size and items by class name."""
    part = dataset.splits[split]
    return [
        (
            prefix + record.file_name,
            record.width,
            record.height,
            [
                (dataset.categories[e.category_id], e.bbox_xywh, e.area, e.iscrowd, e.segmentation, e.extra)
                for e in part.annotations
                if e.image_id == record.id
            ],
        )
        for record in part.images
    ]


def test_classes_splits_ids_and_names_are_united(trees: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = (read_dataset(tree) for tree in trees)
    summary = merge(list(trees), tmp_path / "out")
    made = read_dataset(tmp_path / "out")
    assert made.categories == {1: "can", 2: "paper", 3: "bottle", 4: "cup"}
    assert {name: len(part.images) for name, part in made.splits.items()} == {"train": 7, "val": 2, "test": 2}
    assert facts(made, "train") == facts(one, "train", "day1_") + facts(two, "train", "day2_")
    assert facts(made, "val") == facts(one, "val", "day1_")
    assert [record.id for record in made.splits["train"].images] == list(range(1, 8))
    assert summary.numbers["datasets"] == {"day1": 5, "day2": 6}
    assert summary.numbers["images"] == 11
    assert summary.warnings == ()
    assert validate(tmp_path / "out").numbers["defects"] == []
    assert perfect_score(tmp_path / "out/annotations/instances_train.json", "segm")[0] == pytest.approx(1)
    picture = tmp_path / "out/images/train/day2_train_0001.jpg"
    assert picture.read_bytes() == (trees[1] / "images/train/train_0001.jpg").read_bytes()


def test_names_that_do_not_meet_stay_as_they_are(tmp_path: Path) -> None:
    one = write_tree(tmp_path / "a", drawn_dataset({"train": [(48, 36)] * 2}))
    two = write_tree(tmp_path / "b", drawn_dataset({"val": [(48, 36)] * 2}))
    merge([one, two], tmp_path / "out")
    made = read_dataset(tmp_path / "out")
    assert [record.file_name for part in made.splits.values() for record in part.images] == [
        "train_0001.jpg",
        "train_0002.jpg",
        "val_0001.jpg",
        "val_0002.jpg",
    ]


def test_datasets_of_one_folder_name_are_numbered(trees: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    trees[1].rename(tmp_path / "x/day1")
    merge([trees[0], tmp_path / "x/day1"], tmp_path / "out")
    assert (tmp_path / "out/images/train/day1_2_train_0001.jpg").is_file()


def test_labels_of_yolo_are_made_where_one_input_has_them(trees: tuple[Path, Path], tmp_path: Path) -> None:
    export(trees[1], tmp_path / "yolo/day2", format="yolo")
    for name in ("labels", "data.yaml"):
        (tmp_path / "yolo/day2" / name).rename(trees[1] / name)
    merge(list(trees), tmp_path / "out")
    assert (tmp_path / "out/labels/train/day2_train_0001.txt").is_file()
    assert validate(tmp_path / "out").numbers["defects"] == []


def test_categories_that_differ_are_named_and_the_first_word_counts(trees: tuple[Path, Path], tmp_path: Path) -> None:
    def parent(word: str) -> Any:
        return lambda entries: [{**entry, "supercategory": word} for entry in entries]

    for split in ("train", "val"):
        change(trees[0], split, categories=parent("litter"))
    for split in ("train", "test"):
        change(trees[1], split, categories=parent("waste"))
    summary = merge(list(trees), tmp_path / "out")
    assert summary.warnings == (
        "category 'bottle': supercategory is 'litter' in day1 (kept), but 'waste' in day2",
        "category 'can': supercategory is 'litter' in day1 (kept), but 'waste' in day2",
    )
    extras = read_dataset(tmp_path / "out").category_extras
    assert [extras[key]["supercategory"] for key in (1, 2, 3, 4)] == ["litter", "litter", "litter", "waste"]


def test_the_same_picture_twice_is_named(trees: tuple[Path, Path], tmp_path: Path) -> None:
    source = trees[0] / "images/val/val_0001.jpg"
    (trees[1] / "images/test/test_0001.jpg").write_bytes(source.read_bytes())
    change(trees[1], "test", images=lambda e: [{**e[0], "width": 36, "height": 48}, *e[1:]], annotations=[])
    summary = merge(list(trees), tmp_path / "out")
    (warning,) = summary.warnings
    assert warning.startswith("the same picture twice: ")
    assert "val/day1_val_0001.jpg" in warning
    assert "test/day2_test_0001.jpg" in warning
    assert (summary.numbers["pictures_twice"], summary.numbers["images"]) == (1, 11)


def test_info_and_licences_are_kept_and_pictures_know_theirs(trees: tuple[Path, Path], tmp_path: Path) -> None:
    mine, yours = {"id": 1, "name": "MIT", "url": "a"}, {"id": 1, "name": "CC0", "url": "b"}
    change(trees[0], "train", licenses=[mine], info={"year": 2024})
    change(
        trees[1],
        "train",
        licenses=[yours, {**mine, "id": 2}],
        info={"year": 2025},
        images=lambda entries: [{**entry, "license": 1 + entry["id"] % 2} for entry in entries],
    )
    merge(list(trees), tmp_path / "out")
    made = read_dataset(tmp_path / "out")
    assert made.licenses == (mine, {**yours, "id": 2})
    licences = [record.extra.get("license") for record in made.splits["train"].images]
    assert licences == [None, None, None, 1, 2, 1, 2]  # of day2, 1 was CC0 and is 2 now
    assert [entry["dataset"] for entry in made.info["merged"]] == ["day1", "day2"]


def test_val_and_valid_stay_apart_with_a_warning(trees: tuple[Path, Path], tmp_path: Path) -> None:
    export(trees[0], tmp_path / "rf", format="coco-roboflow")
    summary = merge([trees[0], tmp_path / "rf"], tmp_path / "out")
    assert summary.warnings[0] == "splits val and valid stay apart; rename one where they mean the same"
    assert summary.warnings[-1].startswith("... and 2 more of these: the same picture twice: ")


def test_wrong_input_is_refused_and_nothing_is_made(trees: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="two datasets or more"):
        merge([trees[0]], out)
    with pytest.raises(InputError, match="each given once"):
        merge([trees[0], trees[1], trees[0]], out)
    with pytest.raises(InputError, match="lies inside the input"):
        merge(list(trees), trees[1] / "out")
    (trees[1] / "images/test/test_0001.jpg").unlink()
    with pytest.raises(InputError, match=r"test_0001\.jpg does not exist"):
        merge(list(trees), out)
    assert not out.exists()


def test_a_tree_and_its_own_coco_file_are_refused(trees: tuple[Path, Path], tmp_path: Path) -> None:
    own = trees[0] / "annotations/instances_val.json"
    for datasets in ([trees[0], own], [own, trees[1], trees[0]]):
        with pytest.raises(InputError, match=f"{own} is part of {trees[0]}, which is given too; leave one of them out"):
            merge(datasets, tmp_path / "out")
    merge([own, trees[1]], tmp_path / "out")
    merge([own, own.with_name("instances_train.json")], tmp_path / "two")


def test_a_name_that_meets_in_spite_of_the_prefix_is_refused(tmp_path: Path) -> None:
    names = {"a": ["b_x.jpg", "y.jpg"], "a_b": ["x.jpg", "y.jpg"]}
    for folder, files in names.items():
        tree = write_tree(tmp_path / folder, drawn_dataset({"train": [(48, 36)] * 2}))
        for number, name in enumerate(files, start=1):
            (tree / f"images/train/train_000{number}.jpg").rename(tree / "images/train" / name)
        change(tree, "train", images=lambda e, files=files: [{**e[k], "file_name": n} for k, n in enumerate(files)])
    with pytest.raises(InputError, match=r"would both be named a_b_x\.jpg; rename one"):
        merge([tmp_path / "a", tmp_path / "a_b"], tmp_path / "out")


def test_dry_run_resume_overwrite_and_links(trees: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert merge(list(trees), out, dry_run=True).numbers["images"] == 11
    assert not out.exists()
    merge(list(trees), out, images="hardlink")
    inode = (trees[0] / "images/val/val_0001.jpg").stat().st_ino
    assert (out / "images/val/day1_val_0001.jpg").stat().st_ino == inode
    assert merge(list(trees), out, resume=True).numbers["images"] == 11
    with pytest.raises(InputError, match="order"):
        merge([trees[1], trees[0]], out, resume=True)
    merge([trees[1], trees[0]], out, overwrite=True)
    assert read_dataset(out).categories[1] == "bottle"
