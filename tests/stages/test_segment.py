import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.config.segment import SegmentConfig
from garbage_synth.errors import GarbageSynthError, InputError, MissingDependencyError, OutputExistsError
from garbage_synth.io.catalog import load_crops
from garbage_synth.io.images import encode_jpeg, encode_png, read_rgba
from garbage_synth.stages.segment import segment

ITEM_RGB = (30, 90, 200)
BOARD_RGB = (225, 222, 214)


def photo(
    *,
    centre: tuple[int, int] = (160, 120),
    radii: tuple[int, int] = (70, 40),
    second: bool = False,
    colour: tuple[int, int, int] = ITEM_RGB,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """An ellipse with a soft shadow on a pale board, RGB (240, 320, 3), and its silhouette."""
    rng = np.random.default_rng(3)
    board = np.full((240, 320, 3), BOARD_RGB, np.float32)
    shadow = np.zeros((240, 320), np.float32)
    cv2.ellipse(shadow, (centre[0] + 8, centre[1] + 8), radii, 20, 0, 360, 1.0, -1)
    board *= 1 - 0.25 * cv2.GaussianBlur(shadow, (0, 0), 6)[..., None]
    fine = np.zeros((960, 1280), np.uint8)
    cv2.ellipse(fine, (4 * centre[0], 4 * centre[1]), (4 * radii[0], 4 * radii[1]), 20, 0, 360, 255, -1)
    if second:
        cv2.circle(fine, (4 * 280, 4 * 40), 4 * 26, 255, -1)
    cover = cv2.resize(fine, (320, 240), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    mixed = cover * np.float32(colour) + (1 - cover) * board + rng.normal(0, 1.5, board.shape)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8), cover[..., 0] > 0.5


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    put(folder / "can" / "a.jpg", encode_jpeg(photo()[0]))
    put(folder / "can" / "b.jpg", encode_jpeg(photo(radii=(50, 50), colour=(200, 40, 30))[0]))
    put(folder / "tin" / "a.jpg", encode_jpeg(photo(centre=(150, 110))[0]))
    return folder


def test_segment_cuts_items_tight_and_without_the_board(photos: Path, tmp_path: Path) -> None:
    summary = segment(photos, tmp_path / "crops", workers=1)
    assert summary.numbers == {"classes": {"can": 2, "tin": 1}, "crops": 3, "photos": 3, "rejected": {}}
    crops = load_crops(tmp_path / "crops")
    assert [crop.id for crop in crops] == ["can/a", "can/b", "tin/a"]
    assert crops[0].source == "can/a.jpg"
    rgba = read_rgba(tmp_path / "crops" / "can" / "a.png")
    assert rgba.shape[:2] == (crops[0].size_px[1], crops[0].size_px[0])
    truth = photo()[1]
    assert (rgba[..., 3] >= 128).sum() == pytest.approx(truth.sum(), rel=0.03)
    rim = (rgba[..., 3] > 30) & (rgba[..., 3] < 225)
    assert rim.any()
    towards_board = np.abs(rgba[rim][:, :3].astype(int) - BOARD_RGB).sum(1)
    towards_item = np.abs(rgba[rim][:, :3].astype(int) - ITEM_RGB).sum(1)
    assert (towards_item < towards_board).mean() > 0.97


def test_segment_does_not_depend_on_workers(photos: Path, tmp_path: Path) -> None:
    for copy in range(6):
        put(photos / "can" / f"c{copy}.jpg", encode_jpeg(photo(radii=(60, 30 + 2 * copy))[0]))
    for workers in (1, 2):
        segment(photos, tmp_path / f"crops{workers}", workers=workers)
    first, second = (
        {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
        for root in (tmp_path / "crops1", tmp_path / "crops2")
    )
    assert first == second


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (photo(centre=(40, 120))[0], "touches the frame"),
        (photo(radii=(9, 6))[0], "too small"),
        (photo(second=True, radii=(40, 26))[0], "several items"),
        (np.full((240, 320, 3), 220, np.uint8), "low contrast"),
    ],
)
def test_segment_rejects_with_the_reason(photos: Path, tmp_path: Path, picture: NDArray[np.uint8], reason: str) -> None:
    put(photos / "can" / "bad.jpg", encode_jpeg(picture))
    summary = segment(photos, tmp_path / "crops", workers=1)
    assert summary.numbers["rejected"] == {reason: 1}
    assert reason in summary.warnings[0]
    assert "can/bad.jpg" in summary.warnings[0]
    rejected = json.loads((tmp_path / "crops" / "rejected.json").read_text())["rejected"]
    assert [(entry["source"], entry["reason"]) for entry in rejected] == [("can/bad.jpg", reason)]
    assert not (tmp_path / "crops" / "can" / "bad.png").exists()


