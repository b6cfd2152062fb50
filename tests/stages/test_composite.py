"""The composite stage, files in and files out."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO

from garbage_synth.config.base import load_config
from garbage_synth.config.composite import ClassesConfig, CompositeConfig
from garbage_synth.core.masks import mask_of_segmentation
from garbage_synth.core.progress import StageSummary
from garbage_synth.errors import ConfigError, InputError, OutputExistsError
from garbage_synth.io.dataset import read_dataset
from garbage_synth.io.images import read_rgb
from garbage_synth.stages.composite import composite
from garbage_synth.stages.composite_image import render_scene
from tests.makers import item_rgba, make_belts, make_crops, save

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return make_crops(folder / "crops"), make_belts(folder / "belts")


def run(inputs: tuple[Path, Path], out: Path, **options: Any) -> StageSummary:
    given = {"count": 6, "workers": 1, "items": (2, 5), **options}
    return composite(*inputs, out, **given)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a dataset but the manifest."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "garbage-synth.json"
    }


def document(out: Path, split: str) -> Any:
    return json.loads((out / f"annotations/instances_{split}.json").read_text(encoding="utf-8"))


def test_tree_is_complete_and_consistent(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    summary = run(inputs, tmp_path / "out", count=10, formats=("coco", "yolo"))
    out = tmp_path / "out"
    names = set(tree(out))
    assert {"config.yaml", "stats.json", "scenes.jsonl", "data.yaml"} <= names
    assert len([name for name in names if name.startswith("images/train/")]) == 8
    assert len([name for name in names if name.startswith("images/val/")]) == 2
    assert len([name for name in names if name.startswith("labels/")]) == 10
    assert not [name for name in names if name.startswith(".")]
    assert summary.numbers["images"] == {"train": 8, "val": 2}
    assert summary.open_file is not None
    assert summary.open_file.is_file()
    dataset = read_dataset(out)
    assert dataset.categories == {1: "bottle", 2: "can"}
    total = 0
    for split in ("train", "val"):
        found = document(out, split)
        assert [image["id"] for image in found["images"]] == list(range(1, len(found["images"]) + 1))
        assert [entry["id"] for entry in found["annotations"]] == list(range(1, len(found["annotations"]) + 1))
        total += len(found["annotations"])
    assert total == sum(summary.numbers["annotations"].values())
    assert load_config(CompositeConfig, out / "config.yaml") == CompositeConfig()


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools under numpy 2
def test_labels_are_measured_on_the_masks(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run(inputs, tmp_path / "out", items=(5, 8))
    loaded = COCO(str(tmp_path / "out/annotations/instances_train.json"))
    assert loaded.anns
    for image_id, image in loaded.imgs.items():
        pixels = read_rgb(tmp_path / "out/images/train" / image["file_name"])
        assert pixels.shape == (image["height"], image["width"], 3)
        taken = np.zeros(pixels.shape[:2], int)
        for entry in loaded.imgToAnns[image_id]:
            mask = loaded.annToMask(entry)
            ys, xs = np.nonzero(mask)
            assert entry["area"] == mask.sum()
            assert entry["bbox"] == [xs.min(), ys.min(), xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()]
            assert 0.2 <= entry["visible_fraction"] <= 1.0
            assert isinstance(entry["truncated"], bool)
            assert entry["crop_id"].split("/")[0] == loaded.cats[entry["category_id"]]["name"]
            taken += mask
        assert taken.max() <= 1
        zs = [entry["z"] for entry in loaded.imgToAnns[image_id]]
        assert zs == sorted(set(zs))


def test_bytes_do_not_depend_on_workers(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run(inputs, tmp_path / "one", count=17, formats=("coco", "yolo"))
    one = tree(tmp_path / "one")
    for workers in (2, 3):
        run(inputs, tmp_path / str(workers), count=17, workers=workers, formats=("coco", "yolo"))
        assert tree(tmp_path / str(workers)) == one


def test_pictures_do_not_depend_on_their_number(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run(inputs, tmp_path / "few", count=4, val_fraction=0.25)
    run(inputs, tmp_path / "many", count=8, val_fraction=0.25)
    few, many = tree(tmp_path / "few"), tree(tmp_path / "many")
    pictures = [name for name in few if name.startswith("images/")]
    assert pictures
    assert all(few[name] == many[name] for name in pictures)


def test_seed_changes_the_pictures(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run(inputs, tmp_path / "a", count=1, seed=1)
    run(inputs, tmp_path / "b", count=1, seed=2)
    name = "images/train/train_000000.jpg"
    assert tree(tmp_path / "a")[name] != tree(tmp_path / "b")[name]


def test_killed_run_resumes_to_the_same_bytes(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom garbage_synth.stages.composite import composite\n"
        "if __name__ == '__main__':\n"
        "    composite(*map(Path, sys.argv[1:4]), count=160, workers=2, items=(2, 5), formats=('coco', 'yolo'))\n"
    )
    (tmp_path / "main.py").write_text(script, encoding="utf-8")
    out = tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, str(tmp_path / "main.py"), *map(str, inputs), str(out)], env=environment)
    deadline = time.monotonic() + 60
    while len(list(out.glob(".records/train/*.json"))) < 10 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(0.5)  # its workers end by themselves
    made = len(list(out.glob(".records/train/*.json")))
    assert 10 <= made < 128
    (out / "images/train/.0123456789abcdef.tmp").write_bytes(b"half a picture")
    with pytest.raises(OutputExistsError, match="--resume"):
        run(inputs, out, count=160, formats=("coco", "yolo"))
    with pytest.raises(InputError, match="seed"):
        run(inputs, out, count=160, formats=("coco", "yolo"), seed=5, resume=True)
    kept = out / "images/train/train_000000.jpg"
    before = kept.stat().st_mtime_ns
    run(inputs, out, count=160, formats=("coco", "yolo"), resume=True)
    assert kept.stat().st_mtime_ns == before
    run(inputs, tmp_path / "whole", count=160, formats=("coco", "yolo"))
    assert tree(out) == tree(tmp_path / "whole")


def test_finished_run_is_left_alone_and_leftovers_are_tidied(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    first = run(inputs, tmp_path / "out")
    (tmp_path / "out/.records/train").mkdir(parents=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jpg")}
    again = run(inputs, tmp_path / "out", resume=True)
    assert again.numbers == first.numbers
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jpg")}
    assert not (tmp_path / "out/.records").exists()


def test_dry_run_writes_nothing(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    summary = run(inputs, tmp_path / "out", count=10, dry_run=True)
    assert summary.numbers == {"belts": 3, "classes": 2, "crops": 8, "images": {"train": 8, "val": 2}}
    assert summary.open_file is None
    assert not (tmp_path / "out").exists()


def test_any_picture_can_be_rendered_again(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    for name, size in (("own", None), ("cut", (96, 96))):
        out = tmp_path / name
        run(inputs, out, count=4, size=size)
        for split in ("train", "val"):
            for path in sorted((out / "images" / split).iterdir()):
                again = render_scene(out / "scenes.jsonl", path.name, crops=inputs[0], backgrounds=inputs[1])
                assert again == path.read_bytes()
    with pytest.raises(InputError, match=r"no picture nothing\.jpg"):
        render_scene(out / "scenes.jsonl", "nothing.jpg", crops=inputs[0], backgrounds=inputs[1])
    other = make_crops(tmp_path / "other", {"lid": 1})
    with pytest.raises(InputError, match="bottle/bottle_|can/can_"):
        render_scene(out / "scenes.jsonl", "train_000000.jpg", crops=other, backgrounds=inputs[1])
    with pytest.raises(InputError, match=r"config\.yaml"):
        render_scene(out / "config.yaml", "train_000000.jpg", crops=inputs[0], backgrounds=inputs[1])


def test_train_and_val_use_different_crops_and_scenes_say_which(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run(inputs, tmp_path / "out", count=12)
    used: dict[str, set[str]] = {"train": set(), "val": set()}
    lines = (tmp_path / "out/scenes.jsonl").read_text(encoding="utf-8").splitlines()
    for line in map(json.loads, lines):
        used[line["split"]].update(item["crop_id"] for item in line["scene"]["placements"])
    assert used["train"]
    assert used["val"]
    assert not used["train"] & used["val"]
    assert [json.loads(line)["file_name"] for line in lines][-1].startswith("val_")


def test_one_picture_goes_to_train_and_val_is_empty_but_there(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run(inputs, tmp_path / "out", count=1, formats=("yolo",))
    assert document(tmp_path / "out", "val")["images"] == []
    assert document(tmp_path / "out", "val")["categories"] == document(tmp_path / "out", "train")["categories"]
    assert (tmp_path / "out/images/val").is_dir()


def test_pictures_without_items_are_listed(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    summary = run(inputs, tmp_path / "out", count=3, items=(0, 0))
    assert summary.numbers["annotations"] == {"train": 0, "val": 0}
    assert len(document(tmp_path / "out", "train")["images"]) == 2


def test_mixed_belt_sizes_keep_their_own(tmp_path: Path, inputs: tuple[Path, Path]) -> None:
    belts = make_belts(tmp_path / "belts", 1, (160, 120))
    make_belts(tmp_path / "wide", 1, (200, 100))
    (tmp_path / "wide/belt_0.jpg").rename(belts / "wide.jpg")
    run((inputs[0], belts), tmp_path / "out", count=12)
    sizes = {(image["width"], image["height"]) for image in document(tmp_path / "out", "train")["images"]}
    assert sizes == {(160, 120), (200, 100)}
    run((inputs[0], belts), tmp_path / "sized", count=12, size=(128, 96))
    sizes = {(image["width"], image["height"]) for image in document(tmp_path / "sized", "train")["images"]}
    assert sizes == {(128, 96)}


def test_warnings_name_what_is_missing_once(tmp_path: Path) -> None:
    crops = make_crops(tmp_path / "crops", {"can": 3, "lid": 1})
    save(crops / "can" / "ghost.png", item_rgba(20, 20, (9, 9, 9)) // np.array([1, 1, 1, 3], np.uint8))
    belts = make_belts(tmp_path / "belts", 2, sidecars=False)
    messages: list[str] = []

    class Listener:
        def start(self, label: str, total: int | None) -> None: ...
        def advance(self, units: int = 1) -> None: ...
        def message(self, text: str) -> None:
            messages.append(text)

    summary = composite(crops, belts, tmp_path / "out", count=4, workers=1, progress=Listener())
    assert [f"warning: {text}" for text in summary.warnings] == messages
    for wanted in ("polygon_px", "in train only, not in val: lid", "share the 2 belts", "no length_mm", "ghost.png"):
        assert sum(wanted in text for text in messages) == 1, wanted


def test_see_through_crop_is_labelled_by_its_mask(tmp_path: Path) -> None:
    rgba = item_rgba(60, 60, (200, 220, 240))
    rgba[..., 3] //= 4
    save(tmp_path / "crops/cup/clear.png", rgba)
    save(
        tmp_path / "crops/cup/clear_mask.png", np.where(item_rgba(60, 60, (0, 0, 0))[..., 3] > 127, 255, 0).astype("u1")
    )
    belts = make_belts(tmp_path / "belts", 1)
    summary = run((tmp_path / "crops", belts), tmp_path / "out", count=2, items=(1, 1))
    assert any("val has no crop" in text for text in summary.warnings)
    assert summary.numbers["annotations"] == {"train": 1, "val": 0}
    entries = document(tmp_path / "out", "train")["annotations"]
    assert [entry["crop_id"] for entry in entries] == ["cup/clear"]
    shutil.copy(belts / "belt_0.jpg", tmp_path / "crops/cup/clear_mask.png")
    with pytest.raises(InputError, match=r"clear_mask\.png"):
        run((tmp_path / "crops", belts), tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"count": 0}, "count"),
        ({"size": (8, 600)}, "size 8x600"),
        ({"size": (65501, 600)}, "size 65501x600"),
        ({"size": (60000, 60000)}, "size 60000x60000"),
        ({"items": (5, 2)}, r"items 5\.\.2"),
        ({"val_fraction": 1.0}, "val-fraction"),
        ({"seed": -1}, "seed"),
        ({"workers": -2}, "workers"),
        ({"formats": ("voc",)}, "voc"),
    ],
)
def test_wrong_arguments_are_refused(
    inputs: tuple[Path, Path], tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        run(inputs, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_bad_input_is_refused_before_anything_is_written(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    crops = shutil.copytree(inputs[0], tmp_path / "crops")
    whole = (crops / "can/can_1.png").read_bytes()
    (crops / "can/can_1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"can_1\.png"):
        run((crops, inputs[1]), tmp_path / "out")
    belts = shutil.copytree(inputs[1], tmp_path / "belts")
    whole = (belts / "belt_1.jpg").read_bytes()
    (belts / "belt_1.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"belt_1\.jpg"):
        run((inputs[0], belts), tmp_path / "out")
    ghosts = tmp_path / "ghosts"
    save(ghosts / "can/ghost.png", np.zeros((9, 9, 4), np.uint8))
    with pytest.raises(InputError, match="alpha"):
        run((ghosts, inputs[1]), tmp_path / "out")
    with pytest.raises(InputError, match="does not exist"):
        run((tmp_path / "nowhere", inputs[1]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_more_photos_of_a_class_are_used_than_asked_for(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    def used(most: int | None) -> dict[int, set[str]]:
        """{category: the crops that its labels name}."""
        out = tmp_path / str(most)
        config = CompositeConfig(classes=ClassesConfig(max_photos=most))
        summary = run(inputs, out, count=20, val_fraction=0.0, config=config)
        found: dict[int, set[str]] = {}
        for label in document(out, "train")["annotations"]:
            found.setdefault(label["category_id"], set()).add(label["crop_id"])
        assert summary.numbers["images"] == {"train": 20, "val": 0}
        return found

    every, one = used(None), used(1)
    assert min(len(crops) for crops in every.values()) > 1
    assert [len(crops) for crops in one.values()] == [1] * len(every)
    assert all(one[category] < every[category] for category in every)
    plenty = CompositeConfig(classes=ClassesConfig(max_photos=99))
    assert any(
        "leaves none out" in text for text in run(inputs, tmp_path / "plenty", config=plenty, dry_run=True).warnings
    )


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("scale.class_length_mm.botle=200", "did you mean bottle"),
        ("classes.weights.glass=2", "classes are bottle, can"),
        ("belt.leave_out=[belt_0, belt_1, belt_2]", "leaves no picture"),
        ("belt.polygons_px.belt_0=[[0, 0], [5, 5]]", "2 corners"),
        ("belt.polygons_px.belt_0=[[0, 0], [5, 5], [9, 9]]", "encloses no area"),
        ("belt.polygons_px.belt_0=[[0, 0], [.nan, 5], [9, 0]]", "encloses no area"),
        ("classes.weights={bottle: 0, can: 0}", "weigh nothing"),
    ],
)
def test_config_that_does_not_fit_the_input_is_refused(
    inputs: tuple[Path, Path], tmp_path: Path, setting: str, named: str
) -> None:
    with pytest.raises(InputError, match=named):
        run(inputs, tmp_path / "out", config=load_config(CompositeConfig, None, [setting]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("setting", ["camera.noise=[3, 1]", "placement.max_overlap=2", "light.elevation_deg=[0, 90]"])
def test_config_out_of_range_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match=setting.split("=")[0]):
        load_config(CompositeConfig, None, [setting])


def test_config_polygons_and_left_out_belts(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    belts = make_belts(tmp_path / "belts", 2, sidecars=False)
    settings = ["belt.polygons_px={belt_0: [[0, 40], [160, 40], [160, 80], [0, 80]]}", "belt.leave_out=[belt_1]"]
    config = load_config(CompositeConfig, None, [*settings, "belt.mm_per_px=8", "scale.class_length_mm={can: 150}"])
    run((inputs[0], belts), tmp_path / "out", config=config, count=6)
    entries = document(tmp_path / "out", "train")["annotations"]
    assert entries
    assert all(entry["bbox"][1] >= 38 and entry["bbox"][1] + entry["bbox"][3] <= 82 for entry in entries)
    statistics = yaml.safe_load((tmp_path / "out/stats.json").read_text(encoding="utf-8"))
    assert list(statistics["splits"]["train"]["belts"]) == ["belt_0"]


def test_config_names_of_absent_belts_are_warned_about(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    config = load_config(CompositeConfig, None, ["belt.leave_out=[belt_9]"])
    summary = run(inputs, tmp_path / "out", config=config)
    assert any("belt_9" in warning and "did you mean belt_" in warning for warning in summary.warnings)


def test_statistics_add_up(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run(inputs, tmp_path / "out", count=8)
    statistics = json.loads((tmp_path / "out/stats.json").read_text(encoding="utf-8"))["splits"]["train"]
    entries = document(tmp_path / "out", "train")["annotations"]
    assert statistics["annotations"] == len(entries) == sum(c["annotations"] for c in statistics["classes"].values())
    assert statistics["items_in_pictures"] == len(entries)
    assert sum(statistics["belts"].values()) == statistics["images"] == 7 - 1
    assert statistics["mean_visible_fraction"] == pytest.approx(
        sum(entry["visible_fraction"] for entry in entries) / len(entries), abs=1e-4
    )
    assert statistics["truncated"] == sum(entry["truncated"] for entry in entries)


def test_crop_with_a_board_around_its_mask_is_drawn_without_the_board(tmp_path: Path) -> None:
    mask = np.zeros((60, 60), np.uint8)
    mask[20:40, 20:40] = 255
    save(tmp_path / "crops/cup/a.png", np.full((60, 60, 3), 250, np.uint8))
    save(tmp_path / "crops/cup/a_mask.png", mask)
    plain = ["scale.source=native", "camera.noise=[0, 0]", "camera.motion_probability=0", "placement.cut_fraction=0"]
    config = load_config(CompositeConfig, None, plain)
    run((tmp_path / "crops", make_belts(tmp_path / "belts", 1)), tmp_path / "out", count=1, items=(1, 1), config=config)
    (entry,) = document(tmp_path / "out", "train")["annotations"]
    bright = (read_rgb(tmp_path / "out/images/train/train_000000.jpg").min(axis=2) > 130).sum()
    assert 0.8 * entry["area"] < bright < 1.2 * entry["area"]


def test_picture_on_a_belt_whose_polygon_the_config_gives_can_be_rendered_again(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    belts = make_belts(tmp_path / "belts", 1, sidecars=False)
    settings = ["belt.polygons_px={belt_0: [[0, 0], [60, 0], [60, 120], [0, 120]]}", "scale.image_fraction=[0.2, 0.3]"]
    out = tmp_path / "out"
    run((inputs[0], belts), out, count=1, config=load_config(CompositeConfig, None, settings))
    again = render_scene(out / "scenes.jsonl", "train_000000.jpg", crops=inputs[0], backgrounds=belts)
    assert again == (out / "images/train/train_000000.jpg").read_bytes()


def test_belt_too_large_for_jpeg_is_refused_before_anything_is_written(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    save(tmp_path / "belts/long.png", np.zeros((16, 65501, 3), np.uint8))
    with pytest.raises(InputError, match=r"belt long\.png: 65501x16 is out of range"):
        run((inputs[0], tmp_path / "belts"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_items_without_room_are_warned_of(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    summary = run(inputs, tmp_path / "few", count=2, items=(1, 1))
    assert not any("no room" in text for text in summary.warnings)
    config = load_config(CompositeConfig, None, ["scale.source=fraction", "scale.image_fraction=[3, 3]"])
    summary = run(inputs, tmp_path / "many", count=2, items=(4, 4), config=config)
    assert [text for text in summary.warnings if text.startswith("8 of 8 items found no room")]


@pytest.fixture
def drops(tmp_path: Path) -> Path:
    folder = tmp_path / "drops"
    save(folder / "drop.png", item_rgba(14, 14, (240, 240, 250)))
    save(folder / "tools" / "knife.png", item_rgba(40, 8, (90, 90, 95)))
    save(folder / "tools" / "knife_mask.png", np.full((8, 40), 255, np.uint8))
    return folder


def test_distractors_lie_in_the_pictures_and_in_no_label(
    inputs: tuple[Path, Path], drops: Path, tmp_path: Path
) -> None:
    config = load_config(CompositeConfig, None, ["distractors.count=[2, 3]", "camera.noise=[0, 0]"])
    out = tmp_path / "out"
    summary = run(inputs, out, distractors=drops, config=config, count=10)
    used = set()
    for split in ("train", "val"):
        entries = document(out, split)
        assert {category["name"] for category in entries["categories"]} == {"bottle", "can"}
        assert not any("distractor" in entry["crop_id"] for entry in entries["annotations"])
    for line in map(json.loads, (out / "scenes.jsonl").read_text(encoding="utf-8").splitlines()):
        own = [item for item in line["scene"]["placements"] if item["crop_id"].startswith("distractor:")]
        assert 2 <= len(own) <= 3
        assert not any(item["labelled"] for item in own)
        used.update((line["split"], item["crop_id"]) for item in own)
    assert {name for split, name in used if split == "train"}.isdisjoint(name for split, name in used if split == "val")
    statistics = json.loads((out / "stats.json").read_text(encoding="utf-8"))["splits"]["train"]
    assert statistics["distractors"] >= 16
    assert statistics["items_in_pictures"] == statistics["annotations"] == summary.numbers["annotations"]["train"]

    again = render_scene(
        out / "scenes.jsonl", "train_000003.jpg", crops=inputs[0], backgrounds=inputs[1], distractors=drops
    )
    assert again == (out / "images/train/train_000003.jpg").read_bytes()
    with pytest.raises(InputError, match="was made with distractor:"):
        render_scene(out / "scenes.jsonl", "train_000003.jpg", crops=inputs[0], backgrounds=inputs[1])


def test_distractors_are_part_of_the_identity(inputs: tuple[Path, Path], drops: Path, tmp_path: Path) -> None:
    run(inputs, tmp_path / "out", count=2)
    with pytest.raises(InputError, match="distractors"):
        run(inputs, tmp_path / "out", count=2, distractors=drops, resume=True)


def test_see_through_distractors_lie_there_and_hide_nothing(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    drop = item_rgba(30, 30, (250, 250, 255))
    drop[..., 3] = drop[..., 3] * 0.4
    save(tmp_path / "drops" / "drop.png", drop)
    settings = ["distractors.count=[4, 4]", "distractors.above_probability=1", "distractors.image_fraction=[0.2, 0.2]"]
    config = load_config(CompositeConfig, None, settings)
    run(inputs, tmp_path / "with", distractors=tmp_path / "drops", config=config)
    run(inputs, tmp_path / "without", config=config)
    statistics = json.loads((tmp_path / "with/stats.json").read_text(encoding="utf-8"))["splits"]["train"]
    assert statistics["distractors"] > 10
    for split in ("train", "val"):
        assert document(tmp_path / "with", split)["annotations"] == [
            {**entry, "z": entry["z"]} for entry in document(tmp_path / "without", split)["annotations"]
        ]
    assert (
        tree(tmp_path / "with")["images/train/train_000000.jpg"]
        != tree(tmp_path / "without")["images/train/train_000000.jpg"]
    )


def test_distractors_that_show_nothing_or_are_the_crops_are_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    save(tmp_path / "drops" / "nothing.png", np.zeros((9, 9, 4), np.uint8))
    with pytest.raises(InputError, match="shows anything"):
        run(inputs, tmp_path / "out", distractors=tmp_path / "drops")
    for folder in (inputs[0], inputs[0] / "can", inputs[0].parent):
        with pytest.raises(InputError, match="share pictures"):
            run(inputs, tmp_path / "out", distractors=folder)


def test_inputs_that_are_likely_wrong_are_warned_of(tmp_path: Path) -> None:
    crops, belts = make_crops(tmp_path / "crops"), make_belts(tmp_path / "belts", 2)
    save(crops / "can" / "square.png", np.full((20, 20, 4), 255, np.uint8))
    (belts / "belt9.yaml").write_text("travel_deg: 0", encoding="utf-8")
    (belts / "belt_0.yml").write_text("travel_deg: 0", encoding="utf-8")
    (belts / "belt_1.yaml").write_text("polygon_px: [[0, 0], [5000, 0], [5000, 4000]]", encoding="utf-8")
    config = load_config(CompositeConfig, None, ["distractors.count=[5, 9]"])
    warnings = "; ".join(run((crops, belts), tmp_path / "out", config=config, count=2).warnings)
    for said in (
        "pasted as whole rectangles (can/square.png)",
        "belt9.yaml, belt_0.yml",
        "far outside the picture, as if made for a larger one: belt_1.",
        "give --distractors FOLDER",
    ):
        assert said in warnings


def test_empty_fraction_is_an_argument_too(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run(inputs, tmp_path / "out", count=10, empty_fraction=0.5)
    statistics = json.loads((tmp_path / "out/stats.json").read_text(encoding="utf-8"))["splits"]["train"]
    assert statistics["images_without_items"] == 4
    with pytest.raises(InputError, match=r"empty-fraction is 1\.5"):
        run(inputs, tmp_path / "other", empty_fraction=1.5)


def test_folder_without_distractors_is_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, said in ((tmp_path / "empty", "holds no picture"), (tmp_path / "absent", "does not exist")):
        with pytest.raises(InputError, match=said):
            run(inputs, tmp_path / "out", distractors=folder)
    assert not (tmp_path / "out").exists()


def test_polygons_give_back_the_masks(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    rle = load_config(CompositeConfig, None, ["placement.max_overlap=0.6", "labels.min_visible_fraction=0.05"])
    polygon = load_config(CompositeConfig, None, ["labels.segmentation=polygon"], tree=rle.model_dump(mode="json"))
    run(inputs, tmp_path / "rle", config=rle)
    run(inputs, tmp_path / "polygon", config=polygon)
    one, other = (COCO(str(tmp_path / name / "annotations/instances_train.json")) for name in ("rle", "polygon"))
    assert one.anns
    parts = []
    for number, entry in other.anns.items():
        assert isinstance(entry["segmentation"], list)
        parts.append(len(entry["segmentation"]))
        size_hw = one.anns[number]["segmentation"]["size"]
        masks = [mask_of_segmentation(own["segmentation"], size_hw) for own in (entry, one.anns[number])]
        assert np.array_equal(*masks)
    assert max(parts) > 1  # an item that another one cuts in two


def test_polygon_that_a_reader_would_misread_becomes_rle(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "garbage_synth.composite.annotate.mask_of_segmentation", lambda _, size_hw: np.zeros(size_hw, np.bool_)
    )
    run(inputs, tmp_path / "out", config=load_config(CompositeConfig, None, ["labels.segmentation=polygon"]))
    entries = document(tmp_path / "out", "train")["annotations"]
    assert all(isinstance(entry["segmentation"], dict) for entry in entries)


@pytest.mark.parametrize("amodal", ["bbox", "mask"])
def test_amodal_labels_hold_the_hidden_part(inputs: tuple[Path, Path], tmp_path: Path, amodal: str) -> None:
    settings = [f"labels.amodal={amodal}", "placement.max_overlap=0.6", "placement.cut_fraction=0.5"]
    run(inputs, tmp_path / "out", config=load_config(CompositeConfig, None, settings), count=12)
    coco = COCO(str(tmp_path / "out/annotations/instances_train.json"))
    hidden = outside = 0
    for entry in coco.anns.values():
        x, y, width, height = entry["amodal_bbox"]
        left, top, wide, high = entry["bbox"]
        assert x <= left
        assert y <= top
        assert x + width >= left + wide
        assert y + height >= top + high
        image = coco.imgs[entry["image_id"]]
        leaves = x < 0 or y < 0 or x + width > image["width"] or y + height > image["height"]
        assert leaves == entry["truncated"]
        outside += leaves
        assert ("amodal_segmentation" in entry) == (amodal == "mask")
        if amodal == "mask":
            size_hw = (image["height"], image["width"])
            whole, seen = (mask_of_segmentation(entry[key], size_hw) for key in ("amodal_segmentation", "segmentation"))
            assert not (seen & ~whole).any()
            hidden += np.count_nonzero(whole) - np.count_nonzero(seen)
            if not entry["truncated"]:
                assert np.count_nonzero(whole) * entry["visible_fraction"] == pytest.approx(entry["area"], abs=1)
                assert whole.any(axis=0).argmax() == x
    assert outside
    assert hidden or amodal == "bbox"


def test_annotations_say_how_the_item_lies(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run(inputs, tmp_path / "out")
    scene = json.loads((tmp_path / "out/scenes.jsonl").read_text(encoding="utf-8").splitlines()[0])["scene"]
    for entry in document(tmp_path / "out", "train")["annotations"]:
        if entry["image_id"] == 1:
            placement = scene["placements"][entry["z"]]
            assert placement["crop_id"] == entry["crop_id"]
            assert entry["pose"]["center_px"] == placement["center_xy_px"]
            for key in ("angle_deg", "flipped", "scale"):
                assert entry["pose"][key] == placement[key]


def test_uneven_classes_are_told_of_in_large_sets(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("garbage_synth.stages.composite.BALANCED_ITEMS", 10)
    few = load_config(CompositeConfig, None, ["placement.max_overlap=0"])
    summary = run(inputs, tmp_path / "out", count=12, config=few)
    assert summary.numbers["largest_class_deviation"]["train"] > 0.02
    assert any("share of a class" in warning for warning in summary.warnings)


def test_pictures_to_make_are_never_listed(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    from garbage_synth.stages.composite import _units
    from garbage_synth.stages.composite_plan import Plan

    plan = Plan({"train": 10**12, "val": 1}, {}, {}, ())
    units = _units(plan, tmp_path, False)
    assert [next(units) for _ in range(2)] == [("train", 0), ("train", 1)]
