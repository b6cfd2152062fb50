"""The scripts that run in our own environment, by the commands of the guide, and what all scripts share."""

import copy
import re
import runpy
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.scripts import GUIDE, ROOT, SCRIPTS, commands, counts, last_line, made_dataset, script_arguments

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_dataset(tmp_path_factory.mktemp("detectors"))


@pytest.fixture
def handover(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(SCRIPTS)
    import handover

    return handover


@pytest.fixture
def run(handover: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a script in this process, which has loaded its libraries already, and gives its last line."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    for name in ("HF_HUB_OFFLINE", "YOLO_OFFLINE"):
        monkeypatch.setenv(name, "1")  # what the script sets is taken back

    def call(name: str, *arguments: str) -> Any:
        path = SCRIPTS / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *arguments])
        runpy.run_path(str(path), run_name="__main__")
        return last_line(capsys.readouterr().out)

    return call


def assert_counts(result: Any, dataset: Path) -> None:
    for split, (pictures, boxes) in counts(dataset).items():
        assert (result[split]["pictures"], result[split]["boxes"]) == (pictures, boxes)
        assert result[split]["error_px"] < 0.01


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_torchvision_trains_and_scores_by_the_command_of_the_guide(run: Run, dataset: Path, tmp_path: Path) -> None:
    import torch

    result = run("torchvision_ssdlite", *script_arguments("torchvision_ssdlite", dataset, tmp_path / "run"))
    assert_counts(result, dataset)
    assert result["labels"]["AP"] == 1
    assert 0 <= result["found"]["AP"] <= 1
    assert all(0 < loss < 100 for loss in result["loss"])
    state = torch.load(tmp_path / "run" / "model.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in state.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_torchvision_begins_with_weights_that_lie_in_its_cache(
    run: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from torchvision.models import mobilenet_v3_large

    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    weights = mobilenet_v3_large().state_dict()
    weights["features.0.0.weight"].fill_(7)
    torch.save(weights, cache / "mobilenet_v3_large-5c1a4163.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    run("torchvision_ssdlite", str(dataset), "--out", str(tmp_path / "run"), "--epochs", "1", "--pretrained")
    state = torch.load(tmp_path / "run" / "model.pt", weights_only=True)
    assert (state["backbone.features.0.0.0.weight"] - 7).abs().max() < 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["read_supervision", "read_hf_datasets"])
def test_readers_give_every_picture_and_box_by_the_command_of_the_guide(
    run: Run, dataset: Path, tmp_path: Path, name: str
) -> None:
    assert_counts(run(name, *script_arguments(name, dataset, tmp_path / "read")), dataset)


def labels(handover: Any, document: Any) -> list[Any]:
    """Our own boxes as a reader should hand them out."""
    boxes = []
    for entry in document["annotations"]:
        x, y, width, height = entry["bbox"]
        boxes += handover.boxes_of(entry["image_id"], [(x, y, x + width, y + height)], [entry["category_id"]])
    return boxes


def test_perfect_boxes_score_1_and_moved_or_relabelled_ones_less(handover: Any, dataset: Path) -> None:
    document = handover.document(dataset, "val")
    boxes = labels(handover, document)
    assert handover.score(document, boxes) == {"AP": 1, "AP50": 1, "AR100": 1}
    moved, relabelled = copy.deepcopy(boxes), copy.deepcopy(boxes)
    for box in moved:
        box["bbox"][0] += 4
    for box in relabelled:
        box["category_id"] = box["category_id"] % 3 + 1
    assert 0 < handover.score(document, moved)["AP"] < 0.9
    assert handover.score(document, relabelled)["AP"] < 0.1
    assert handover.score(document, [])["AP"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda boxes: boxes.pop(), "is lost or moved"),
        (lambda boxes: boxes[0].update(category_id=99), "is lost or moved"),
        (lambda boxes: boxes[0].update(image_id=99), "is lost or moved"),
        (lambda boxes: boxes[0]["bbox"].__setitem__(2, boxes[0]["bbox"][2] + 1), "is lost or moved"),
        (lambda boxes: boxes.append(boxes[0]), "boxes that are not in it"),
    ],
)
def test_a_reader_that_loses_moves_relabels_or_invents_a_box_is_found(
    handover: Any, dataset: Path, change: Callable[[Any], None], message: str
) -> None:
    document = handover.document(dataset, "train")
    boxes = labels(handover, document)
    assert handover.check(document, 8, boxes) == {"pictures": 8, "boxes": len(boxes), "error_px": 0}
    change(boxes)
    with pytest.raises(SystemExit, match=message):
        handover.check(document, 8, boxes)


def test_a_reader_that_leaves_out_pictures_without_items_is_found(handover: Any, dataset: Path) -> None:
    document = handover.document(dataset, "train")
    with pytest.raises(SystemExit, match="8 pictures, the reader has 7"):
        handover.check(document, 7, labels(handover, document))


def test_wrong_input_ends_with_one_line_before_anything_is_loaded(run: Run, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"instances_train\.json: missing; give the folder"):
        run("read_hf_datasets", str(tmp_path), "--out", str(tmp_path / "read"))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(SystemExit, match="taken: is not empty; give another --out"):
        run("read_hf_datasets", str(dataset), "--out", str(tmp_path / "taken"))


def test_a_missing_garbage_synth_is_told(handover: Any, dataset: Path, tmp_path: Path) -> None:
    arguments = handover.parser("", epochs=1).parse_args(
        [str(dataset), "--out", str(tmp_path), "--garbage-synth", "no"]
    )
    with pytest.raises(SystemExit, match="no: no such command; activate its environment or give --garbage-synth PATH"):
        handover.export(arguments, "yolo")


def pinned(script: Path) -> dict[str, str]:
    """Package -> version that the script's header names."""
    header = re.search(r"^# /// script\n(.*?)^# ///$", script.read_text(), re.S | re.M)
    assert header is not None
    lines = tomllib.loads(re.sub("^# ?", "", header[1], flags=re.M))["dependencies"]
    return {line.split("==")[0].split("[")[0]: line.split("==")[1] for line in lines}


NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != "handover")


@pytest.mark.parametrize("name", NAMES)
def test_the_guide_has_a_command_and_the_versions_of_every_script(name: str) -> None:
    assert [line for line in commands(GUIDE) if f"/{name}.py " in line]
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith("|") and f"`{name}.py`" in line]
    assert len(rows) == 1
    ran_with = re.search(r"\| ([\w-]+) ([\w.]+) \|", rows[0])
    assert ran_with is not None
    assert pinned(SCRIPTS / f"{name}.py")[ran_with[1]] == ran_with[2]


@pytest.mark.parametrize("name", NAMES)
def test_scripts_run_with_the_versions_that_we_test_with(name: str) -> None:
    ours = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    own = pinned(SCRIPTS / f"{name}.py")
    assert {key: ours[key] for key in own if key in ours} == {key: own[key] for key in own if key in ours}


def test_commands_of_the_readme_are_those_of_the_guide() -> None:
    lines = commands(ROOT / "README.md")
    assert lines
    assert set(lines) <= set(commands(GUIDE))
