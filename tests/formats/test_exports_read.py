"""Every export in the hands of the reader that its users have: what comes back is what was drawn."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from garbage_synth.core.masks import mask_of_segmentation
from garbage_synth.core.types import Annotation, ImageRecord
from garbage_synth.stages.export import export
from tests.consumers import perfect_score
from tests.makers import DrawnDataset, drawn_dataset, write_tree

DRAWN: DrawnDataset = drawn_dataset({"train": [(128, 96)] * 5, "val": [(96, 128)] * 3}, seed=3)
SPLITS = DRAWN.dataset.splits
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("read") / "tree", DRAWN)


def items(split: str, record: ImageRecord) -> list[Annotation]:
    return [entry for entry in SPLITS[split].annotations if entry.image_id == record.id]


def corners(entry: Annotation) -> list[float]:
    x, y, width, height = entry.bbox_xywh
    return [x, y, x + width, y + height]


def same_boxes(found: Any, split: str, record: ImageRecord) -> None:
    """found: a supervision Detections, boxes x0, y0, x1, y1 in pixels and classes from 0."""
    expected = sorted([*corners(entry), entry.category_id - 1] for entry in items(split, record))
    boxes = sorted([*box, label] for box, label in zip(found.xyxy.tolist(), found.class_id.tolist(), strict=True))
    assert len(boxes) == len(expected)
    if expected:
        np.testing.assert_allclose(boxes, expected, atol=0.01)


def test_roboflow_by_pycocotools_and_torchvision(tree: Path, tmp_path: Path) -> None:
    from torchvision.datasets import CocoDetection

    export(tree, tmp_path / "out", format="coco-roboflow")
    for split, folder in (("train", "train"), ("val", "valid")):
        labels = tmp_path / "out" / folder / "_annotations.coco.json"
        assert perfect_score(labels, "segm") == (pytest.approx(1), pytest.approx(1))
        reader = CocoDetection(str(labels.parent), str(labels))
        for (picture, target), record in zip(reader, SPLITS[split].images, strict=True):
            assert picture.size == (record.width, record.height)
            assert [tuple(entry["bbox"]) for entry in target] == [e.bbox_xywh for e in items(split, record)]


def test_pascal_voc_by_torchvision(tree: Path, tmp_path: Path) -> None:
    from torchvision.datasets import VOCDetection

    export(tree, tmp_path / "VOCdevkit/VOC2012", format="voc")
    for split, content in SPLITS.items():
        reader = VOCDetection(str(tmp_path), year="2012", image_set=split)
        for (picture, target), record in zip(reader, content.images, strict=True):
            assert picture.size == (record.width, record.height)
            found = []
            for entry in target["annotation"].get("object", []):
                x0, y0, x1, y1 = (float(entry["bndbox"][edge]) for edge in ("xmin", "ymin", "xmax", "ymax"))
                found.append((entry["name"], [x0 - 1, y0 - 1, x1, y1]))  # VOC counts from 1, both ends included
            names = DRAWN.dataset.categories
            assert found == [(names[entry.category_id], corners(entry)) for entry in items(split, record)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", ["yolo", "yolo-seg"])
def test_yolo_by_supervision_from_any_folder(tree: Path, tmp_path: Path, format: str, monkeypatch: Any) -> None:
    import supervision

    export(tree, tmp_path / "made", format=format)
    (tmp_path / "made").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    for split, content in SPLITS.items():
        reader = supervision.DetectionDataset.from_yolo(
            f"images/{split}", f"labels/{split}", "data.yaml", force_masks=format == "yolo-seg"
        )
        assert reader.classes == list(DRAWN.dataset.categories.values())
        found = {Path(path).name: detections for path, _, detections in reader}
        for record in content.images:
            if format == "yolo":
                same_boxes(found[record.file_name], split, record)
                continue
            masks = found[record.file_name].mask
            for number, entry in enumerate(items(split, record)):
                expected = mask_of_segmentation(entry.segmentation, (record.height, record.width))
                joint = (masks[number] & expected).sum() / (masks[number] | expected).sum()
                assert joint > 0.85  # supervision fills the corners' pixels, half a pixel more all round


@pytest.mark.filterwarnings("ignore")
def test_pascal_voc_by_supervision(tree: Path, tmp_path: Path) -> None:
    import supervision

    export(tree, tmp_path / "out", format="voc")
    reader = supervision.DetectionDataset.from_pascal_voc(
        str(tmp_path / "out/JPEGImages"), str(tmp_path / "out/Annotations")
    )
    found = {Path(path).name: detections for path, _, detections in reader}
    for split, content in SPLITS.items():
        for record in content.images:
            expected = sorted(corners(entry) for entry in items(split, record))
            assert sorted(found[record.file_name].xyxy.tolist()) == expected


@pytest.mark.filterwarnings("ignore")
def test_imagefolder_and_shards_by_datasets(tree: Path, tmp_path: Path) -> None:
    import datasets

    export(tree, tmp_path / "folder", format="hf-imagefolder")
    export(tree, tmp_path / "shards", format="webdataset", shard_size=2)
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "folder"), cache_dir=str(tmp_path / "a"))
    for split, name in (("train", "train"), ("val", "validation")):
        rows = {row["image_id"]: row for row in loaded[name]}
        for record in SPLITS[split].images:
            row = rows[record.id]
            assert row["image"].size == (record.width, record.height)
            assert [tuple(box) for box in row["objects"]["bbox"]] == [e.bbox_xywh for e in items(split, record)]
            assert row["objects"]["category"] == [e.category_id - 1 for e in items(split, record)]
    loaded = datasets.load_dataset("webdataset", data_dir=str(tmp_path / "shards"), cache_dir=str(tmp_path / "b"))
    for split, name in (("train", "train"), ("val", "validation")):
        for row, record in zip(loaded[name], SPLITS[split].images, strict=True):
            sample = row["json"] if isinstance(row["json"], dict) else json.loads(row["json"])
            assert isinstance(row["jpg"], Image.Image)
            assert row["jpg"].size == (record.width, record.height)
            assert [tuple(e["bbox"]) for e in sample["annotations"]] == [e.bbox_xywh for e in items(split, record)]
