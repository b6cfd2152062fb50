import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from garbage_synth.config.detector import DetectorConfig
from garbage_synth.core.types import Split
from garbage_synth.detect.detections import Detections, by_score
from garbage_synth.detect.detector import DETECTOR_FILE, DetectorCard, save_detector
from garbage_synth.detect.models import build_detector
from garbage_synth.detect.resampled import RESAMPLES
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.images import read_rgb
from garbage_synth.stages import evaluate as stage_module
from garbage_synth.stages.evaluate import evaluate
from garbage_synth.stages.pipeline import run_pipeline
from tests.makers import DrawnDataset, drawn_dataset, write_tree

NAMES = ("paper", "glass", "bottle", "can")
DRAWN = drawn_dataset({"test": [(96, 64)] * 6, "train": [(96, 64)] * 2}, seed=2)
FILES = ["detections.jpg", "detections.json", "garbage-synth.json", "metrics.json", "precision_recall.png"]


class Fake:
    """Knows each picture's boxes by its pixels; tells them as they are, but for those that `spoil` changes."""

    def __init__(self, truth: Path, names: Sequence[str] = NAMES) -> None:
        self.class_names = tuple(names)
        self.batches: list[int] = []
        self.spoil: dict[str, Detections] = {}
        self._known: dict[bytes, Detections] = {}
        self._keys: dict[str, bytes] = {}
        for split, part in DRAWN.dataset.splits.items():
            for record in part.images:
                own = [one for one in part.annotations if one.image_id == record.id]
                boxes = [(x, y, x + w, y + h) for x, y, w, h in (one.bbox_xywh for one in own)]
                classes = [NAMES.index(DRAWN.dataset.categories[one.category_id]) for one in own]
                key = read_rgb(truth / "images" / split / record.file_name).tobytes()
                self._known[key] = by_score(boxes, classes, np.linspace(0.9, 0.8, len(own)))
                self._keys[record.file_name] = key

    def detect(self, pictures_rgb: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.batches.append(len(pictures_rgb))
        known = self._known | {self._keys[name]: own for name, own in self.spoil.items()}
        return [known[picture.tobytes()] for picture in pictures_rgb]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("evaluate") / "truth", DRAWN)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / DETECTOR_FILE).write_bytes(b"weights")
    return tmp_path / "run"