@pytest.mark.parametrize("content", [b"hello", None])
def test_segment_refuses_a_damaged_photo_by_name(photos: Path, tmp_path: Path, content: bytes | None) -> None:
    whole = (photos / "can" / "a.jpg").read_bytes()
    put(photos / "can" / "bad.jpg", whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(InputError, match=r"bad\.jpg"):
        segment(photos, tmp_path / "crops", workers=1)
    assert not (tmp_path / "crops").exists()


def test_segment_takes_alpha_and_masks_as_they_come(tmp_path: Path) -> None:
    image, truth = photo()
    rgba = np.dstack([image, np.where(truth, 255, 0).astype(np.uint8)])
    put(tmp_path / "photos" / "can" / "alpha.png", encode_png(rgba))
    put(tmp_path / "photos" / "can" / "masked.jpg", encode_jpeg(image))
    put(tmp_path / "photos" / "can" / "masked_mask.png", encode_png(np.where(truth, 255, 0).astype(np.uint8)))
    segment(tmp_path / "photos", tmp_path / "crops", workers=1)
    entries = json.loads((tmp_path / "crops" / "crops.json").read_text())["crops"]
    assert {entry["file"]: entry["method"] for entry in entries} == {"can/alpha.png": "alpha", "can/masked.png": "mask"}
    cut = read_rgba(tmp_path / "crops" / "can" / "alpha.png")
    assert (cut[..., 3] > 0).sum() == truth.sum()
    masked = read_rgba(tmp_path / "crops" / "can" / "masked.png")
    assert (masked[..., 3] >= 128).sum() == pytest.approx(truth.sum(), rel=0.03)


def test_segment_refuses_a_mask_of_another_size_by_name(photos: Path, tmp_path: Path) -> None:
    put(photos / "can" / "a_mask.png", encode_png(np.full((10, 10), 255, np.uint8)))
    with pytest.raises(InputError, match=r"a_mask\.png is 10x10"):
        segment(photos, tmp_path / "crops", workers=1)
    assert not (tmp_path / "crops").exists()


def coco_folder(root: Path) -> Path:
    image, truth = photo()
    put(root / "images" / "train" / "x.jpg", encode_jpeg(image))
    ys, xs = np.nonzero(truth)
    outline = cv2.findContours(truth.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0]
    whole = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "area": float(truth.sum()),
        "bbox": [float(xs.min()), float(ys.min()), float(np.ptp(xs) + 1), float(np.ptp(ys) + 1)],
        "segmentation": [outline.reshape(-1).astype(float).tolist()],
    }
    corner = [[0.0, 30.0, 50.0, 30.0, 50.0, 80.0, 0.0, 80.0]]
    cut = {**whole, "id": 2, "bbox": [0.0, 30.0, 50.0, 50.0], "area": 2500.0, "segmentation": corner}
    crowd = {**whole, "id": 3, "iscrowd": 1}
    document = {
        "images": [{"id": 1, "file_name": "x.jpg", "width": 320, "height": 240}],
        "annotations": [whole, cut, crowd],
        "categories": [{"id": 1, "name": "wood"}],
    }
    put(root / "annotations" / "instances_train.json", json.dumps(document).encode())
    return root


def test_segment_cuts_whole_instances_out_of_a_dataset(tmp_path: Path) -> None:
    summary = segment(coco_folder(tmp_path / "coco"), tmp_path / "crops", workers=1)
    assert summary.numbers["classes"] == {"wood": 1}
    assert set(summary.numbers["rejected"]) == {"crowd", "cut by the frame"}
    (crop,) = load_crops(tmp_path / "crops")
    assert crop.id == "wood/x_1"
    assert crop.source.endswith("x.jpg")


def test_segment_keeps_other_splits_out_of_the_crops(tmp_path: Path) -> None:
    root = coco_folder(tmp_path / "coco")
    for kind, name in (("annotations", "instances_{}.json"), ("images", "{}")):
        source, target = (root / kind / name.format(split) for split in ("train", "test"))
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    summary = segment(root, tmp_path / "crops", workers=1)
    assert summary.numbers["crops"] == 1
    assert "only train" in summary.warnings[0]


def test_segment_names_the_splits_of_a_dataset(tmp_path: Path) -> None:
    root = coco_folder(tmp_path / "coco")
    with pytest.raises(InputError, match="train"):
        segment(root, tmp_path / "crops", split="test")
    assert not (tmp_path / "crops").exists()


