import json
from pathlib import Path

import pytest
import yaml

from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.dataset import read_dataset, split_files
from garbage_synth.io.output import read_manifest
from garbage_synth.stages.export import FORMATS, export
from garbage_synth.stages.validate import validate
from tests.makers import DrawnDataset, drawn_dataset, write_tree

DRAWN: DrawnDataset = drawn_dataset({"train": [(48, 36)] * 3, "val": [(36, 48)] * 2}, seed=5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "dataset", DRAWN)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


TREES = {
    "coco": {"annotations/instances_train.json", "annotations/instances_val.json", "images/train/train_0001.jpg"},
    "yolo": {"data.yaml", "labels/val/val_0002.txt", "images/val/val_0002.jpg"},
    "yolo-seg": {"data.yaml", "labels/val/val_0002.txt", "images/val/val_0002.jpg"},
    "voc": {"Annotations/val_0001.xml", "ImageSets/Main/train.txt", "JPEGImages/train_0001.jpg", "labels.txt"},
    "coco-roboflow": {"train/_annotations.coco.json", "valid/_annotations.coco.json", "valid/val_0001.jpg"},
    "hf-imagefolder": {
        "train/metadata.jsonl",
        "validation/metadata.jsonl",
        "validation/val_0001.jpg",
        "categories.json",
    },
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_lays_out_its_tree_with_the_pictures_unchanged(root: Path, tmp_path: Path, name: str) -> None:
    before = snapshot(root)
    summary = export(root, tmp_path / "out", format=name)
    files = snapshot(tmp_path / "out")
    assert set(files) >= TREES[name]
    pictures = sorted(data for path, data in files.items() if path.endswith(".jpg"))
    assert pictures == sorted(data for path, data in before.items() if path.endswith(".jpg"))
    assert summary.open_file is not None
    assert summary.open_file.is_file()
    assert summary.numbers["images"] == 5
    assert snapshot(root) == before


def test_coco_comes_back_the_same_and_sound(root: Path, tmp_path: Path) -> None:
    export(root, tmp_path / "out", format="coco")
    assert read_dataset(tmp_path / "out") == DRAWN.dataset
    assert validate(tmp_path / "out").ok


def test_roboflow_is_a_dataset_that_can_be_read_again(root: Path, tmp_path: Path) -> None:
    export(root, tmp_path / "out", format="coco-roboflow")
    again = read_dataset(tmp_path / "out")
    assert again.splits["valid"] == DRAWN.dataset.splits["val"]
    assert validate(tmp_path / "out").numbers["defects"] == []


def test_a_yolo_tree_holds_labels_for_its_pictures(root: Path, tmp_path: Path) -> None:
    export(root, tmp_path / "out", format="yolo")
    names = yaml.safe_load((tmp_path / "out/data.yaml").read_text())["names"]
    assert names == {0: "can", 1: "paper", 2: "bottle"}
    assert (tmp_path / "out/labels/train/train_0003.txt").read_text() == ""


def test_odd_ids_of_a_foreign_dataset_are_mended(root: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        path = root / f"annotations/instances_{split}.json"
        document = json.loads(path.read_text())
        for entry in document["categories"]:
            entry["id"] = 10 * (entry["id"] - 1)
        for entry in document["annotations"]:
            entry["id"] -= 1
            entry["category_id"] = 10 * (entry["category_id"] - 1)
        path.write_text(json.dumps(document))
    assert not validate(root).ok
    export(root, tmp_path / "out", format="coco")
    assert read_dataset(tmp_path / "out") == DRAWN.dataset


def test_one_coco_file_beside_its_pictures_is_exported_with_a_warning(root: Path, tmp_path: Path) -> None:
    summary = export(root / "annotations/instances_val.json", tmp_path / "out", format="yolo")
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 2
    assert summary.warnings == ("val is the only split: a yolo trainer needs another to validate on",)


def test_crowds_that_a_format_cannot_hold_are_told(root: Path, tmp_path: Path) -> None:
    path = root / "annotations/instances_train.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["iscrowd"] = 1
    path.write_text(json.dumps(document))
    assert export(root, tmp_path / "a", format="yolo").warnings == (
        "1 crowd regions are left out: yolo has no way to mark them",
    )
    assert export(root, tmp_path / "b", format="coco").warnings == ()


def test_wrong_input_is_refused_and_nothing_is_made(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown format 'pdf'; expected one of coco, yolo"):
        export(root, tmp_path / "out", format="pdf")
    with pytest.raises(InputError, match="no such dataset"):
        export(tmp_path / "none", tmp_path / "out", format="coco")
    (root / "images/val/val_0001.jpg").unlink()
    with pytest.raises(InputError, match=r"instances_val\.json: image 1: .*val_0001\.jpg does not exist"):
        export(root, tmp_path / "out", format="coco")
    assert not (tmp_path / "out").exists()


def test_a_picture_listed_twice_is_refused(root: Path, tmp_path: Path) -> None:
    path = root / "annotations/instances_val.json"
    document = json.loads(path.read_text())
    document["images"][1]["file_name"] = document["images"][0]["file_name"]
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="'val_0001.jpg' is listed twice"):
        export(root, tmp_path / "out", format="coco")


def test_an_export_into_its_source_is_refused(root: Path) -> None:
    before = snapshot(root)
    for out in (root, root / "yolo", root.parent):
        with pytest.raises(InputError):
            export(root, out, format="yolo")
    with pytest.raises(InputError):
        export(root / "annotations/instances_val.json", root, format="yolo", overwrite=True)
    assert snapshot(root) == before


def test_finished_begun_and_foreign_outputs_are_told_apart(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert not export(root, out, format="coco", dry_run=True).warnings
    assert not out.exists()
    export(root, out, format="coco")
    manifest = read_manifest(out)
    assert manifest is not None
    assert (manifest["stage"], manifest["status"]) == ("export", "finished")
    with pytest.raises(OutputExistsError):
        export(root, out, format="coco")
    with pytest.raises(InputError, match="format"):
        export(root, out, format="yolo", resume=True)
    (out / "images/val/val_0001.jpg").write_bytes(b"kept: a finished run is not touched")
    export(root, out, format="coco", resume=True)
    assert (out / "images/val/val_0001.jpg").read_bytes().startswith(b"kept")
    export(root, out, format="yolo", overwrite=True)
    assert (out / "data.yaml").is_file()
    assert not (out / "annotations").exists()


def test_an_interrupted_export_goes_on_where_it_stopped(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from garbage_synth.stages import export as module

    written: list[Path] = []
    real = module.write_bytes

    def stop_after_two(path: Path, data: bytes) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        real(path, data)

    monkeypatch.setattr(module, "write_bytes", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        export(root, tmp_path / "out", format="coco")
    copied = []
    monkeypatch.setattr(module, "write_bytes", lambda path, data: (copied.append(path), real(path, data)))
    export(root, tmp_path / "out", format="coco", resume=True)
    assert len(copied) == 3
    assert read_dataset(tmp_path / "out") == DRAWN.dataset
    assert set(split_files(tmp_path / "out")) == {"train", "val"}


def test_text_named_jpg_and_pictures_of_another_size_are_refused(root: Path, tmp_path: Path) -> None:
    path = root / "images/val/val_0001.jpg"
    whole = path.read_bytes()
    path.write_text("no picture")
    with pytest.raises(InputError, match=r"val_0001\.jpg is not a picture"):
        export(root, tmp_path / "out", format="yolo")
    path.write_bytes(whole)
    document = json.loads((root / "annotations/instances_val.json").read_text())
    document["images"][0].update(width=48, height=36)
    (root / "annotations/instances_val.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"image 1: .*val_0001\.jpg is 36x48 \(EXIF turned\), not 48x36"):
        export(root, tmp_path / "out", format="yolo")
    assert not (tmp_path / "out").exists()