@pytest.fixture
def fake(truth: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    detector = Fake(truth)
    monkeypatch.setattr(stage_module, "load_detector", lambda run, device: detector)
    return detector


def tree_with(root: Path, splits: dict[str, Split]) -> Path:
    """A copy of the drawn dataset with other splits, whose pictures are those of test."""
    pixels = {(name, record.id): DRAWN.pixels["test", record.id] for name in splits for record in splits[name].images}
    return write_tree(root, DrawnDataset(replace(DRAWN.dataset, splits=splits), pixels))


def test_a_detector_that_is_right_scores_1_and_nothing_is_written_without_out(
    run: Path, truth: Path, fake: Fake, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    summary = evaluate(run, truth)
    numbers = summary.numbers
    assert (numbers["ap"], numbers["ap50"], numbers["ap75"], numbers["ar100"]) == (1, 1, 1, 1)
    test = DRAWN.dataset.splits["test"]
    assert (numbers["images"], numbers["annotations"], numbers["split"]) == (6, len(test.annotations), "test")
    assert sum(group["instances"] for group in numbers["per_class"].values()) == len(test.annotations)
    assert numbers["by_visible"]["from 0.9"]["ap"] == 1
    assert numbers["detector_classes"] == list(NAMES)
    assert "compares datasets" in numbers["yardstick"]
    assert summary.warnings == ("the truth has no class glass: such detections are left out",)
    assert (summary.out, summary.open_file) == (None, None)
    assert sorted(tmp_path.rglob("*")) == before
    assert fake.batches == [4, 2]
    json.dumps(numbers, allow_nan=False)


def test_the_folder_holds_numbers_detections_curves_and_pictures(
    run: Path, truth: Path, fake: Fake, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    summary = evaluate(run, truth, out, split="test")
    assert sorted(path.name for path in out.iterdir()) == FILES  # no misses where there are none
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["ap"] == 1
    assert metrics["ap_interval"] is None  # too few pictures
    assert metrics["ap_resampled"] == [1] * RESAMPLES
    assert len(metrics["curves"]["iou_0.50"]["can"]) == 101
    assert metrics["settings"]["split"] == "test"
    assert "device" not in metrics
    results = json.loads((out / "detections.json").read_text())
    real = DRAWN.dataset.splits["test"].annotations
    truth_boxes = sorted((one.image_id, one.category_id, *one.bbox_xywh) for one in real)
    assert sorted((one["image_id"], one["category_id"], *one["bbox"]) for one in results) == truth_boxes
    assert summary.open_file == out / "detections.jpg"
    assert read_rgb(out / "precision_recall.png").shape == (420, 1120, 3)
    assert read_rgb(out / "detections.jpg").shape[1] == 2 * (96 + 4)  # two columns
    again = evaluate(run, truth, out, split="test", resume=True)
    assert again.numbers == summary.numbers
    assert len(fake.batches) == 2  # a finished one is not computed again


def test_the_worst_pictures_are_drawn_first(run: Path, truth: Path, fake: Fake, tmp_path: Path) -> None:
    fake.spoil["test_0002.jpg"] = by_score([], [], [])
    fake.spoil["test_0006.jpg"] = by_score([(5, 5, 40, 30)] * 3, [0, 2, 3], [0.95, 0.94, 0.93])
    summary = evaluate(run, truth, tmp_path / "out")
    assert summary.open_file == tmp_path / "out/misses.jpg"
    assert summary.numbers["ap50"] < 1
    drawn = read_rgb(tmp_path / "out/misses.jpg").astype(int)
    false, missed = (np.abs(drawn - colour).max(axis=2)[40:] < 40 for colour in ((255, 160, 30), (240, 50, 50)))
    middle = drawn.shape[1] // 2
    assert false[:, :middle].sum() > 50 > false[:, middle:].sum()  # three errors come before two
    assert missed[:, middle:].sum() > 50


@pytest.mark.parametrize(
    ("splits", "chosen"),
    [(["train", "test", "val"], "test"), (["train", "val"], "val"), (["devtest"], "devtest")],
)
def test_the_split_is_the_only_one_else_test_else_val(
    run: Path, fake: Fake, tmp_path: Path, splits: list[str], chosen: str
) -> None:
    root = tree_with(tmp_path / "tree", dict.fromkeys(splits, DRAWN.dataset.splits["test"]))
    assert evaluate(run, root, dry_run=True).numbers["split"] == chosen
    assert fake.batches == []


def test_a_split_that_is_not_told_or_not_there_is_asked_for(run: Path, fake: Fake, tmp_path: Path) -> None:
    root = tree_with(tmp_path / "tree", dict.fromkeys(["a", "b"], DRAWN.dataset.splits["test"]))
    with pytest.raises(InputError, match="has no split test or val; choose one of a, b"):
        evaluate(run, root)
    with pytest.raises(InputError, match="has no split 'test'; choose one of a, b"):
        evaluate(run, root, split="test")


def test_names_that_differ_are_mapped_or_refused(run: Path, truth: Path, fake: Fake, tmp_path: Path) -> None:
    fake.class_names = ("Paper", "glass", "bottle", "can")
    with pytest.raises(InputError, match="the detector has no class paper.*--map paper=Paper"):
        evaluate(run, truth, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    numbers = evaluate(run, truth, class_map={"paper": "Paper"}).numbers
    assert numbers["ap"] == 1
    assert set(numbers["per_class"]) == {"Paper", "bottle", "can"}
    part = evaluate(run, truth, tmp_path / "part", classes=["can"]).numbers
    assert set(part["per_class"]) == {"can"}
    assert part["annotations"] == part["per_class"]["can"]["instances"]
    assert {one["category_id"] for one in json.loads((tmp_path / "part/detections.json").read_text())} == {1}


def test_class_agnostic_needs_no_names(run: Path, truth: Path, fake: Fake, tmp_path: Path) -> None:
    fake.class_names = ("a", "b", "c", "d")
    summary = evaluate(run, truth, tmp_path / "out", class_agnostic=True)
    assert summary.numbers["ap"] == 1
    assert set(summary.numbers["per_class"]) == {"any"}
    assert summary.warnings == ()
    assert {one["category_id"] for one in json.loads((tmp_path / "out/detections.json").read_text())} == {1}


def test_a_truth_without_boxes_is_told(run: Path, fake: Fake, tmp_path: Path) -> None:
    root = tree_with(tmp_path / "tree", {"test": replace(DRAWN.dataset.splits["test"], annotations=())})
    summary = evaluate(run, root, tmp_path / "out")
    assert summary.numbers["ap"] is None
    assert any("no box to score" in warning for warning in summary.warnings)
    assert (tmp_path / "out/precision_recall.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"overwrite": True}, "--overwrite and --resume are about the folder of --out"),
        ({"class_agnostic": True, "class_map": {"can": "can"}}, "contradict"),
        ({"device": "tpu"}, "--device 'tpu' is unknown"),
    ],
)
def test_what_cannot_be_is_refused(run: Path, truth: Path, fake: Fake, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        evaluate(run, truth, **arguments)


def test_another_detector_or_truth_is_another_evaluation(run: Path, truth: Path, fake: Fake, tmp_path: Path) -> None:
    evaluate(run, truth, tmp_path / "out", classes=["can"])
    with pytest.raises(OutputExistsError, match="holds a finished evaluate run"):
        evaluate(run, truth, tmp_path / "out", classes=["can"])
    with pytest.raises(InputError, match="was begun with classes"):
        evaluate(run, truth, tmp_path / "out", resume=True)
    (run / DETECTOR_FILE).write_bytes(b"other")
    with pytest.raises(InputError, match="was begun with detector"):
        evaluate(run, truth, tmp_path / "out", classes=["can"], resume=True)
    with pytest.raises(InputError, match="lies inside the input"):
        evaluate(run, truth, run / "out")


def test_a_pipeline_may_evaluate(
    run: Path, truth: Path, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUTH", str(truth))
    (tmp_path / "p.yaml").write_text(
        "out: out\nstages: [{stage: evaluate, run: run, truth: '${TRUTH}', map: can=can, classes: 'can,paper'}]\n"
    )
    numbers = run_pipeline(tmp_path / "p.yaml").numbers["stages"]["evaluate"]
    assert numbers["ap"] == 1
    assert set(numbers["per_class"]) == {"can", "paper"}
    assert run_pipeline(tmp_path / "p.yaml").numbers["stages"]["evaluate"]["unchanged"]


def test_a_trained_detector_is_asked_and_its_answers_scored(truth: Path, tmp_path: Path) -> None:
    config = DetectorConfig(image_px=64)
    torch.manual_seed(0)
    network = build_detector("fcos-small", 3, config)
    (tmp_path / "run").mkdir()
    save_detector(tmp_path / "run", network, DetectorCard("fcos-small", ("can", "paper", "bottle"), 1, config))
    numbers = evaluate(tmp_path / "run", truth, tmp_path / "out", device="cpu").numbers
    assert 0 <= numbers["ap"] < 0.5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*FILES, "misses.jpg"])
    with pytest.raises(InputError, match="finished train-detector"):
        evaluate(truth, truth)
