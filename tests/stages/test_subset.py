import json
from pathlib import Path

import pytest

from garbage_synth.errors import InputError
from garbage_synth.io.dataset import read_dataset
from garbage_synth.stages.subset import subset
from garbage_synth.stages.validate import validate
from tests.makers import DrawnDataset, drawn_dataset, write_tree

DRAWN: DrawnDataset = drawn_dataset({"train": [(48, 36)] * 12, "val": [(36, 48)] * 4}, seed=5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "dataset", DRAWN, formats=("coco", "yolo"))


def test_only_the_annotations_of_the_classes_stay(root: Path, tmp_path: Path) -> None:
    summary = subset(root, tmp_path / "out", classes=["bottle", "can"])
    made, whole = read_dataset(tmp_path / "out"), DRAWN.dataset
    assert made.categories == {1: "can", 2: "bottle"}
    for name, part in made.splits.items():
        assert part.images == whole.splits[name].images
        expected = [(e.image_id, e.bbox_xywh, e.extra) for e in whole.splits[name].annotations if e.category_id != 2]
        assert [(e.image_id, e.bbox_xywh, e.extra) for e in part.annotations] == expected
        assert [e.id for e in part.annotations] == list(range(1, len(expected) + 1))
    papers = sum(e.category_id == 2 for part in whole.splits.values() for e in part.annotations)
    assert papers
    assert summary.numbers["annotations_left_out"] == papers
    assert validate(tmp_path / "out").numbers["defects"] == []  # YOLO labels too
    assert (tmp_path / "out/data.yaml").is_file()


def test_empty_pictures_stay_or_go(root: Path, tmp_path: Path) -> None:
    kept = subset(root, tmp_path / "kept", classes=["paper"])
    gone = subset(root, tmp_path / "gone", classes=["paper"], drop_empty=True)
    assert kept.numbers["images"] == 16
    assert gone.numbers["images"] == 16 - kept.numbers["pictures_without_annotations"] < 16
    assert gone.numbers["pictures_without_annotations"] == 0
    made = read_dataset(tmp_path / "gone")
    assert {e.image_id for e in made.splits["train"].annotations} == {r.id for r in made.splits["train"].images}


@pytest.mark.parametrize(("count", "splits"), [(4, (3, 1)), (8, (6, 2)), (2, (1, 1)), (1, (1, 0)), (16, (12, 4))])
def test_a_number_is_spread_over_the_splits_and_the_same_every_time(
    root: Path, tmp_path: Path, count: int, splits: tuple[int, int]
) -> None:
    summary = subset(root, tmp_path / "a", count=count)
    assert summary.numbers["splits"] == {name: n for name, n in zip(("train", "val"), splits, strict=True) if n}
    assert len(summary.warnings) == splits.count(0) + (len(summary.numbers["splits"]) == 1)
    subset(root, tmp_path / "b", count=count)
    assert read_dataset(tmp_path / "a") == read_dataset(tmp_path / "b")


def test_another_seed_chooses_others(root: Path, tmp_path: Path) -> None:
    chosen = []
    for seed in range(3):
        subset(root, tmp_path / str(seed), count=4, seed=seed)
        chosen.append(tuple(record.file_name for record in read_dataset(tmp_path / str(seed)).splits["train"].images))
    assert len(set(chosen)) > 1


def test_hidden_items_go_and_those_of_unknown_visibility_are_counted(root: Path, tmp_path: Path) -> None:
    path = root / "annotations/instances_train.json"
    document = json.loads(path.read_text())
    for entry in document["annotations"]:
        entry["visible_fraction"] = 0.3 if entry["id"] % 2 else 0.5
    del document["annotations"][0]["visible_fraction"]
    path.write_text(json.dumps(document))
    summary = subset(root, tmp_path / "out", min_visible=0.5)
    made = read_dataset(tmp_path / "out").splits["train"].annotations
    assert [entry.extra.get("visible_fraction") for entry in made] == [None] + [0.5] * (len(made) - 1)
    assert len(made) == 1 + len(document["annotations"]) // 2
    assert summary.numbers["annotations_without_visible_fraction"] == 1


def test_one_coco_file_is_chosen_from_too(root: Path, tmp_path: Path) -> None:
    summary = subset(root / "annotations/instances_val.json", tmp_path / "out", count=2, images="hardlink")
    assert summary.numbers["splits"] == {"val": 2}
    made = next((tmp_path / "out").rglob("*.jpg"))
    assert made.stat().st_ino == (root / "images/val" / made.name).stat().st_ino


def test_wrong_input_is_refused_and_nothing_is_made(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for words, message in (
        ({}, "nothing to choose by"),
        ({"classes": ["papr"]}, "no class 'papr'; did you mean paper"),
        ({"classes": ["zzz"]}, "no class 'zzz'; known are can, paper, bottle"),
        ({"classes": []}, "no class ''"),
        ({"count": 0}, "count 0 is below 1"),
        ({"count": 17}, "only 16 pictures are left to choose 17 from"),
        ({"min_visible": 1.5}, r"min-visible 1\.5 is outside 0\.\.1"),
    ):
        with pytest.raises(InputError, match=message):
            subset(root, out, **words)  # type: ignore[arg-type]
    for split in ("train", "val"):
        path = root / f"annotations/instances_{split}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"annotations": []}))
    with pytest.raises(InputError, match="no picture is left"):
        subset(root, out, drop_empty=True)
    assert not out.exists()


def test_resume_knows_what_was_asked(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    subset(root, out, count=4, dry_run=True)
    assert not out.exists()
    subset(root, out, count=4)
    assert subset(root, out, count=4, resume=True).numbers["images"] == 4
    with pytest.raises(InputError, match="seed = 0, now it is 1"):
        subset(root, out, count=4, seed=1, resume=True)
    assert subset(root, out, count=5, overwrite=True).numbers["images"] == 5
