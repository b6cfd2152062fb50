"""Labels under generators that tell how they deform a picture: the weights are set by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from garbage_synth.config.refine import RefineConfig
from garbage_synth.core.displacement import moved_mask
from garbage_synth.core.masks import box_of_mask, mask_of_segmentation, rle_of_mask
from garbage_synth.core.polygons import polygons_of_mask
from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError
from garbage_synth.fidelity.verdicts import Label
from garbage_synth.gan.generator_file import GeneratorCard, load_generator, save_generator
from garbage_synth.gan.networks import WarpGenerator, init_weights
from garbage_synth.io.dataset import write_annotations
from garbage_synth.io.images import read_rgb
from garbage_synth.refine.translate import Translator
from garbage_synth.stages.label_displacement import follow
from garbage_synth.stages.refine import refine
from tests.fidelity.scenes import SIZE_WH, Item, draw, label_of
from tests.makers import save
from tests.refine.test_refine import files

WIDTH, HEIGHT = SIZE_WH
ITEMS = (Item(x=60, y=60), Item(x=180, y=120, texture=15))
CROWD_ID, BOX_ID = 12, 11


def shifting(path: Path, shift_xy: tuple[float, float], *, resize: int | None = None, gain: float = 0.0) -> Path:
    """A generator that moves everything by one shift, up to 4 px, and with gain lets a random grid move it too."""
    card = GeneratorCard("warp6", 2, "synthetic-to-real", resize, 32, 1, False, 4.0)
    network = card.spec.build()
    rng = torch.Generator().manual_seed(0)
    init_weights(network, rng, 0.2)
    assert isinstance(network, WarpGenerator)
    assert network.grid_head is not None
    last = network.grid_head[-1]
    assert isinstance(last, torch.nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.bias.copy_(torch.atanh(-torch.tensor(shift_xy) / 4))
        last.weight.copy_(torch.randn(last.weight.shape, generator=rng) * gain)
    save_generator(path, network, card)
    return path


def annotations() -> tuple[Annotation, ...]:
    first, second = (label_of(item) for item in ITEMS)
    assert first.mask is not None
    assert second.mask is not None
    box_xywh = [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in (first.box_xyxy, second.box_xyxy)]
    extra = {
        "amodal_bbox": [*box_xywh[0][:2], box_xywh[0][2] + 4, box_xywh[0][3]],
        "amodal_segmentation": rle_of_mask(first.mask),
        "note": "ä",
        "visible_fraction": 0.9,
    }
    area = float(first.mask.sum())
    return (
        Annotation(10, 1, 1, box_xywh[0], area, 0, polygons_of_mask(first.mask), extra),
        Annotation(BOX_ID, 1, 1, (box_xywh[1][0] + 0.25, *box_xywh[1][1:]), 1.0, 0, None, {}),
        Annotation(CROWD_ID, 1, 1, box_xywh[1], float(second.mask.sum()), 1, rle_of_mask(second.mask), {}),
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "dataset"
    save(root / "images" / "train" / "a.png", draw(list(ITEMS), seed=0))
    split = Split((ImageRecord(1, "a.png", WIDTH, HEIGHT),), annotations())
    write_annotations(root, Dataset({1: "box"}, {"train": split}))
    return root


def entries(out: Path) -> dict[int, dict[str, Any]]:
    document = json.loads((out / "annotations/instances_train.json").read_text(encoding="utf-8"))
    return {entry["id"]: entry for entry in document["annotations"]}


def run(tree: Path, generator: Path, out: Path, **flags: Any) -> Any:
    return refine(tree, generator, out, device="cpu", precision="fp32", **flags)


def test_labels_follow_a_shift_to_the_pixel(tree: Path, tmp_path: Path) -> None:
    summary = run(tree, shifting(tmp_path / "g.safetensors", (3, -2)), tmp_path / "out")
    before, after = entries(tree), entries(tmp_path / "out")
    assert list(after) == [10, BOX_ID, CROWD_ID]
    for number, entry in after.items():
        x, y, width, height = before[number]["bbox"]
        assert entry["bbox"] == pytest.approx([x + 3, y - 2, width, height])
    item = after[10]
    assert isinstance(item["segmentation"], list)
    moved = mask_of_segmentation(item["segmentation"], (HEIGHT, WIDTH))
    truth = np.roll(mask_of_segmentation(before[10]["segmentation"], (HEIGHT, WIDTH)), (-2, 3), (0, 1))
    assert np.array_equal(moved, truth)
    assert np.array_equal(mask_of_segmentation(item["amodal_segmentation"], (HEIGHT, WIDTH)), truth)
    assert item["amodal_bbox"] == pytest.approx(np.add(before[10]["amodal_bbox"], [3, -2, 0, 0]).tolist())
    assert (item["area"], item["visible_fraction"], item["note"]) == (truth.sum(), 0.9, "ä")
    assert after[BOX_ID].get("segmentation") == before[BOX_ID].get("segmentation")
    for number in (10, BOX_ID):
        assert after[number]["fidelity"]["status"] == "accepted"
        assert after[number]["fidelity"]["warp_px"] == pytest.approx(np.hypot(3, 2), abs=0.01)
        assert after[number]["fidelity"]["shift_px"] < 0.3
    assert "fidelity" not in after[CROWD_ID]
    assert summary.numbers["warp_px_median"] == pytest.approx(3.61, abs=0.01)
    assert summary.ok


def test_labels_follow_a_bending_generator_exactly(tree: Path, tmp_path: Path) -> None:
    generator = shifting(tmp_path / "g.safetensors", (0, 0), gain=2.0)
    run(tree, generator, tmp_path / "out", config=RefineConfig(check=False))
    image = read_rgb(tree / "images/train/a.png")
    translated, u = Translator(load_generator(generator)[0], device=torch.device("cpu"), half=False)(image)
    assert u is not None
    assert np.ptp(u) > 2
    assert np.array_equal(read_rgb(tmp_path / "out/images/train/a.png"), translated)
    before, after = entries(tree), entries(tmp_path / "out")
    for number in (10, CROWD_ID):
        truth = moved_mask(mask_of_segmentation(before[number]["segmentation"], (HEIGHT, WIDTH)), u)
        assert np.array_equal(mask_of_segmentation(after[number]["segmentation"], (HEIGHT, WIDTH)), truth)
        x0, y0, x1, y1 = box_of_mask(truth) or (0, 0, 0, 0)
        assert after[number]["bbox"] == [x0, y0, x1 - x0, y1 - y0]
        assert after[number]["bbox"] != before[number]["bbox"]
        assert "fidelity" not in after[number]


def test_labels_stay_to_the_letter_under_a_generator_that_moves_nothing(tree: Path, tmp_path: Path) -> None:
    run(tree, shifting(tmp_path / "g.safetensors", (0, 0)), tmp_path / "out", config=RefineConfig(check=False))
    name = "annotations/instances_train.json"
    assert (tmp_path / "out" / name).read_bytes() == (tree / name).read_bytes()
    run(tree, shifting(tmp_path / "h.safetensors", (0.4, 0)), tmp_path / "less")
    before, after = entries(tree), entries(tmp_path / "less")
    for number, entry in after.items():
        entry.pop("fidelity", None)
        assert entry == before[number]


def test_keep_leaves_labels_and_says_once_that_they_are_wrong(tree: Path, tmp_path: Path) -> None:
    summary = run(tree, shifting(tmp_path / "g.safetensors", (3, -2)), tmp_path / "out", on_drift="keep")
    before, after = entries(tree), entries(tmp_path / "out")
    assert sum("--on-drift keep" in warning for warning in summary.warnings) == 1
    fidelity = after[10].pop("fidelity")
    assert fidelity["warp_px"] == pytest.approx(np.hypot(3, 2), abs=0.01)
    assert fidelity["shift_px"] == pytest.approx(np.hypot(3, 2), abs=0.5)
    assert after[10] == before[10]
    still = run(tree, shifting(tmp_path / "h.safetensors", (3, -2)), tmp_path / "other", on_drift="fail")
    assert still.ok
    assert still.warnings == ()
    assert entries(tmp_path / "other")[10]["bbox"] != before[10]["bbox"]


def test_keep_leaves_labels_to_the_byte_where_they_are_not_checked(tree: Path, tmp_path: Path) -> None:
    generator = shifting(tmp_path / "g.safetensors", (3, -2))
    run(tree, generator, tmp_path / "out", config=RefineConfig(check=False), on_drift="keep")
    name = "annotations/instances_train.json"
    assert (tmp_path / "out" / name).read_bytes() == (tree / name).read_bytes()
    with pytest.raises(InputError, match="--on-drift drop does nothing with check=false"):
        run(tree, generator, tmp_path / "other", config=RefineConfig(check=False), on_drift="drop")


def test_item_that_the_rest_of_the_network_erased_is_dropped_all_the_same(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = Translator.__call__

    def erasing(self: Translator, image: NDArray[np.uint8]) -> Any:
        rewritten, u = inner(self, image)
        rewritten[:, :120] = draw([], seed=3)[:, :120]
        return rewritten, u

    monkeypatch.setattr(Translator, "__call__", erasing)
    config = RefineConfig.model_validate({"fidelity": {"reject_above": 0.6}})
    generator = shifting(tmp_path / "g.safetensors", (3, -2))
    run(tree, generator, tmp_path / "out", config=config)
    assert sorted(entries(tmp_path / "out")) == [BOX_ID, CROWD_ID]
    run(tree, generator, tmp_path / "rejected")
    before, after = entries(tree), entries(tmp_path / "rejected")
    assert {number: entry["bbox"] for number, entry in after.items()} == {
        number: entry["bbox"] for number, entry in before.items()
    }
    name = "images/train/a.png"
    assert (tmp_path / "rejected" / name).read_bytes() == (tree / name).read_bytes()


@pytest.mark.parametrize("checked", [True, False])
def test_item_of_which_nothing_is_left_is_left_out(tree: Path, tmp_path: Path, checked: bool) -> None:
    path = tree / "annotations/instances_train.json"
    document = json.loads(path.read_text())
    speck = np.zeros((HEIGHT, WIDTH), np.bool_)
    speck[30, 40] = True
    document["annotations"][0] |= {"bbox": [40, 30, 1, 1], "segmentation": rle_of_mask(speck)}
    path.write_text(json.dumps(document))
    config = RefineConfig.model_validate({"check": checked, "fidelity": {"reject_above": 1.0}})
    run(tree, shifting(tmp_path / "g.safetensors", (0.5, 0.4)), tmp_path / "out", config=config)
    assert sorted(entries(tmp_path / "out")) == [BOX_ID, CROWD_ID]


def test_trained_size_is_undone_in_the_displacement_too(tree: Path, tmp_path: Path) -> None:
    short = min(SIZE_WH) // 2
    generator = shifting(tmp_path / "g.safetensors", (1.5, -1), resize=short)
    run(tree, generator, tmp_path / "out", config=RefineConfig(check=False))
    before, after = entries(tree), entries(tmp_path / "out")
    x, y, width, height = before[10]["bbox"]
    assert after[10]["bbox"] == pytest.approx([x + 3, y - 2, width, height])


def test_interrupted_run_resumes_to_the_same_bytes(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = shifting(tmp_path / "g.safetensors", (0, 0), gain=2.0)
    run(tree, generator, tmp_path / "whole")

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("garbage_synth.stages.refine.join_labels", dies)
        with pytest.raises(KeyboardInterrupt):
            run(tree, generator, tmp_path / "cut")
    run(tree, generator, tmp_path / "cut", resume=True)
    assert files(tmp_path / "whole") == files(tmp_path / "cut")


def followed(change: Callable[[NDArray[np.float32]], None], annotation: Annotation) -> Any:
    u = np.zeros((40, 50, 2), np.float32)
    change(u)
    segmentation = annotation.segmentation
    x, y, width, height = annotation.bbox_xywh
    mask = None if segmentation is None else mask_of_segmentation(segmentation, (40, 50))
    return follow([annotation], [Label((x, y, x + width, y + height), mask)], u, "a.png")[0]


def test_box_alone_keeps_its_fractions_and_what_lies_beyond_the_frame() -> None:
    def right(u: NDArray[np.float32]) -> None:
        u[..., 0] = -3

    own = followed(right, Annotation(1, 1, 1, (10.25, 5.5, 8.5, 6.0), 51.0, 0, None))
    assert own.fields == {"bbox": [13.25, 5.5, 8.5, 6.0], "area": 51.0}
    amodal = {"amodal_bbox": [-7, 5, 20, 6]}
    own = followed(right, Annotation(1, 1, 1, (0, 5, 13, 6), 78.0, 0, None, amodal))
    assert own.fields["amodal_bbox"] == [-7, 5, 23, 6]
    assert own.fields["bbox"] == [0, 5, 16, 6]


def test_loose_box_around_a_smaller_polygon_stays_loose() -> None:
    polygon = [[12, 10, 20, 10, 20, 20, 12, 20]]
    own = followed(lambda u: u[..., 0].fill(1), Annotation(1, 1, 1, (8, 8, 15, 15), 80.0, 0, polygon))
    assert own.fields["bbox"] == [7, 8, 15, 15]
    assert all(isinstance(value, int) for value in own.fields["bbox"])
    assert own.label.box_xyxy == (7, 8, 22, 23)


def test_amodal_field_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InputError, match=r"annotation 7 of picture a\.png"):
        followed(
            lambda u: u.fill(1), Annotation(7, 1, 1, (1, 1, 5, 5), 25.0, 0, None, {"amodal_segmentation": [[1, 2]]})
        )
