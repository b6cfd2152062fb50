import json
from pathlib import Path

import pytest
import torch

from garbage_synth.compute import device
from garbage_synth.config.detector import DetectorConfig
from garbage_synth.errors import InputError
from garbage_synth.io.images import read_rgb
from garbage_synth.run import local
from garbage_synth.stages import train_detector as module
from garbage_synth.stages.evaluate import evaluate
from garbage_synth.stages.subset import subset
from garbage_synth.stages.train_detector import train_detector
from tests.makers import drawn_dataset, write_tree

SMALL = DetectorConfig(image_px=64, batch=2, log_every=1, checkpoint_every=1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(
        tmp_path_factory.mktemp("data") / "d", drawn_dataset({"train": [(96, 64)] * 4, "val": [(96, 64)] * 2})
    )


def test_a_run_leaves_what_evaluate_takes(dataset: Path, tmp_path: Path) -> None:
    summary = train_detector(dataset, tmp_path / "run", iterations=3, config=SMALL)

    assert summary.numbers["images"] == 4
    assert summary.numbers["iterations"] == 3
    assert summary.numbers["sample_px"] == "64x32"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "checkpoint.pt",
        "config.yaml",
        "detector.safetensors",
        "garbage-synth.json",
        "stats.jsonl",
        "training_samples.jpg",
    }
    assert read_rgb(tmp_path / "run" / "training_samples.jpg").shape == (3 * 32, 4 * 64, 3)
    lines = (tmp_path / "run" / "stats.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [1, 2, 3]
    scores = evaluate(tmp_path / "run", dataset, split="val")
    assert scores.numbers["ap"] is not None


def test_epochs_are_counted_in_pictures_and_iterations_are_the_same_for_all(dataset: Path, tmp_path: Path) -> None:
    def iterations(**length: int) -> int:
        return int(train_detector(dataset, tmp_path / "x", config=SMALL, dry_run=True, **length).numbers["iterations"])

    assert iterations(epochs=3) == 6
    assert iterations(iterations=7) == 7
    assert iterations() == 80
    assert not (tmp_path / "x").exists()


def test_a_finished_run_is_found_finished_and_other_settings_are_refused(dataset: Path, tmp_path: Path) -> None:
    first = train_detector(dataset, tmp_path / "run", iterations=2, config=SMALL)
    again = train_detector(dataset, tmp_path / "run", iterations=2, config=SMALL, resume=True)
    assert again.numbers == json.loads(json.dumps(dict(first.numbers)))

    with pytest.raises(InputError, match="was begun with seed = 0, now it is 1"):
        train_detector(dataset, tmp_path / "run", iterations=2, config=SMALL, seed=1, resume=True)


def test_auto_is_float32_on_every_device(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A yardstick: rows of one table must not hang on where they were measured."""
    monkeypatch.setattr(device, "computes_bf16", lambda _: True)
    for precision, wanted in (("auto", "fp32"), ("fp32", "fp32"), ("bf16", "bf16")):
        summary = train_detector(dataset, tmp_path / precision, iterations=1, config=SMALL, precision=precision)
        assert summary.numbers["device"].endswith(wanted)
    with pytest.raises(InputError, match="fp16"):
        train_detector(dataset, tmp_path / "other", iterations=1, config=SMALL, precision="fp16")


def test_a_gpu_gets_processes_that_prepare_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    for cores, wanted in ((1, 1), (8, 6), (64, 16)):
        monkeypatch.setattr(local, "available_workers", lambda cores=cores: cores)
        assert module._loader_workers(SMALL, gpu) == wanted
        assert module._loader_workers(SMALL, cpu) == 0
    assert module._loader_workers(SMALL.model_copy(update={"loader_workers": 3}), cpu) == 3
    assert module._loader_workers(SMALL.model_copy(update={"loader_workers": 0}), gpu) == 0


def test_the_seed_decides_the_weights(dataset: Path, tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> bytes:
        train_detector(dataset, tmp_path / name, iterations=1, config=SMALL, seed=seed)
        return (tmp_path / name / "detector.safetensors").read_bytes()

    assert weights("a", 1) == weights("b", 1) != weights("c", 2)


def test_a_run_goes_on_from_another_ones_weights(dataset: Path, tmp_path: Path) -> None:
    train_detector(dataset, tmp_path / "a", iterations=2, config=SMALL)
    train_detector(dataset, tmp_path / "b", iterations=2, config=SMALL, weights=tmp_path / "a" / "detector.safetensors")

    assert json.loads((tmp_path / "b" / "garbage-synth.json").read_text())["identity"]["weights"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "yolo"}, "--model 'yolo' is unknown; give fcos-small"),
        ({"epochs": 1, "iterations": 1}, "contradict"),
        ({"iterations": 0}, "--iterations 0 must be at least 1"),
        ({"split": "test"}, "has no split 'test'; choose one of train, val"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_written(
    dataset: Path, tmp_path: Path, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train_detector(dataset, tmp_path / "run", config=SMALL, **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_a_missing_picture_and_a_dataset_without_boxes_are_refused(tmp_path: Path) -> None:
    data = write_tree(tmp_path / "d", drawn_dataset({"train": [(96, 64)] * 2, "val": [(96, 64)]}))
    with pytest.raises(InputError, match="has no boxes to learn from"):
        train_detector(data, tmp_path / "run", split="val", config=SMALL)
    (data / "images" / "train" / "train_0001.jpg").unlink()
    with pytest.raises(InputError, match=r"train_0001\.jpg does not exist"):
        train_detector(data, tmp_path / "run", config=SMALL)
    assert not (tmp_path / "run").exists()


def test_an_output_that_holds_the_pictures_of_a_coco_file_is_never_emptied(dataset: Path, tmp_path: Path) -> None:
    held = tmp_path / "held"
    subset(dataset, held, count=3)
    bare = tmp_path / "bare.json"
    document = json.loads((held / "annotations" / "instances_train.json").read_text())
    for image in document["images"]:
        image["file_name"] = f"held/images/train/{image['file_name']}"
    bare.write_text(json.dumps(document))
    first = held / "images" / "train" / document["images"][0]["file_name"].rpartition("/")[2]
    first.rename(tmp_path / first.name)
    first.symlink_to(tmp_path / first.name)
    before = {path: path.read_bytes() for path in held.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="lies inside the output"):
        train_detector(bare, held, iterations=1, config=SMALL, overwrite=True)
    run = tmp_path / "run"  # beside the file and above no picture
    assert train_detector(bare, run, iterations=1, config=SMALL).numbers["iterations"] == 1
    with pytest.raises(InputError, match="lies inside the output"):
        evaluate(run, bare, held, overwrite=True)
    assert {path: path.read_bytes() for path in held.rglob("*") if path.is_file()} == before


def test_boxes_are_cut_at_the_edge_of_the_picture() -> None:
    from garbage_synth.core.types import Annotation, ImageRecord, Split
    from garbage_synth.stages.train_detector import _labelled

    def box(number: int, *xywh: float) -> Annotation:
        return Annotation(number, 1, 5, (xywh[0], xywh[1], xywh[2], xywh[3]), 1.0, 0, None)

    split = Split(
        (ImageRecord(1, "a.jpg", 100, 80),), (box(1, -10, 5, 30, 20), box(2, 90, 70, 50, 50), box(3, 120, 0, 9, 9))
    )
    (picture,) = _labelled(split, (4, 5), {1: Path("a.jpg")})

    assert picture.boxes_xyxy.tolist() == [[0, 5, 20, 25], [90, 70, 100, 80]]
    assert picture.classes.tolist() == [1, 1]


@pytest.mark.parametrize("scale", [[0, 1], [-1, 1], [1.35, 0.75], [1, 50]])
def test_a_zoom_that_makes_no_sense_is_refused(scale: list[float]) -> None:
    with pytest.raises(ValueError, match="scale"):
        DetectorConfig.model_validate({"augment": {"scale": scale}})


def test_a_picture_damaged_inside_is_named(tmp_path: Path) -> None:
    data = write_tree(tmp_path / "d", drawn_dataset({"train": [(96, 64)] * 3}))
    path = data / "images" / "train" / "train_0002.jpg"
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes(200) + content[240:])  # its head and its end are those of a JPEG

    with pytest.raises(InputError, match=r"train_0002\.jpg"):
        train_detector(data, tmp_path / "run", iterations=4, config=SMALL)
    assert not (tmp_path / "run").exists()


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    data = write_tree(tmp_path / "d", drawn_dataset({"train": [(96, 64)] * 3}))
    (data / "images" / "train" / "train_0002.jpg").write_bytes(b"no picture")

    with pytest.raises(InputError, match=r"train_0002\.jpg"):
        train_detector(data, tmp_path / "run", iterations=4, config=SMALL)
    assert not (tmp_path / "run").exists()
