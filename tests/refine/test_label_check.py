"""What refine does with labels, under generators whose effect is known: they draw the truth."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.config.refine import RefineConfig
from garbage_synth.core.masks import rle_of_mask
from garbage_synth.core.progress import StageSummary
from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError
from garbage_synth.io.dataset import read_dataset, write_annotations
from garbage_synth.io.images import read_rgb
from garbage_synth.stages import refine as module
from garbage_synth.stages import refine_picture
from garbage_synth.stages.refine import refine
from tests.fidelity.scenes import SIZE_WH, Item, draw, label_of, relit
from tests.makers import save
from tests.refine.test_refine import files, make_generator

ITEMS = (Item(x=60, y=60), Item(x=180, y=120, texture=15))
NAMES = ("a.png", "b.png", "c.png")

Effect = Callable[[int], NDArray[np.uint8]]


def annotation(number: int, image: int, item: Item) -> Annotation:
    label = label_of(item)
    x0, y0, x1, y1 = label.box_xyxy
    extra = {"visible_fraction": 0.5, "note": "ä", "amodal_bbox": [0, 0, 9, 9]}
    assert label.mask is not None
    return Annotation(
        number, image, 1, (x0, y0, x1 - x0, y1 - y0), float(label.mask.sum()), 0, rle_of_mask(label.mask), extra
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "dataset"
    images = tuple(ImageRecord(number, name, *SIZE_WH) for number, name in enumerate(NAMES, 1))
    labels = tuple(annotation(10 * image.id + n, image.id, item) for image in images for n, item in enumerate(ITEMS))
    for number, name in enumerate(NAMES):
        save(root / "images" / "train" / name, draw(list(ITEMS), seed=number))
    write_annotations(root, Dataset({1: "box"}, {"train": Split(images, labels)}))
    return root


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    return make_generator(tmp_path / "run" / "generator_synthetic_to_real.safetensors", averaged=False)


def rewritten(number: int, items: list[Item]) -> NDArray[np.uint8]:
    return relit(draw(items, seed=20 + number))


@pytest.fixture
def under(monkeypatch: pytest.MonkeyPatch, tree: Path, generator: Path, tmp_path: Path) -> Callable[..., StageSummary]:
    """Runs refine with a generator that draws, for picture n, these items."""

    def run(drawn: dict[int, list[Item]], out: str = "out", **flags: Any) -> StageSummary:
        sources = {
            read_rgb(tree / "images/train" / name).tobytes(): n
            for n, name in enumerate(NAMES)
            if (tree / "images/train" / name).stat().st_size > 999
        }

        class Drawing:
            def __init__(self, *_: Any, **__: Any) -> None: ...

            def __call__(self, image_rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], None]:
                number = sources[image_rgb.tobytes()]
                return rewritten(number, drawn.get(number, list(ITEMS))), None

        monkeypatch.setattr(module, "Translator", Drawing)
        return refine(flags.pop("dataset", tree), generator, tmp_path / out, device="cpu", precision="fp32", **flags)

    return run


def entries(out: Path) -> dict[int, dict[str, Any]]:
    document = json.loads((out / "annotations/instances_train.json").read_text(encoding="utf-8"))
    return {entry["id"]: entry for entry in document["annotations"]}


MOVED = [ITEMS[0].moved(8, 5), ITEMS[1]]
LOST = [ITEMS[0]]


def test_labels_that_hold_stay_to_the_letter(under: Any, tree: Path, tmp_path: Path) -> None:
    summary = under({}, config=RefineConfig.model_validate({"fidelity": {"invented": {"max_count": 0}}}))
    before, after = entries(tree), entries(tmp_path / "out")
    assert list(after) == list(before)
    for number, entry in after.items():
        fidelity = entry.pop("fidelity")
        assert fidelity["status"] == "accepted"
        assert set(fidelity) == {"status", "q", "e", "drawn", "shift_px"}
        assert entry == before[number]
    assert summary.ok
    assert summary.numbers["labels"] == {"accepted": 6, "adjusted": 0, "dropped": 0}
    stats = json.loads((tmp_path / "out/stats.json").read_text())
    assert (stats["hold"], stats["labels_checked"], stats["pictures_rejected"]) == (1.0, True, 0)
    assert not (tmp_path / "out/label_check.jpg").exists()
    assert not (tmp_path / "out/.records").exists()


def test_moved_label_moves_and_lost_one_goes(under: Any, tmp_path: Path) -> None:
    config = RefineConfig.model_validate({"fidelity": {"reject_above": 0.6}})
    summary = under({0: MOVED, 1: LOST}, config=config)
    after = entries(tmp_path / "out")
    assert sorted(after) == [10, 11, 20, 30, 31]
    x, y, width, height = after[10]["bbox"]
    truth = label_of(MOVED[0]).box_xyxy
    assert np.allclose([x, y, x + width, y + height], truth, atol=2)
    assert after[10]["fidelity"]["status"] == "adjusted"
    assert after[10]["fidelity"]["shift_px"] == pytest.approx(np.hypot(8, 5), abs=1)
    assert (after[10]["note"], after[10]["visible_fraction"]) == ("ä", 0.5)
    assert "amodal_bbox" not in after[10]
    assert "amodal_bbox" in after[11]
    assert after[10]["area"] == pytest.approx(label_of(MOVED[0]).mask.sum(), rel=0.05)  # type: ignore[union-attr]
    assert summary.numbers["labels"] == {"accepted": 4, "adjusted": 1, "dropped": 1}
    assert summary.ok
    assert (tmp_path / "out/label_check.jpg").is_file()
    read_dataset(tmp_path / "out")


def test_only_the_worst_drawings_are_kept_on_the_way_and_shown(
    under: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[list[str]] = []
    inner = module.join_labels

    def spy(root: Path, dataset: Any, out: Path, *rest: Any) -> Any:
        kept.append(sorted(path.name for path in (out / ".records").rglob("*.jpg")))
        return inner(root, dataset, out, *rest)

    monkeypatch.setattr(module, "join_labels", spy)
    monkeypatch.setattr(module, "SHEET_PICTURES", 1)
    drawn = {0: MOVED, 1: LOST, 2: MOVED}
    under(drawn, config=RefineConfig(encode_threads=3))
    assert kept == [["2.jpg"]]
    assert read_rgb(tmp_path / "out/label_check.jpg").shape[0] < 2 * SIZE_WH[1]


def test_drop_leaves_out_what_moved(under: Any, tmp_path: Path) -> None:
    under({0: MOVED}, on_drift="drop")
    assert sorted(entries(tmp_path / "out")) == [11, 20, 21, 30, 31]


@pytest.mark.parametrize("on_drift", ["keep", "fail"])
def test_keep_and_fail_never_touch_a_label(under: Any, tree: Path, tmp_path: Path, on_drift: str) -> None:
    summary = under({0: MOVED, 1: []}, on_drift=on_drift)
    before, after = entries(tree), entries(tmp_path / "out")
    statuses = [entry.pop("fidelity")["status"] for entry in after.values()]
    assert after == before
    assert statuses == ["adjusted", "accepted", "dropped", "dropped", "accepted", "accepted"]
    assert summary.ok == (on_drift == "keep")
    assert summary.numbers["pictures_rejected"] == 1
    assert (read_rgb(tmp_path / "out/images/train/b.png") == rewritten(1, [])).all()


def test_rejected_picture_keeps_its_old_pixels_and_labels(under: Any, tree: Path, tmp_path: Path) -> None:
    summary = under({1: []})
    before, after = entries(tree), entries(tmp_path / "out")
    for number in (20, 21):
        assert after[number] == {**before[number], "fidelity": {"status": "rejected"}}
    assert (tmp_path / "out/images/train/b.png").read_bytes() == (tree / "images/train/b.png").read_bytes()
    image = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())["images"][1]
    assert image["fidelity"]["status"] == "rejected"
    assert any("1 of 3 pictures lost too many" in warning for warning in summary.warnings)


def test_rejected_picture_can_be_left_out(under: Any, tree: Path, tmp_path: Path) -> None:
    lines = [json.dumps({"file_name": name, "split": "train"}) + "\n" for name in NAMES]
    (tree / "scenes.jsonl").write_text("".join(lines))
    under({1: []}, drop_rejected=True)
    assert (tmp_path / "out/scenes.jsonl").read_text() == lines[0] + lines[2]
    assert sorted(entries(tmp_path / "out")) == [10, 11, 30, 31]
    assert sorted(path.name for path in (tmp_path / "out/images/train").iterdir()) == ["a.png", "c.png"]
    assert len(read_dataset(tmp_path / "out").splits["train"].images) == 2


def test_invented_things_are_told_and_kept(under: Any, tmp_path: Path) -> None:
    summary = under({2: [*ITEMS, Item(x=60, y=140, half_width=24, half_height=18)]})
    assert summary.numbers["invented"] >= 1
    assert any("invented" in warning and "train/c.png" in warning for warning in summary.warnings)
    image = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())["images"][2]
    x0, y0, x1, y1 = image["fidelity"]["invented"][0]["box_xyxy"]
    assert x0 < 60 < x1
    assert y0 < 140 < y1


def test_damaged_picture_is_left_out_and_the_rest_goes_on(under: Any, tree: Path, tmp_path: Path) -> None:
    path = tree / "images/train/b.png"
    path.write_bytes(path.read_bytes()[:900])
    summary = under({})
    assert not summary.ok
    assert summary.numbers["pictures_failed"] == 1
    assert any("1 pictures are left out" in warning and "b.png" in warning for warning in summary.warnings)
    assert sorted(entries(tmp_path / "out")) == [10, 11, 30, 31]


def test_interrupted_run_resumes_to_the_same_bytes(under: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {0: MOVED, 1: []}
    under(drawn, "whole")
    real = refine_picture.FinishPicture._record

    def dies(self: Any, picture: Any, entry: Any) -> None:
        if picture.target.name == "c.png":
            raise KeyboardInterrupt
        real(self, picture, entry)

    with monkeypatch.context() as patch:
        patch.setattr(refine_picture.FinishPicture, "_record", dies)
        with pytest.raises(KeyboardInterrupt):
            under(drawn, "cut")
    assert (tmp_path / "cut/.records").is_dir()
    under(drawn, "cut", resume=True)
    assert files(tmp_path / "whole") == files(tmp_path / "cut")


def test_what_would_do_nothing_is_refused(under: Any, tmp_path: Path) -> None:
    unchecked = RefineConfig(check=False)
    for flags, said in (
        ({"on_drift": "move"}, "adjust, drop, keep, fail"),
        ({"on_drift": "keep", "drop_rejected": True}, "rejects no picture"),
        ({"config": unchecked, "drop_rejected": True}, "check=false"),
        ({"config": unchecked, "on_drift": "drop"}, "check=false"),
        ({"config": unchecked, "on_drift": "keep"}, "check=false"),
    ):
        with pytest.raises(InputError, match=said):
            under({}, **flags)
    assert not (tmp_path / "out").exists()


def edit(tree: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = tree / "annotations/instances_train.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def test_failed_run_stays_failed_on_resume(under: Any, tree: Path, tmp_path: Path) -> None:
    assert not under({1: []}, on_drift="fail").ok
    assert not under({1: []}, on_drift="fail", resume=True).ok
    (tmp_path / "out/.records").mkdir()
    under({1: []}, on_drift="fail", resume=True)
    assert not (tmp_path / "out/.records").exists()


def test_fail_says_why(under: Any) -> None:
    assert any("1 of 6 labels do not hold" in warning for warning in under({0: MOVED}, on_drift="fail").warnings)


def test_picture_that_could_not_be_read_is_tried_again(
    under: Any, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = refine_picture.read_rgb

    def flaky(path: Path) -> NDArray[np.uint8]:
        if path.name == "a.png":
            raise InputError("the disk was away")
        return real(path)

    def dies(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(refine_picture, "read_rgb", flaky)
        patch.setattr(module, "join_labels", dies)
        with pytest.raises(KeyboardInterrupt):
            under({})
    assert under({}, resume=True).ok
    assert len(entries(tmp_path / "out")) == 6


def test_split_without_annotations_key(under: Any, tree: Path, tmp_path: Path) -> None:
    edit(tree, lambda document: document.pop("annotations"))
    summary = under({})
    assert (summary.ok, summary.numbers["hold"], summary.numbers["images"]) == (True, None, 3)
    assert entries(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document["images"].append({**document["images"][0], "id": 9}), "twice"),
        (lambda document: document["annotations"][1].update(segmentation={"size": [9, 9], "counts": "99"}), "RLE size"),
        (
            lambda document: document["annotations"][1].update(iscrowd=1, segmentation={"size": [9, 9], "counts": "9"}),
            "RLE size",
        ),
        (lambda document: document["annotations"][1].update(score=float("nan")), "not a finite"),
    ],
)
def test_labels_that_could_not_be_written_are_refused_before_anything_is(
    under: Any, tree: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    edit(tree, change)
    with pytest.raises(InputError, match=said):
        under({})
    assert not (tmp_path / "out").exists()


def test_what_an_earlier_check_found_is_replaced(under: Any, tree: Path, tmp_path: Path) -> None:
    def mark(document: dict[str, Any]) -> None:
        for entry in (*document["images"], *document["annotations"]):
            entry["fidelity"] = {"status": "rejected"}

    edit(tree, mark)
    under({})
    after = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
    assert {image["fidelity"]["status"] for image in after["images"]} == {"kept"}
    assert {entry["fidelity"]["status"] for entry in after["annotations"]} == {"accepted"}


def test_nothing_left_is_no_success(under: Any, tmp_path: Path) -> None:
    summary = under({0: [], 1: [], 2: []}, drop_rejected=True)
    assert not summary.ok
    assert summary.open_file is None
    assert summary.numbers["images"] == 0
    assert json.loads((tmp_path / "out/stats.json").read_text())["images"] == {"train": 0}
    assert any("no picture is left in train" in warning for warning in summary.warnings)


def test_split_that_had_no_picture_before_is_no_failure(under: Any, tree: Path) -> None:
    document = json.loads((tree / "annotations/instances_train.json").read_text())
    empty = {**document, "images": [], "annotations": []}
    (tree / "annotations/instances_val.json").write_text(json.dumps(empty))
    summary = under({})
    assert summary.ok
    assert not any("no picture is left" in warning for warning in summary.warnings)


def test_partly_erased_item_is_less_visible(under: Any, tree: Path, tmp_path: Path) -> None:
    half = draw(list(ITEMS), seed=20)
    half[:, 192:] = draw([], seed=20)[:, 192:]
    from tests.refine import test_label_check as own

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own, "rewritten", lambda number, items: half if number == 0 else relit(draw(items, seed=number)))
        under({})
    entry = entries(tmp_path / "out")[11]
    assert entry["fidelity"]["status"] == "adjusted"
    assert entry["visible_fraction"] == pytest.approx(0.5 * entry["fidelity"]["drawn"], abs=1e-4)
    assert entry["visible_fraction"] < 0.4


def test_picture_behind_a_bare_label_file_is_part_of_the_identity(under: Any, tree: Path, tmp_path: Path) -> None:
    bare = tree / "annotations/instances_train.json"
    under({}, dataset=bare)
    save(tree / "images/train/a.png", draw(list(ITEMS), seed=77))
    with pytest.raises(InputError, match="dataset"):
        under({}, dataset=bare, resume=True)


def test_crowds_and_yolo_labels_go_along(under: Any, tree: Path, tmp_path: Path) -> None:
    edit(tree, lambda document: document["annotations"][1].update(iscrowd=1))
    (tree / "labels").mkdir()
    under({0: MOVED}, config=RefineConfig.model_validate({"fidelity": {"reject_above": 1.0}}))
    after = entries(tmp_path / "out")
    assert "fidelity" not in after[11]
    lines = (tmp_path / "out/labels/train/a.txt").read_text().splitlines()
    x0, y0, x1, y1 = label_of(MOVED[0]).box_xyxy
    assert [float(value) for value in lines[0].split()[1:3]] == pytest.approx(
        [(x0 + x1) / 2 / SIZE_WH[0], (y0 + y1) / 2 / SIZE_WH[1]], abs=0.01
    )
