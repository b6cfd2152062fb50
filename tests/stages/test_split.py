import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from garbage_synth.errors import InputError
from garbage_synth.io.dataset import read_dataset
from garbage_synth.stages.split import split
from garbage_synth.stages.validate import validate
from tests.makers import DrawnDataset, drawn_dataset, write_tree

DRAWN: DrawnDataset = drawn_dataset({"train": [(48, 36)] * 40, "val": [(36, 48)] * 10}, seed=5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("whole") / "dataset", DRAWN)


@pytest.fixture
def changed(whole: Path, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """A copy of the train split as one COCO file, changed; its pictures are those of the whole dataset."""

    def write(change: Callable[[dict[str, Any]], None]) -> Path:
        document = json.loads((whole / "annotations/instances_train.json").read_text())
        change(document)
        (tmp_path / "in/annotations").mkdir(parents=True)
        (tmp_path / "in/images").symlink_to(whole / "images")
        (tmp_path / "in/annotations/instances_train.json").write_text(json.dumps(document))
        return tmp_path / "in"

    return write


def groups_of(out: Path, key: Callable[[Any], Any]) -> dict[str, set[Any]]:
    return {name: {key(record) for record in part.images} for name, part in read_dataset(out).splits.items()}


def together(groups: dict[str, set[Any]]) -> bool:
    return sum(map(len, groups.values())) == len(set.union(*groups.values()))


def test_all_pictures_are_divided_anew_every_class_in_proportion(whole: Path, tmp_path: Path) -> None:
    summary = split(whole, tmp_path / "out", val_fraction=0.2, test_fraction=0.1)
    made = read_dataset(tmp_path / "out")
    assert {name: len(part.images) for name, part in made.splits.items()} == pytest.approx(
        {"train": 35, "val": 10, "test": 5}, abs=2
    )
    shares = {name: Counter(e.category_id for e in part.annotations) for name, part in made.splits.items()}
    total = sum(shares.values(), Counter[int]())
    for key in total:
        assert shares["val"][key] / total[key] == pytest.approx(0.2, abs=0.05)
    assert summary.numbers["largest_class_deviation"] < 0.1
    assert summary.numbers["images"] == 50
    pictures = {path.read_bytes() for path in whole.rglob("*.jpg")}
    assert {path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg")} == pictures
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 50
    assert validate(tmp_path / "out").numbers["defects"] == []


def test_every_picture_keeps_its_annotations(whole: Path, tmp_path: Path) -> None:
    split(whole, tmp_path / "out", val_fraction=0.3)
    made = read_dataset(tmp_path / "out")

    def facts(dataset: Any) -> dict[str, Any]:
        return {
            record.file_name: [
                (e.category_id, e.bbox_xywh, e.area, e.segmentation, e.extra)
                for e in part.annotations
                if e.image_id == record.id
            ]
            for part in dataset.splits.values()
            for record in part.images
        }

    assert facts(made) == facts(DRAWN.dataset)


def test_the_seed_decides(whole: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        split(whole, tmp_path / name, val_fraction=0.2, seed=seed)
    assert read_dataset(tmp_path / "a") == read_dataset(tmp_path / "b")
    assert read_dataset(tmp_path / "a") != read_dataset(tmp_path / "c")


def test_pictures_of_one_source_stay_together_by_themselves(changed: Any, tmp_path: Path) -> None:
    def name_sources(document: dict[str, Any]) -> None:
        for entry in document["images"]:
            entry["source"] = f"camera{entry['id'] % 6}"

    summary = split(changed(name_sources), tmp_path / "out", val_fraction=0.3)
    assert together(groups_of(tmp_path / "out", lambda record: record.extra["source"]))
    assert summary.numbers["groups"] == 6


def test_pictures_stay_together_by_a_field_a_folder_or_a_prefix(changed: Any, tmp_path: Path) -> None:
    def spread(document: dict[str, Any]) -> None:
        for entry in document["images"]:
            entry["video"] = {"id": entry["id"] // 8}
            entry["file_name"] = f"train/{entry['file_name']}"

    root = changed(spread)
    split(root, tmp_path / "field", val_fraction=0.2, by="video")
    assert together(groups_of(tmp_path / "field", lambda record: record.extra["video"]["id"]))
    with pytest.raises(InputError, match="1 groups of pictures, by folder, cannot be divided into train, val"):
        split(root, tmp_path / "out", val_fraction=0.2, by="folder")
    split(root, tmp_path / "prefix", val_fraction=0.5, by="prefix:00")  # train/train_00|01.jpg
    assert together(groups_of(tmp_path / "prefix", lambda record: record.file_name.rpartition("00")[0]))


def test_names_of_two_old_splits_that_meet_get_their_split_as_prefix(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "in", drawn_dataset({"train": [(48, 36)] * 6, "val": [(48, 36)] * 6}))
    for path in (root / "images/val").iterdir():
        path.rename(path.with_name(path.name.replace("val", "train")))
    document = (root / "annotations/instances_val.json").read_text()
    (root / "annotations/instances_val.json").write_text(document.replace("val_00", "train_00"))
    split(root, tmp_path / "out", val_fraction=0.25)
    names = [path.name for path in (tmp_path / "out").rglob("*.jpg")]
    assert sorted(names) == sorted(f"{old}_train_{k:04d}.jpg" for old in ("train", "val") for k in range(1, 7))


def test_torn_crops_and_absent_classes_are_told(changed: Any, tmp_path: Path) -> None:
    def one_crop(document: dict[str, Any]) -> None:
        for entry in document["annotations"]:
            entry["crop_id"] = f"can/{entry['id'] % 3}"
        document["categories"].append({"id": 4, "name": "rare"})
        document["annotations"][0]["category_id"] = 4

    summary = split(changed(one_crop), tmp_path / "out", val_fraction=0.2)
    assert summary.warnings[0] == "val has no item of rare"
    assert summary.warnings[1].startswith("3 of 3 crops are in several splits")


def test_wrong_input_is_refused_and_nothing_is_made(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for fractions in ((0.0, 0.0), (1.0, 0.0), (0.5, 0.5), (0.2, -0.1), (1.2, 0.0)):
        with pytest.raises(InputError, match="leave some for train"):
            split(whole, out, val_fraction=fractions[0], test_fraction=fractions[1])
    with pytest.raises(InputError, match="no picture has 'site' to divide by; fields are none"):
        split(whole, out, val_fraction=0.2, by="site")
    with pytest.raises(InputError, match="needs the separator"):
        split(whole, out, val_fraction=0.2, by="prefix:")
    assert not out.exists()


def test_as_many_pictures_as_splits_are_enough(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "in", drawn_dataset({"train": [(48, 36)] * 3}))
    summary = split(root, tmp_path / "out", val_fraction=0.1, test_fraction=0.1)
    assert summary.numbers["splits"] == {"test": 1, "train": 1, "val": 1}
    with pytest.raises(InputError, match="2 pictures cannot be divided into train, val, test"):
        split(
            write_tree(tmp_path / "two", drawn_dataset({"train": [(48, 36)] * 2})),
            tmp_path / "three",
            val_fraction=0.1,
            test_fraction=0.1,
        )


def test_resume_knows_what_was_asked(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    split(whole, out, val_fraction=0.2, dry_run=True)
    assert not out.exists()
    split(whole, out, val_fraction=0.2, images="hardlink")
    assert {path.stat().st_nlink for path in out.rglob("*.jpg")} == {2}
    assert split(whole, out, val_fraction=0.2, resume=True).numbers["images"] == 50
    with pytest.raises(InputError, match=r"val_fraction = 0\.2, now it is 0\.3"):
        split(whole, out, val_fraction=0.3, resume=True)
