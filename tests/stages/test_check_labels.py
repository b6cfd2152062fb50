import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from garbage_synth.cli import app
from garbage_synth.config.base import load_config
from garbage_synth.config.fidelity import FidelityConfig
from garbage_synth.core.masks import mask_of_segmentation, rle_of_mask
from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.dataset import write_annotations
from garbage_synth.io.images import read_rgb
from garbage_synth.stages.check_labels import check_labels
from tests.fidelity.scenes import SIZE_WH, Item, draw, label_of, relit
from tests.makers import save

ITEMS = (Item(x=60, y=60), Item(x=180, y=120, texture=0))
PICTURES = {"train": ["a.png", "b.jpg"], "val": ["c.png"]}


def annotation(number: int, image: int, item: Item, **changes: object) -> Annotation:
    label = label_of(item)
    x0, y0, x1, y1 = label.box_xyxy
    assert label.mask is not None
    entry = Annotation(
        number, image, 1, (x0, y0, x1 - x0, y1 - y0), float(label.mask.sum()), 0, rle_of_mask(label.mask)
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return write_before(tmp_path / "before")


def write_before(root: Path, **changes: object) -> Path:
    splits = {}
    for split, names in PICTURES.items():
        images = tuple(ImageRecord(index, name, *SIZE_WH) for index, name in enumerate(names, 1))
        labels = [annotation(10 * image.id + n, image.id, item) for image in images for n, item in enumerate(ITEMS)]
        labels[0] = replace(labels[0], **changes)  # type: ignore[arg-type]
        splits[split] = Split(images, tuple(labels))
        for name in names:
            save(root / "images" / split / name, draw(list(ITEMS)))
    write_annotations(root, Dataset({1: "box"}, splits))
    return root


def write_after(root: Path, items: dict[str, list[Item]] | None = None, layout: str = "images/{split}") -> Path:
    """The pictures again, relit; items: what is drawn in some of them."""
    for split, names in PICTURES.items():
        for name in names:
            drawn = (items or {}).get(name, list(ITEMS))
            save(root / layout.format(split=split) / name, relit(draw(drawn, seed=7)))
    return root


def call(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["check-labels", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_a_dataset_against_itself_holds(before: Path) -> None:
    summary = check_labels(before, before, workers=1)
    assert summary.ok
    assert summary.warnings == ()
    assert summary.numbers == {
        "pictures": 3,
        "left_out": 0,
        "pictures_failed": 0,
        "pictures_rejected": 0,
        "labels": {"accepted": 6, "adjusted": 0, "dropped": 0},
        "hold": 1.0,
        "hold_or_adjustable": 1.0,
        "shift_px": {"median": 0.0, "largest": 0.0},
        "invented": 0,
    }


@pytest.mark.parametrize("layout", ["images/{split}", "{split}", "images", ""])
def test_rewritten_pictures_are_found_in_any_layout(before: Path, tmp_path: Path, layout: str) -> None:
    assert check_labels(before, write_after(tmp_path / "after", layout=layout), workers=1).numbers["hold"] == 1.0


def test_moved_and_erased_items_are_counted_reported_and_drawn(before: Path, tmp_path: Path) -> None:
    moved = ITEMS[0].moved(9, 6)
    after = write_after(tmp_path / "after", {"b.jpg": [moved, ITEMS[1]], "c.png": [ITEMS[1]]})
    report, sheet = tmp_path / "out/report.json", tmp_path / "out/sheet.jpg"
    summary = check_labels(before, after, report=report, sheet=sheet, workers=1)
    assert summary.ok
    assert summary.out == report
    assert summary.open_file == sheet
    assert summary.numbers["labels"] == {"accepted": 4, "adjusted": 1, "dropped": 1}
    assert summary.numbers["hold"] == pytest.approx(4 / 6, abs=1e-3)
    assert summary.numbers["hold_or_adjustable"] == pytest.approx(5 / 6, abs=1e-3)
    assert summary.numbers["pictures_rejected"] == 1
    assert summary.warnings == ("1 of 3 pictures lost too many of their items",)

    document = json.loads(report.read_text())
    assert document["numbers"] == summary.numbers
    assert [(own["split"], own["file_name"], own["status"]) for own in document["pictures"]] == [
        ("train", "a.png", "kept"),
        ("train", "b.jpg", "kept"),
        ("val", "c.png", "rejected"),
    ]
    _, second, third = (own["items"] for own in document["pictures"])
    assert [item["id"] for item in second] == [20, 21]
    assert second[0]["status"] == "adjusted"
    x0, y0, x1, y1 = label_of(moved).box_xyxy
    assert np.abs(np.subtract(second[0]["bbox"], (x0, y0, x1 - x0, y1 - y0))).max() <= 2
    mask = mask_of_segmentation(second[0]["segmentation"], SIZE_WH[::-1])
    truth = label_of(moved).mask
    assert (mask & truth).sum() / (mask | truth).sum() > 0.93
    assert third[0]["status"] == "dropped"
    assert "bbox" not in third[0]
    rows = read_rgb(sheet)
    assert rows.shape[0] > 3 * SIZE_WH[1]
    assert rows.shape[1] > 2 * SIZE_WH[0]


def test_workers_change_nothing(before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("garbage_synth.stages.check_labels.PICTURES_PER_WORKER", 1)
    after = write_after(tmp_path / "after", {"b.jpg": [ITEMS[0].moved(5, 5)]})
    texts = []
    for workers in (1, 2):
        report = tmp_path / f"{workers}.json"
        check_labels(before, after, report=report, workers=workers)
        texts.append(report.read_bytes())
    assert texts[0] == texts[1]


def test_settings_decide(before: Path, tmp_path: Path) -> None:
    after = write_after(tmp_path / "after", {"c.png": [ITEMS[1]]})
    config = load_config(FidelityConfig, None, ["reject_above=0.5"])
    assert check_labels(before, after, config=config, workers=1).numbers["pictures_rejected"] == 0


@pytest.mark.parametrize(("rate", "code"), [("0.6", 0), ("0.7", 1), ("1", 1), ("0", 0)])
def test_fail_below_decides_the_exit_code(before: Path, tmp_path: Path, rate: str, code: int) -> None:
    after = write_after(tmp_path / "after", {"b.jpg": [ITEMS[0].moved(9, 6), ITEMS[1]], "c.png": [ITEMS[1]]})
    exit_code, stdout, _ = call(before, after, "--fail-below", rate, "--json", "--workers", "1")
    assert exit_code == code
    assert json.loads(stdout)["ok"] == (code == 0)
    assert json.loads(stdout)["numbers"]["labels"]["dropped"] == 1


def test_without_fail_below_the_command_reports_and_exits_0(before: Path, tmp_path: Path) -> None:
    after = write_after(tmp_path / "after", {"c.png": []})
    exit_code, stdout, _ = call(before, after, "--workers", "1")
    assert exit_code == 0
    assert "labels: accepted 4, adjusted 0, dropped 2" in stdout


def test_pictures_that_are_not_there_after_are_counted_and_named_and_the_rest_is_checked(
    before: Path, tmp_path: Path
) -> None:
    after = write_after(tmp_path / "after", {"c.png": [ITEMS[1]]})
    (after / "images/train/b.jpg").unlink()
    report = tmp_path / "report.json"
    summary = check_labels(before, after, report=report, workers=1)
    assert summary.ok
    assert summary.numbers["left_out"] == 1
    assert summary.numbers["pictures"] == 2
    assert summary.numbers["labels"] == {"accepted": 3, "adjusted": 0, "dropped": 1}
    assert f"1 of 3 pictures are not in {after} and were not checked: train/b.jpg" in summary.warnings
    document = json.loads(report.read_text())
    assert document["left_out"] == [{"file_name": "b.jpg", "split": "train"}]
    assert [own["file_name"] for own in document["pictures"]] == ["a.png", "c.png"]


def test_a_folder_without_any_of_the_pictures_is_one_line(before: Path, tmp_path: Path) -> None:
    (tmp_path / "after").mkdir()
    exit_code, _, stderr = call(before, tmp_path / "after")
    assert exit_code == 2
    assert stderr == f"error: {tmp_path / 'after'} holds none of the pictures of {before}\n"


def test_a_missing_folder_is_one_line(before: Path, tmp_path: Path) -> None:
    exit_code, _, stderr = call(before, tmp_path / "gone")
    assert exit_code == 2
    assert "no such folder" in stderr
    assert stderr.count("\n") == 1


def test_a_picture_of_another_size_is_refused_before_any_is_checked(before: Path, tmp_path: Path) -> None:
    after = write_after(tmp_path / "after")
    save(after / "images/val/c.png", draw([], size_wh=(100, 80)))
    with pytest.raises(InputError, match=r"c\.png is 100x80 pixels, .* is 240x180"):
        check_labels(before, after, report=tmp_path / "r.json", workers=1)
    assert not (tmp_path / "r.json").exists()


def test_pictures_that_are_not_those_of_the_labels_are_refused(before: Path, tmp_path: Path) -> None:
    save(before / "images/val/c.png", draw([], size_wh=(100, 80)))
    with pytest.raises(InputError, match="its labels were made for 240x180"):
        check_labels(before, before, workers=1)


def test_crowds_are_left_out_and_boxes_without_masks_are_checked(tmp_path: Path) -> None:
    crowd = write_before(tmp_path / "crowd", iscrowd=1)
    summary = check_labels(crowd, write_after(tmp_path / "after"), workers=1)
    assert sum(summary.numbers["labels"].values()) == 4
    assert summary.warnings == ("2 crowd regions were not checked",)
    boxes = write_before(tmp_path / "boxes", segmentation=None)
    assert check_labels(boxes, tmp_path / "after", workers=1).numbers["labels"]["accepted"] == 6


def test_a_damaged_segmentation_names_its_annotation(tmp_path: Path) -> None:
    root = write_before(tmp_path / "before", segmentation=[[1.0, 2.0]])
    with pytest.raises(InputError, match=r"annotation 10 of picture .*a\.png: a polygon has fewer"):
        check_labels(root, root, workers=1)


def test_a_dataset_without_labels_holds_nothing(tmp_path: Path) -> None:
    save(tmp_path / "images/train/a.png", draw([]))
    write_annotations(tmp_path, Dataset({1: "box"}, {"train": Split((ImageRecord(1, "a.png", *SIZE_WH),), ())}))
    unchecked = check_labels(tmp_path, tmp_path, workers=1)
    assert (unchecked.ok, unchecked.numbers["hold"], unchecked.warnings) == (
        True,
        None,
        ("there is no label to check",),
    )
    assert not check_labels(tmp_path, tmp_path, fail_below=0.1, workers=1).ok
    write_annotations(tmp_path, Dataset({1: "box"}, {"train": Split((), ())}))
    with pytest.raises(InputError, match="lists no picture"):
        check_labels(tmp_path, tmp_path, workers=1)


def test_one_picture_for_two_splits_or_one_file_for_two_outputs_is_refused(before: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="same file"):
        check_labels(before, before, report=tmp_path / "x", sheet=tmp_path / "x", workers=1)
    (before / "images/val/c.png").rename(before / "images/val/a.png")
    path = before / "annotations/instances_val.json"
    path.write_text(path.read_text().replace("c.png", "a.png"))
    flat = tmp_path / "flat"
    for name in ("a.png", "b.jpg"):
        save(flat / name, draw(list(ITEMS)))
    with pytest.raises(InputError, match="would both be compared"):
        check_labels(before, flat, workers=1)


def test_files_are_not_lost(before: Path, tmp_path: Path) -> None:
    after = write_after(tmp_path / "after")
    report = tmp_path / "r.json"
    report.write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        check_labels(before, after, report=report, workers=1)
    assert report.read_text() == "mine"
    assert check_labels(before, after, report=report, overwrite=True, workers=1).ok
    assert json.loads(report.read_text())["pictures"]
    with pytest.raises(InputError, match="lies inside"):
        check_labels(before, after, sheet=after / "images/val/c.png", overwrite=True, workers=1)
    with pytest.raises(InputError, match="is a folder"):
        check_labels(before, after, sheet=tmp_path, workers=1)


@pytest.mark.parametrize("changes", [{"fail_below": 1.2}, {"fail_below": -0.1}, {"workers": -1}])
def test_arguments_out_of_range_are_refused(before: Path, changes: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        check_labels(before, before, **changes)  # type: ignore[arg-type]


def test_picture_that_cannot_be_decoded_is_told_and_the_rest_is_checked(before: Path, tmp_path: Path) -> None:
    after = write_after(tmp_path / "after")
    path = after / "images/train/a.png"
    path.write_bytes(path.read_bytes()[:2000])
    summary = check_labels(before, after, report=tmp_path / "r.json", sheet=tmp_path / "s.jpg", workers=1)
    assert not summary.ok
    assert summary.numbers["pictures_failed"] == 1
    assert sum(summary.numbers["labels"].values()) == 4
    assert any("a.png" in warning for warning in summary.warnings)
    pages = json.loads((tmp_path / "r.json").read_text())["pictures"]
    assert [page["status"] for page in pages] == ["failed", "kept", "kept"]
