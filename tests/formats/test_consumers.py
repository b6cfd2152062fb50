"""Our files in the hands of pycocotools and torchvision; beside them the traps that other files set these readers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from garbage_synth.core.masks import mask_of_segmentation
from garbage_synth.formats.coco_check import check_document
from tests.consumers import detection_set, perfect_score, train_detector
from tests.makers import DrawnDataset, drawn_dataset, write_tree


@pytest.fixture(scope="module")
def drawn() -> DrawnDataset:
    return drawn_dataset({"train": [(128, 96)] * 6, "val": [(96, 128)] * 3}, seed=3)


@pytest.fixture(scope="module")
def root(drawn: DrawnDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("tree"), drawn)


@pytest.fixture
def changed(root: Path, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """Writes the train document after a change to it."""

    def write(change: Callable[[dict[str, Any]], None]) -> Path:
        document = json.loads((root / "annotations/instances_train.json").read_text())
        change(document)
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(document))
        return path

    return write


def defects(path: Path) -> list[str]:
    return [str(finding) for finding in check_document(json.loads(path.read_text()), "f") if finding.defect]


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("task", ["bbox", "segm"])
def test_pycocotools_gives_perfect_predictions_a_perfect_score(root: Path, split: str, task: str) -> None:
    assert perfect_score(root / f"annotations/instances_{split}.json", task) == (pytest.approx(1), pytest.approx(1))


def test_annotation_id_0_lowers_the_score_silently_and_is_a_defect(changed: Any) -> None:
    def count_from_zero(document: dict[str, Any]) -> None:
        for index, entry in enumerate(document["annotations"]):
            entry["id"] = index

    path = changed(count_from_zero)
    assert perfect_score(path)[0] < 0.99
    assert any("annotation 0: id is below 1" in line for line in defects(path))


@pytest.mark.parametrize("key", ["iscrowd", "area"])
def test_a_missing_iscrowd_or_area_breaks_the_evaluation_and_is_a_defect(changed: Any, key: str) -> None:
    path = changed(lambda document: document["annotations"][0].pop(key))
    with pytest.raises(KeyError):
        perfect_score(path)
    assert any(f"annotation 1: {key} is missing" in line for line in defects(path))


def test_missing_categories_break_the_evaluation_and_are_a_defect(changed: Any) -> None:
    path = changed(lambda document: document.pop("categories"))
    with pytest.raises(KeyError):
        perfect_score(path)
    assert defects(path) == ["f: no list 'categories'; COCO readers fail without it"]


def test_missing_info_and_licenses_are_worth_a_warning_only(changed: Any) -> None:
    path = changed(lambda document: (document.pop("info"), document.pop("licenses")))
    assert perfect_score(path)[0] == pytest.approx(1)
    assert defects(path) == []


@pytest.mark.parametrize(("segmentation", "error"), [([], IndexError), ([[]], Exception), ([[1, 1, 5, 5]], TypeError)])
def test_an_empty_or_two_point_segmentation_breaks_masks_and_is_a_defect(
    changed: Any, segmentation: Any, error: type[Exception]
) -> None:
    path = changed(lambda document: document["annotations"][0].update(segmentation=segmentation))
    reader = COCO(str(path))
    with pytest.raises(error):
        reader.annToMask(reader.dataset["annotations"][0])
    assert any("annotation 1: segmentation: " in line for line in defects(path))


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools under numpy 2
def test_pycocotools_sees_the_masks_that_were_drawn(drawn: DrawnDataset, root: Path) -> None:
    reader = COCO(str(root / "annotations/instances_train.json"))
    for entry in drawn.dataset.splits["train"].annotations:
        mask = reader.annToMask(reader.loadAnns(entry.id)[0])
        assert np.array_equal(mask.astype(bool), mask_of_segmentation(entry.segmentation, mask.shape))


def test_torchvision_reads_boxes_and_labels(drawn: DrawnDataset, root: Path) -> None:
    dataset = detection_set(root, "train")
    _, target = dataset[0]
    expected = [entry for entry in drawn.dataset.splits["train"].annotations if entry.image_id == 1]
    assert target["labels"].tolist() == [entry.category_id for entry in expected]
    corners = [[x, y, x + w, y + h] for x, y, w, h in (entry.bbox_xywh for entry in expected)]
    assert target["boxes"].tolist() == corners


def test_torchvision_gives_a_picture_without_items_no_boxes_so_scripts_must_fill_them_in(root: Path) -> None:
    dataset = detection_set(root, "train")
    assert set(dataset[len(dataset) - 1][1]) == {"image_id"}


def test_a_torchvision_detector_learns_in_ten_steps(root: Path) -> None:
    losses = train_detector(root)
    assert all(np.isfinite(losses))
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
