"""The committed sample set is what its README says; none of this needs Blender."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools.coco import COCO

from garbage_synth.core.masks import mask_of_segmentation

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample_data"
SPLITS = ("train", "test")
CATEGORIES = [
    "beverage_carton",
    "cardboard_box",
    "glass_bottle",
    "metal_can",
    "paper",
    "plastic_bottle",
    "plastic_tray",
]
SIZE_LIMIT_BYTES = 20_000_000


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for split in SPLITS:
        path = SAMPLE_DATA / "real" / "annotations" / f"instances_{split}.json"
        yield split, json.loads(path.read_text())


def test_every_image_decodes_at_the_promised_size() -> None:
    sizes = {"belts/*.jpg": (1280, 960), "photos/*/*.jpg": (800, 600), "photos_truth/*/*.png": (800, 600)}
    sizes["real/images/*/*.jpg"] = (640, 480)
    for pattern, size in sizes.items():
        paths = sorted(SAMPLE_DATA.glob(pattern))
        assert paths, pattern
        for path in paths:
            with Image.open(path) as picture:
                picture.load()
                assert picture.size == size, path


def test_counts_are_at_least_what_the_readme_promises() -> None:
    assert len(list(SAMPLE_DATA.glob("real/images/train/*.jpg"))) >= 80
    assert len(list(SAMPLE_DATA.glob("real/images/test/*.jpg"))) >= 40
    assert len(list(SAMPLE_DATA.glob("belts/*.jpg"))) >= 6
    assert [folder.name for folder in sorted((SAMPLE_DATA / "photos").iterdir())] == CATEGORIES
    for category in CATEGORIES:
        assert len(list((SAMPLE_DATA / "photos" / category).glob("*.jpg"))) >= 8, category


def test_size_is_under_the_limit() -> None:
    files = [path for path in SAMPLE_DATA.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    data = [path for path in files if ".parts" not in path.parts]
    assert sum(path.stat().st_size for path in data) < SIZE_LIMIT_BYTES
    assert {path.suffix for path in data} <= {".jpg", ".png", ".json", ".yaml", ".md", ".py"}


@pytest.mark.parametrize("split", SPLITS)
def test_coco_file_loads_and_names_every_image(split: str, capsys: pytest.CaptureFixture[str]) -> None:
    coco = COCO(str(SAMPLE_DATA / "real" / "annotations" / f"instances_{split}.json"))
    capsys.readouterr()
    on_disk = {path.name for path in (SAMPLE_DATA / "real" / "images" / split).iterdir()}
    assert {image["file_name"] for image in coco.imgs.values()} == on_disk
    assert {(image["width"], image["height"]) for image in coco.imgs.values()} == {(640, 480)}


def test_ids_count_from_one_and_categories_are_sorted() -> None:
    for _, document in documents():
        assert [(c["id"], c["name"]) for c in document["categories"]] == list(enumerate(CATEGORIES, start=1))
        assert [a["id"] for a in document["annotations"]] == list(range(1, len(document["annotations"]) + 1))
        assert [i["id"] for i in document["images"]] == list(range(1, len(document["images"]) + 1))


def test_boxes_and_areas_are_those_of_the_masks() -> None:
    for split, document in documents():
        for annotation in document["annotations"]:
            mask = mask_of_segmentation(annotation["segmentation"], (480, 640))
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            x0, y0 = int(columns[0]), int(rows[0])
            extent = [x0, y0, int(columns[-1]) + 1 - x0, int(rows[-1]) + 1 - y0]
            assert annotation["bbox"] == extent, (split, annotation["id"])
            assert annotation["area"] == mask.sum(), (split, annotation["id"])
            assert 0.05 <= annotation["visible_fraction"] <= 1.0


def test_masks_of_one_frame_never_share_a_pixel() -> None:
    for split, document in documents():
        owners = {image["id"]: np.zeros((480, 640), np.int32) for image in document["images"]}
        for annotation in document["annotations"]:
            owners[annotation["image_id"]] += mask_of_segmentation(annotation["segmentation"], (480, 640))
        assert all(owner.max() <= 1 for owner in owners.values()), split


def test_a_truncated_item_touches_the_frame_and_an_untouched_one_is_whole() -> None:
    for split, document in documents():
        for annotation in document["annotations"]:
            x, y, width, height = annotation["bbox"]
            touches = x == 0 or y == 0 or x + width == 640 or y + height == 480
            if annotation["truncated"] and annotation["visible_fraction"] > 0.5:
                assert touches, (split, annotation["id"])


def test_every_frame_shows_three_to_fourteen_items() -> None:
    for split, document in documents():
        counts = {image["id"]: 0 for image in document["images"]}
        for annotation in document["annotations"]:
            counts[annotation["image_id"]] += 1
        assert min(counts.values()) >= 3, split
        assert max(counts.values()) <= 14, split


def test_every_class_is_in_every_split() -> None:
    for split, document in documents():
        seen = {annotation["category_id"] for annotation in document["annotations"]}
        assert seen == set(range(1, len(CATEGORIES) + 1)), split


def test_no_individual_is_in_two_sets() -> None:
    seen = {split: {a["individual"] for a in document["annotations"]} for split, document in documents()}
    catalogue = json.loads((SAMPLE_DATA / "crops" / "crops.json").read_text())["crops"]
    seen["crops"] = {f"crops/{entry['class']}/{Path(entry['file']).stem[-3:]}" for entry in catalogue}
    assert all(name.split("/")[0] == split for split, names in seen.items() for name in names)
    assert not seen["train"] & seen["test"]
    assert not seen["crops"] & (seen["train"] | seen["test"])


def test_crops_match_their_catalogue_photo_and_truth() -> None:
    catalogue = json.loads((SAMPLE_DATA / "crops" / "crops.json").read_text())
    assert catalogue["version"] == 1
    listed = {entry["file"] for entry in catalogue["crops"]}
    on_disk = {
        path.relative_to(SAMPLE_DATA / "crops").as_posix()
        for path in (SAMPLE_DATA / "crops").glob("*/*.png")
        if not path.stem.endswith("_mask")
    }
    assert listed == on_disk
    for entry in catalogue["crops"]:
        path = SAMPLE_DATA / "crops" / entry["file"]
        with Image.open(path) as crop:
            assert crop.mode == "RGBA"
            assert list(crop.size) == entry["size_px"]
            alpha = np.asarray(crop)[..., 3]
        mask_path = path.with_name(f"{path.stem}_mask.png")
        silhouette = alpha >= 128
        if mask_path.exists():
            with Image.open(mask_path) as opened:
                silhouette = np.asarray(opened.convert("L")) > 127
        with Image.open(SAMPLE_DATA / "photos_truth" / entry["class"] / f"{path.stem}.png") as opened:
            truth = np.asarray(opened.convert("L")) > 127
        assert silhouette.shape == alpha.shape
        assert abs(int(silhouette.sum()) - int(truth.sum())) <= 0.06 * truth.sum(), path
        assert 30 < entry["length_mm"] < 600, path
        assert (SAMPLE_DATA / entry["source"]).is_file()


def test_no_photo_cuts_its_item() -> None:
    for path in SAMPLE_DATA.glob("photos_truth/*/*.png"):
        with Image.open(path) as opened:
            truth = np.asarray(opened.convert("L")) > 127
        inside = np.zeros_like(truth)
        inside[12:-12, 12:-12] = True
        assert truth.any(), path
        assert not (truth & ~inside).any(), path


def test_belts_carry_their_geometry_at_twice_the_scale_of_the_frames() -> None:
    for path in SAMPLE_DATA.glob("belts/*.jpg"):
        sidecar = yaml.safe_load(path.with_suffix(".yaml").read_text())
        assert set(sidecar) == {"belt_mm_per_px", "polygon_px", "travel_deg"}
        assert sidecar["belt_mm_per_px"] == pytest.approx(1152 / 1280)
        polygon = np.array(sidecar["polygon_px"])
        assert polygon.shape == (4, 2)
        assert (polygon >= 0).all()
        assert (polygon <= (1280, 960)).all()


def test_a_scene_rendered_twice_is_identical(tmp_path: Path) -> None:
    pytest.importorskip("bpy", reason="rendering needs Blender as a module: make sample-data installs it")
    from sample_data.render import dataset, studio
    from sample_data.render.frames import FrameSet

    frames = FrameSet("tiny", "tiny", (160, 120), seed=3, quality=studio.RenderQuality(samples=4))
    for name in ("first", "second"):
        dataset.write_frames(tmp_path / name, frames, 1)
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
    assert len(files) == 3
    for file in files:
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes(), file
