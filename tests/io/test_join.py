"""The streamed dataset is the one that is written in one go."""

import json
from pathlib import Path

import pytest

from garbage_synth.core.types import Dataset, Split
from garbage_synth.formats import coco, yolo
from garbage_synth.io.join import open_split, open_text, remove_temporaries, write_yolo_classes
from tests.makers import drawn_dataset

DRAWN = drawn_dataset({"train": [(48, 36)] * 4, "val": [(36, 48)]}).dataset


def join(root: Path, dataset: Dataset, formats: tuple[str, ...]) -> None:
    for name, split in dataset.splits.items():
        with open_split(root, name, dataset, formats=formats) as writer:
            for record in split.images:
                writer.add(record, [entry for entry in split.annotations if entry.image_id == record.id])


def test_streamed_annotations_equal_the_whole(tmp_path: Path) -> None:
    join(tmp_path, DRAWN, ("coco", "yolo"))
    write_yolo_classes(tmp_path, DRAWN)
    for split in ("train", "val"):
        found = json.loads((tmp_path / f"annotations/instances_{split}.json").read_text(encoding="utf-8"))
        assert found == coco.encode(DRAWN, split)
    for name, text in yolo.encode(DRAWN).items():
        assert (tmp_path / name).read_text(encoding="utf-8") == text


def test_empty_split_is_a_whole_file(tmp_path: Path) -> None:
    empty = Dataset(DRAWN.categories, {"val": Split((), ())})
    join(tmp_path, empty, ("coco",))
    found = json.loads((tmp_path / "annotations/instances_val.json").read_text(encoding="utf-8"))
    assert found == coco.encode(empty, "val")
    assert not (tmp_path / "labels").exists()


def test_text_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fail() -> None:
        with open_text(tmp_path / "sub" / "a.txt") as stream:
            stream.write("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list((tmp_path / "sub").iterdir()) == []


def test_only_our_temporaries_are_removed(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in (".ab12.tmp", "images/.cd34.tmp", "images/a.tmp", ".keep"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".keep", "a.tmp", "images"]
