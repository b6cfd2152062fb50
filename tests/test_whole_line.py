"""The whole line on a few of the sample photos: every stage for real, then a detector that learns from the output."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from garbage_synth.stages.pipeline import run_pipeline
from garbage_synth.stages.validate import validate
from tests.consumers import perfect_score, train_detector

SAMPLE_DATA = Path(__file__).resolve().parents[1] / "sample_data"
CLASSES = ("beverage_carton", "metal_can")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a pipeline over six photos, two belts and four real frames."""
    root = tmp_path_factory.mktemp("line")
    for category in CLASSES:
        (root / "photos" / category).mkdir(parents=True)
        for photo in sorted((SAMPLE_DATA / "photos" / category).glob("*.jpg"))[:3]:
            shutil.copy(photo, root / "photos" / category)
    for folder, source, count in (("belts", "belts", 4), ("real", "real/images/train", 4)):
        (root / folder).mkdir()
        for path in sorted((SAMPLE_DATA / source).iterdir())[:count]:
            shutil.copy(path, root / folder)
    small = {"base_channels": 4, "discriminator_channels": 4}
    stages = [
        {"name": "crops", "stage": "segment", "photos": "photos"},
        {
            "name": "dataset",
            "stage": "composite",
            "crops": "${stages.crops.out}",
            "backgrounds": "belts",
            "count": 6,
            "size": "320x240",
            "items": "2..4",
            "format": "coco,yolo",
        },
        {
            "name": "gan",
            "stage": "train-gan",
            "synthetic": "${stages.dataset.out}",
            "real": "real",
            "generator": "resnet6",
            "crop": 64,
            "steps": 2,
            "device": "cpu",
            "config": small,
        },
        {
            "name": "refined",
            "stage": "refine",
            "dataset": "${stages.dataset.out}",
            "generator": "${stages.gan.out}",
            "on_drift": "keep",  # a generator of a few steps draws nothing
        },
        {"name": "check", "stage": "validate", "dataset": "${stages.refined.out}"},
        {"name": "report", "stage": "report", "datasets": ["${stages.dataset.out}", "${stages.refined.out}"]},
    ]
    pipeline = root / "line.yaml"
    pipeline.write_text(yaml.safe_dump({"out": "out", "stages": stages}))
    summary = run_pipeline(pipeline, workers=1)
    assert summary.ok
    assert summary.open_file is not None
    assert summary.open_file.is_file()
    return root / "out"


@pytest.mark.parametrize("split", ["train", "val"])
def test_refined_labels_are_those_of_the_composite(line: Path, split: str) -> None:
    before, after = (
        json.loads((line / name / "annotations" / f"instances_{split}.json").read_text())
        for name in ("dataset", "refined")
    )
    assert before["annotations"]
    assert all(entry.pop("fidelity")["status"] for entry in after["annotations"])
    for image in after["images"]:
        image.pop("fidelity", None)
    assert after["annotations"] == before["annotations"]
    assert after["images"] == before["images"]
    assert after["categories"] == before["categories"]
    assert [(category["id"], category["name"]) for category in after["categories"]] == list(enumerate(CLASSES, start=1))


def test_pictures_are_rewritten_and_keep_their_names(line: Path) -> None:
    for path in (line / "dataset" / "images").glob("*/*.jpg"):
        refined = line / "refined" / path.relative_to(line / "dataset")
        assert refined.is_file()
        assert refined.read_bytes() != path.read_bytes()


def test_a_label_that_lies_is_found(line: Path, tmp_path: Path) -> None:
    shutil.copytree(line / "refined", tmp_path / "bent")
    annotations = tmp_path / "bent" / "annotations" / "instances_train.json"
    document = json.loads(annotations.read_text())
    document["annotations"][0]["bbox"][0] += 5
    annotations.write_text(json.dumps(document))
    assert not validate(tmp_path / "bent").ok


@pytest.mark.parametrize("split", ["train", "val"])
def test_refined_dataset_scores_perfectly_against_itself(line: Path, split: str) -> None:
    precision, recall = perfect_score(line / "refined" / "annotations" / f"instances_{split}.json", "segm")
    assert precision == pytest.approx(1.0)
    assert recall == pytest.approx(1.0)


@pytest.mark.slow
def test_a_detector_learns_from_the_refined_dataset(line: Path) -> None:
    losses = train_detector(line / "refined", "train", steps=10, batch=4)
    assert losses[-1] < 0.8 * losses[0]