def test_segment_uses_the_box_it_is_given(photos: Path, tmp_path: Path) -> None:
    put(photos / "can" / "two.jpg", encode_jpeg(photo(second=True, radii=(40, 26))[0]))
    boxes = put(tmp_path / "boxes.json", json.dumps({"can/two.jpg": [119, 91, 201, 149]}).encode())
    summary = segment(photos, tmp_path / "crops", boxes=boxes, workers=1)
    assert summary.numbers["rejected"] == {}


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"can/a.jpg": [1, 2, 3]}', b'{"nowhere.jpg": [1, 2, 3, 4]}'])
def test_segment_refuses_a_bad_boxes_file(photos: Path, tmp_path: Path, content: bytes) -> None:
    boxes = put(tmp_path / "boxes.json", content)
    with pytest.raises(InputError, match="boxes"):
        segment(photos, tmp_path / "crops", boxes=boxes)
    assert not (tmp_path / "crops").exists()


def test_segment_refuses_what_it_cannot_use(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        segment(tmp_path / "nowhere", tmp_path / "crops")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        segment(tmp_path / "empty", tmp_path / "crops")
    with pytest.raises(InputError, match="method"):
        segment(photos, tmp_path / "crops", method="magic")
    put(photos / "loose.jpg", encode_jpeg(photo()[0]))
    with pytest.raises(InputError, match="class folder"):
        segment(photos, tmp_path / "crops")
    assert not (tmp_path / "crops").exists()


def test_segment_fails_where_nothing_is_left(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "can" / "a.jpg", encode_jpeg(np.full((100, 100, 3), 200, np.uint8)))
    with pytest.raises(GarbageSynthError, match="low contrast"):
        segment(tmp_path / "photos", tmp_path / "crops", workers=1)


def test_segment_continues_and_never_replaces_unasked(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    segment(photos, out, workers=1)
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    assert segment(photos, out, workers=1, resume=True).numbers["crops"] == 3
    with pytest.raises(OutputExistsError):
        segment(photos, out, workers=1)
    with pytest.raises(InputError, match="work_px"):
        segment(photos, out, workers=1, resume=True, config=SegmentConfig(work_px=300))
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == before


def test_segment_measures_lengths_where_the_scale_is_known(photos: Path, tmp_path: Path) -> None:
    segment(photos, tmp_path / "crops", workers=1, config=SegmentConfig(mm_per_px=2.0))
    assert load_crops(tmp_path / "crops")[0].length_mm == pytest.approx(2 * 141, rel=0.03)


def test_segment_says_how_to_get_rembg(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rembg", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'garbage-synth\[rembg\]'"):
        segment(photos, tmp_path / "crops", method="rembg")
    assert not (tmp_path / "crops").exists()


def test_segment_says_where_rembg_weights_belong(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for rembg asks its downloader as the real one does; nothing is fetched."""
    pooch, rembg = ModuleType("pooch"), ModuleType("rembg")
    pooch.retrieve = lambda *_, **__: pytest.fail("downloaded")  # type: ignore[attr-defined]

    def new_session(model: str) -> str:
        path: str = pooch.retrieve(f"somewhere/{model}.onnx", None, fname=f"{model}.onnx", path=tmp_path / "weights")
        return path

    rembg.new_session = new_session  # type: ignore[attr-defined]
    rembg.remove = lambda image, **_: np.where(photo()[1], 255, 0).astype(np.uint8)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pooch", pooch)
    monkeypatch.setitem(sys.modules, "rembg", rembg)
    with pytest.raises(MissingDependencyError, match=r"weights/u2netp\.onnx"):
        segment(photos, tmp_path / "crops", method="rembg")
    assert not (tmp_path / "crops").exists()
    put(tmp_path / "weights" / "u2netp.onnx", b"weights")
    shutil.rmtree(photos / "tin")
    (photos / "can" / "b.jpg").unlink()
    assert segment(photos, tmp_path / "crops", method="rembg", workers=1).numbers["crops"] == 1


def test_dry_run_writes_nothing(photos: Path, tmp_path: Path) -> None:
    assert segment(photos, tmp_path / "crops", dry_run=True).numbers == {"photos": 3, "classes": {"can": 2, "tin": 1}}
    assert not (tmp_path / "crops").exists()


@pytest.mark.slow
def test_segment_finds_the_rendered_items(sample_data: Path, tmp_path: Path) -> None:
    """Every fourth photo of the sample set: the true silhouette is matched, nothing opaque is lost."""
    for path in sorted((sample_data / "photos").glob("*/*_00[048].jpg")):
        put(tmp_path / "photos" / path.parent.name / path.name, path.read_bytes())
    summary = segment(tmp_path / "photos", tmp_path / "crops", workers=1)
    assert sum(summary.numbers["rejected"].values()) <= 2
    for crop in load_crops(tmp_path / "crops"):
        truth = cv2.imread(str(sample_data / "photos_truth" / f"{crop.id}.png"), cv2.IMREAD_GRAYSCALE)
        assert truth is not None
        if crop.category in ("beverage_carton", "cardboard_box"):
            rgba = read_rgba(tmp_path / "crops" / crop.file)
            assert (rgba[..., 3] >= 128).sum() == pytest.approx((truth > 127).sum(), rel=0.08), crop.id
