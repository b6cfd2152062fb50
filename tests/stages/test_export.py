import errno
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.dataset import read_dataset, split_files
from garbage_synth.io.output import read_manifest
from garbage_synth.stages.export import FORMATS, export
from garbage_synth.stages.subset import subset
from garbage_synth.stages.validate import validate
from tests.makers import DrawnDataset, drawn_dataset, write_tree

DRAWN: DrawnDataset = drawn_dataset({"train": [(48, 36)] * 3, "val": [(36, 48)] * 2}, seed=5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "dataset", DRAWN)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(content: bytes) -> list[bytes]:
    """The pictures in a tar file."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [member for member in archive.getmembers() if member.name.endswith(".jpg")]
        return [archive.extractfile(member).read() for member in members]  # type: ignore[union-attr]


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
    "webdataset": {"train-000000.tar", "val-000000.tar", "dataset.json"},
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_lays_out_its_tree_with_the_pictures_unchanged(root: Path, tmp_path: Path, name: str) -> None:
    before = snapshot(root)
    summary = export(root, tmp_path / "out", format=name)
    files = snapshot(tmp_path / "out")
    assert set(files) >= TREES[name]
    packed = [data for path, content in files.items() if path.endswith(".tar") for data in unpacked(content)]
    pictures = sorted(packed + [data for path, data in files.items() if path.endswith(".jpg")])
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


def test_an_export_into_the_picture_folder_of_a_bare_coco_file_is_refused(root: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    shutil.copy(root / "annotations/instances_val.json", labels)
    pictures = tmp_path / "images"
    shutil.copytree(root / "images/val", pictures)
    with pytest.raises(InputError, match=f"lies inside the input {pictures}"):
        export(labels, pictures / "out", format="yolo")
    with pytest.raises(InputError, match=f"lies inside the input {pictures}"):
        subset(labels, pictures / "out", count=1)
    assert not (pictures / "out").exists()
    export(labels, tmp_path / "out", format="yolo")


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
    from garbage_synth.io import pictures as module

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


def test_a_jpeg_that_is_cut_short_is_refused(root: Path, tmp_path: Path) -> None:
    path = root / "images/val/val_0001.jpg"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(InputError, match=r"val_0001\.jpg is damaged"):
        export(root, tmp_path / "out", format="coco")
    assert not (tmp_path / "out").exists()
    path.write_bytes(whole + b"what some cameras put behind the picture")
    assert export(root, tmp_path / "out", format="coco").numbers["images"] == 5


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "webdataset"])
def test_hard_links_are_the_same_files(root: Path, tmp_path: Path, name: str) -> None:
    export(root, tmp_path / "copy", format=name)
    export(root, tmp_path / "link", format=name, images="hardlink")
    assert set(snapshot(tmp_path / "link")) == set(snapshot(tmp_path / "copy"))
    sources = {path.stat().st_ino for path in root.rglob("*.jpg")}
    assert {path.stat().st_ino for path in (tmp_path / "link").rglob("*.jpg")} == sources
    assert {path.stat().st_ino for path in (tmp_path / "copy").rglob("*.jpg")}.isdisjoint(sources)


def test_hard_links_that_cannot_be_are_one_line_and_a_copy_goes_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="unknown images 'symlink'; expected one of copy, hardlink"):
        export(root, tmp_path / "out", format="coco", images="symlink")
    with pytest.raises(InputError, match="webdataset packs the pictures into tar files.*--images copy"):
        export(root, tmp_path / "out", format="webdataset", images="hardlink")
    assert not (tmp_path / "out").exists()

    def other_file_system(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_file_system)
    with pytest.raises(InputError, match=r"train_0001\.jpg cannot be hard-linked into .*give --images copy"):
        export(root, tmp_path / "out", format="coco", images="hardlink")
    export(root, tmp_path / "out", format="coco", resume=True)
    assert validate(tmp_path / "out").ok


@pytest.mark.skipif(
    not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == Path("/tmp").stat().st_dev,
    reason="no second file system at hand",
)
def test_hard_links_across_file_systems_are_refused_before_anything_is_made(root: Path) -> None:
    out = Path("/dev/shm") / f"garbage-synth-test-{os.getpid()}"
    with pytest.raises(InputError, match="another file system"):
        export(root, out, format="coco", images="hardlink", dry_run=True)
    assert not out.exists()


def test_shards_hold_as_many_images_as_asked_and_are_the_same_bytes_every_time(root: Path, tmp_path: Path) -> None:
    export(root, tmp_path / "a", format="webdataset", shard_size=2)
    os.utime(root / "images/train/train_0001.jpg", (0, 0))
    export(root, tmp_path / "b", format="webdataset", shard_size=2)
    one, other = snapshot(tmp_path / "a"), snapshot(tmp_path / "b")
    assert one == other
    shards = ["train-000000.tar", "train-000001.tar", "val-000000.tar"]
    assert sorted(one) == ["dataset.json", "garbage-synth.json", *shards]
    assert [len(unpacked(one[shard])) for shard in shards] == [2, 1, 2]
    assert json.loads(one["dataset.json"])["splits"]["train"] == {"images": 3, "shards": shards[:2]}
    with pytest.raises(InputError, match="shard_size = 2, now it is 3"):
        export(root, tmp_path / "a", format="webdataset", shard_size=3, resume=True)
    with pytest.raises(InputError, match="shard size 0 is below 1"):
        export(root, tmp_path / "c", format="webdataset", shard_size=0)
    with pytest.raises(InputError, match="--shard-size is for webdataset; yolo has no shards"):
        export(root, tmp_path / "c", format="yolo", shard_size=3)


def test_an_interrupted_webdataset_keeps_its_whole_shards(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from garbage_synth.stages import layout as module

    real, written = module.write_tar, []

    def stop_at_second(path: Path, members: object) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(path)
        real(path, members)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "write_tar", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        export(root, tmp_path / "out", format="webdataset", shard_size=2)
    again: list[Path] = []
    monkeypatch.setattr(module, "write_tar", lambda path, members: (again.append(path), real(path, members)))
    export(root, tmp_path / "out", format="webdataset", shard_size=2, resume=True)
    assert [path.name for path in again] == ["train-000001.tar", "val-000000.tar"]
    export(root, tmp_path / "whole", format="webdataset", shard_size=2)
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def test_supercategories_are_carried_through_except_where_rf_detr_would_be_misled(root: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        path = root / f"annotations/instances_{split}.json"
        document = json.loads(path.read_text())
        document["categories"][1] |= {"supercategory": "can", "color": [1, 2, 3]}
        path.write_text(json.dumps(document))

    def categories(path: Path) -> list[dict[str, object]]:
        return list(json.loads(path.read_text())["categories"])

    export(root, tmp_path / "coco", format="coco")
    export(root, tmp_path / "rf", format="coco-roboflow")
    written = categories(tmp_path / "coco/annotations/instances_val.json")
    assert written[1] == {"id": 2, "name": "paper", "supercategory": "can", "color": [1, 2, 3]}
    assert written[0] == {"id": 1, "name": "can", "supercategory": "item"}
    assert {entry["supercategory"] for entry in categories(tmp_path / "rf/valid/_annotations.coco.json")} == {"item"}
