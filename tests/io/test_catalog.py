import json
from pathlib import Path

import numpy as np
import pytest

from garbage_synth.errors import InputError
from garbage_synth.io.catalog import CropEntry, load_backgrounds, load_crops, load_distractors, write_crops_json
from tests.makers import belt_rgb, item_rgba, make_belts, make_crops, save


def test_crops_without_a_file_come_from_the_folders(tmp_path: Path) -> None:
    make_crops(tmp_path, {"can": 2, "bottle": 1})
    crops = load_crops(tmp_path)
    assert [crop.id for crop in crops] == ["bottle/bottle_0", "can/can_0", "can/can_1"]
    assert crops[2].file == crops[2].source == "can/can_1.png"
    assert crops[2].size_px == (44, 40)
    assert (crops[2].length_mm, crops[2].mask_file, crops[2].quality) == (None, None, 1.0)


def test_a_mask_is_never_a_crop_but_its_neighbours_silhouette(tmp_path: Path) -> None:
    make_crops(tmp_path, {"can": 1})
    save(tmp_path / "can" / "can_0_mask.png", np.zeros((40, 40), np.uint8))
    save(tmp_path / "can" / "orphan_mask.png", np.zeros((40, 40), np.uint8))
    (crop,) = load_crops(tmp_path)
    assert crop.mask_file == "can/can_0_mask.png"


def test_crops_json_is_written_sorted_and_read_back(tmp_path: Path) -> None:
    make_crops(tmp_path, {"can": 2})
    entries = [
        CropEntry("can/can_1.png", "can", "photos/b.jpg", "grabcut", 0.5, (44, 40), None),
        CropEntry("can/can_0.png", "can", "photos/a.jpg", "grabcut", 0.75, (40, 40), 120.5),
    ]
    write_crops_json(tmp_path, entries)
    document = json.loads((tmp_path / "crops.json").read_text())
    assert document["version"] == 1
    assert document["crops"][0] == {
        "file": "can/can_0.png",
        "class": "can",
        "source": "photos/a.jpg",
        "method": "grabcut",
        "quality": 0.75,
        "size_px": [40, 40],
        "length_mm": 120.5,
    }
    first, second = load_crops(tmp_path)
    assert (first.source, first.length_mm, first.quality) == ("photos/a.jpg", 120.5, 0.75)
    assert (second.source, second.length_mm) == ("photos/b.jpg", None)


def test_a_deleted_crop_is_gone_and_an_added_one_is_there_in_spite_of_crops_json(tmp_path: Path) -> None:
    make_crops(tmp_path, {"can": 2})
    write_crops_json(tmp_path, [CropEntry("can/can_0.png", "can", "a", "alpha", 1.0, (40, 40), None)])
    (tmp_path / "can" / "can_0.png").unlink()
    assert [crop.id for crop in load_crops(tmp_path)] == ["can/can_1"]


def test_the_class_of_crops_json_wins_over_the_folder(tmp_path: Path) -> None:
    make_crops(tmp_path, {"can": 1})
    write_crops_json(tmp_path, [CropEntry("can/can_0.png", "tin", "a", "alpha", 1.0, (40, 40), None)])
    assert load_crops(tmp_path)[0].id == "tin/can_0"


def test_two_crops_of_one_class_and_name_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a" / "x.png", item_rgba(9, 9, (1, 2, 3)))
    save(tmp_path / "b" / "x.png", item_rgba(9, 9, (1, 2, 3)))
    entries = [CropEntry(f"{folder}/x.png", "c", folder, "alpha", 1.0, (9, 9), None) for folder in "ab"]
    write_crops_json(tmp_path, entries)
    with pytest.raises(InputError, match="same class and name"):
        load_crops(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not a crops file"),
        ("[]", "not a crops file"),
        ('{"crops": []}', "lacks the key 'version'"),
        ('{"version": 2, "crops": []}', "version 2"),
        ('{"version": 1, "crops": [{"class": "can"}]}', "lacks the key 'file'"),
        ('{"version": 1, "crops": [{"file": "a", "class": "can", "quality": 7}]}', "outside 0..1"),
        ('{"version": 1, "crops": [{"file": "a", "class": "can", "length_mm": -1}]}', "not a positive number"),
        ('{"version": 1, "crops": [{"file": "a", "class": "../x"}]}', "is not a name"),
        ('{"version": 1, "crops": [{"file": "a", "class": "can", "size_px": [1]}]}', "not a crops file"),
    ],
)
def test_a_wrong_crops_json_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    make_crops(tmp_path, {"can": 1})
    (tmp_path / "crops.json").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_crops(tmp_path)
    assert "crops.json" in str(caught.value)


def test_a_folder_without_crops_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "loose.png", item_rgba(9, 9, (1, 2, 3)))
    with pytest.raises(InputError, match=r"<class>/\*\.png"):
        load_crops(tmp_path)
    with pytest.raises(InputError, match="crops folder .* does not exist"):
        load_crops(tmp_path / "gone")


def test_backgrounds_take_their_sidecars(tmp_path: Path) -> None:
    make_belts(tmp_path, 2)
    save(tmp_path / "plain.jpg", belt_rgb(50, 40))
    save(tmp_path / "plain_mask.png", belt_rgb(50, 40))
    first, _, plain = load_backgrounds(tmp_path)
    assert first.polygon_px == ((0.0, 0.0), (160.0, 0.0), (160.0, 120.0), (0.0, 120.0))
    assert (first.id, first.file, first.source) == ("belt_0", "belt_0.jpg", "belt_0")
    assert (first.belt_mm_per_px, first.travel_deg, first.size_px) == (2.0, 0.0, (160, 120))
    assert (plain.polygon_px, plain.belt_mm_per_px, plain.travel_deg) == (None, None, None)


def test_a_sidecar_may_name_the_source(tmp_path: Path) -> None:
    make_belts(tmp_path, 1, sidecars=False)
    (tmp_path / "belt_0.yaml").write_text("source: camera 1\ntravel_deg:\n")
    (background,) = load_backgrounds(tmp_path)
    assert (background.source, background.travel_deg) == ("camera 1", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("polygon: [[0, 0]]", "unknown key 'polygon'"),
        ("polygon_px: [[0, 0], [1, 1]]", "encloses no area"),
        ("polygon_px: [[0, 0], [9, 9], [18, 18]]", "encloses no area"),
        ("polygon_px: 7", r"belt_0\.yaml"),
        ("mm_per_px_at: [[0, 0, 1]]", "not a list of at least two places"),
        ("mm_per_px_at: [[0, 0, 1], [0, 0, 2]]", "not a list of at least two places"),
        ("mm_per_px_at: [[0, 0, 1], [0, 9, -2]]", "not a list of at least two places"),
        ("mm_per_px_at: [[0, 0], [0, 9]]", r"belt_0\.yaml"),
        ("mm_per_px_at: [[0, 0, 1], [0, 9, 2]]\nbelt_mm_per_px: 1", "contradict"),
        ("polygon_px: [[0, 0], [9, .nan], [18, 0]]", "not a finite number"),
        ("belt_mm_per_px: 0", "is not positive"),
        ("travel_deg: left", "could not convert"),
        ("[1, 2]", "must hold keys"),
        ("a: [", "not YAML"),
    ],
)
def test_a_wrong_sidecar_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    make_belts(tmp_path, 1, sidecars=False)
    (tmp_path / "belt_0.yaml").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_backgrounds(tmp_path)
    assert "belt_0.yaml" in str(caught.value)


def test_backgrounds_that_differ_only_in_ending_and_masks_alone_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a_mask.png", belt_rgb(9, 9))
    with pytest.raises(InputError, match="only masks"):
        load_backgrounds(tmp_path)
    save(tmp_path / "b.png", belt_rgb(9, 9))
    save(tmp_path / "b.jpg", belt_rgb(9, 9))
    with pytest.raises(InputError, match="differ only in ending"):
        load_backgrounds(tmp_path)


def test_distractors_are_found_in_any_subfolder(tmp_path: Path) -> None:
    save(tmp_path / "drop.png", item_rgba(9, 7, (0, 0, 0)))
    save(tmp_path / "a" / "b" / "knife.PNG", item_rgba(12, 5, (0, 0, 0)))
    save(tmp_path / "a" / "b" / "knife_mask.png", np.zeros((5, 12), np.uint8))
    document = {"version": 1, "crops": [{"file": "drop.png", "class": "dirt", "source": "hose", "length_mm": 8}]}
    (tmp_path / "crops.json").write_text(json.dumps(document), encoding="utf-8")
    knife, drop = load_distractors(tmp_path)
    assert (knife.id, knife.file, knife.mask_file) == ("distractor:a/b/knife", "a/b/knife.PNG", None)
    assert (drop.id, drop.source, drop.length_mm, drop.size_px) == ("distractor:drop", "hose", 8.0, (9, 7))
    assert {knife.category, drop.category} == {""}


def test_distractors_of_one_name_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "drop.png", item_rgba(9, 7, (0, 0, 0)))
    save(tmp_path / "drop.PNG", item_rgba(9, 7, (0, 0, 0)))
    with pytest.raises(InputError, match="differ only in ending"):
        load_distractors(tmp_path)
