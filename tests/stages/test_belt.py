import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from typer.testing import CliRunner

from garbage_synth.cli import app
from garbage_synth.core.progress import NullProgress
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.catalog import load_backgrounds
from garbage_synth.io.images import image_size, read_rgb
from garbage_synth.stages.belt import belt
from tests.makers import belt_rgb, save

EDGES_Y = (30, 210)


def between_rails(seed: int = 0) -> NDArray[np.uint8]:
    """320x240: a dark belt between two bright rails that run to the right."""
    image = belt_rgb(320, 240, seed)
    image[: EDGES_Y[0]] += np.uint8(110)
    image[EDGES_Y[1] :] += np.uint8(110)
    return image


@pytest.fixture
def belts(tmp_path: Path) -> Path:
    """A folder of two belts between rails, and one that fills the frame."""
    folder = tmp_path / "belts"
    save(folder / "a.jpg", between_rails(1))
    save(folder / "b.png", between_rails(2))
    save(folder / "c.jpg", belt_rgb(320, 240, 3))
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Heard(NullProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def test_a_folder_gets_sidecars_that_composite_reads(belts: Path) -> None:
    summary = belt([belts], mm_per_px=0.5)
    first, second, third = load_backgrounds(belts)
    for background in (first, second):
        assert background.polygon_px is not None
        ys = sorted(y for _, y in background.polygon_px)
        assert np.allclose(ys, [EDGES_Y[0], EDGES_Y[0], EDGES_Y[1], EDGES_Y[1]], atol=3)
        assert {x for x, _ in background.polygon_px} == {0, 320}
        assert background.belt_mm_per_px == 0.5
        assert background.travel_deg is not None
        assert min(background.travel_deg, 180 - background.travel_deg) < 1
    assert third.polygon_px == ((0, 0), (320, 0), (320, 240), (0, 240))
    assert (third.belt_mm_per_px, third.travel_deg) == (0.5, None)
    assert {key: summary.numbers[key] for key in ("pictures", "written", "skipped")} == {
        "pictures": 3,
        "written": 3,
        "skipped": 0,
    }
    assert [fact["edges"] for fact in summary.numbers["proposals"]] == [2, 2, 0]


def test_overlays_go_beside_the_folder_never_into_it(belts: Path) -> None:
    summary = belt([belts])
    assert sorted(tree(belts)) == ["a.jpg", "a.yaml", "b.png", "b.yaml", "c.jpg", "c.yaml"]
    check = belts.with_name("belts_belt_check")
    assert sorted(tree(check)) == ["a.jpg", "b.jpg", "c.jpg", "garbage-synth.json"]
    assert (summary.out, summary.open_file) == (check, check / "a.jpg")
    shown, picture = read_rgb(check / "a.jpg").astype(int), read_rgb(belts / "a.jpg").astype(int)
    assert np.abs(shown[60:180] - picture[60:180]).mean() < 6  # the belt as it is
    assert np.abs(shown[:20] - picture[:20] / 3).mean() < 6  # dimmed beside it
    assert shown[EDGES_Y[0] - 3 : EDGES_Y[0] + 3, :, 1].max(axis=0).min() > 150  # outlined


def test_a_large_picture_gets_an_overlay_of_a_size_to_look_at(tmp_path: Path) -> None:
    large = cv2.resize(between_rails(), (1600, 1200), interpolation=cv2.INTER_LINEAR)
    belt([save(tmp_path / "line" / "a.jpg", np.asarray(large, np.uint8))])
    assert image_size(tmp_path / "line_belt_check" / "a.jpg") == (1280, 960)
    (background,) = load_backgrounds(tmp_path / "line")
    assert background.polygon_px is not None
    assert max(y for _, y in background.polygon_px) == pytest.approx(5 * EDGES_Y[1], abs=8)


def test_a_belt_without_edges_is_to_be_drawn_by_hand(belts: Path) -> None:
    heard = Heard()
    summary = belt([belts], progress=heard)
    (warning,) = summary.warnings
    assert "c.jpg" in warning
    assert "by hand" in warning
    assert f"warning: {warning}" in heard.lines


def test_a_sidecar_is_kept_and_its_picture_said_to_be_skipped(belts: Path) -> None:
    (belts / "a.yaml").write_text("source: camera1  # mine\n")
    heard = Heard()
    summary = belt([belts], mm_per_px=2, progress=heard)
    assert (belts / "a.yaml").read_text() == "source: camera1  # mine\n"
    assert (summary.numbers["written"], summary.numbers["skipped"]) == (2, 1)
    assert any("a.jpg is skipped" in line and "--overwrite" in line for line in heard.lines)
    assert not (belts.with_name("belts_belt_check") / "a.jpg").exists()
    before = tree(belts.parent)
    again = belt([belts])
    assert (again.numbers["skipped"], again.out, again.open_file) == (3, None, None)
    assert tree(belts.parent) == before


def test_overwrite_replaces_the_polygon_and_keeps_the_other_keys(belts: Path) -> None:
    before = {
        "polygon_px": [[0, 0], [9, 0], [9, 9]],
        "source": "Kamera Süd",
        "belt_mm_per_px": 0.7,
        "travel_deg": 181.5,
    }
    (belts / "a.yaml").write_text(yaml.safe_dump(before, allow_unicode=True), encoding="utf-8")
    belt([belts / "a.jpg"], overwrite=True)
    after = yaml.safe_load((belts / "a.yaml").read_text(encoding="utf-8"))
    assert {key: value for key, value in after.items() if key != "polygon_px"} == {
        key: value for key, value in before.items() if key != "polygon_px"
    }
    assert after["polygon_px"] != before["polygon_px"]
    belt([belts / "a.jpg"], overwrite=True, mm_per_px=0.9, travel_deg=0)
    after = yaml.safe_load((belts / "a.yaml").read_text(encoding="utf-8"))
    assert (after["belt_mm_per_px"], after["travel_deg"], after["source"]) == (0.9, 0, "Kamera Süd")


def test_travel_that_is_given_is_written_as_it_is(belts: Path) -> None:
    belt([belts], travel_deg=270)
    assert {background.travel_deg for background in load_backgrounds(belts)} == {270}


def test_dry_run_proposes_and_writes_nothing(belts: Path) -> None:
    before = tree(belts.parent)
    summary = belt([belts], dry_run=True)
    assert tree(belts.parent) == before
    assert (summary.numbers["written"], summary.out, summary.open_file) == (3, None, None)
    assert len(summary.numbers["proposals"]) == 3


def test_masks_are_no_belts_and_a_picture_given_twice_is_one(belts: Path) -> None:
    save(belts / "a_mask.png", np.zeros((240, 320), np.uint8))
    assert belt([belts, belts / "a.jpg"], dry_run=True).numbers["pictures"] == 3


def test_an_overlay_folder_may_be_named_and_used_again(belts: Path, tmp_path: Path) -> None:
    check = tmp_path / "look" / "here"
    assert belt([belts / "a.jpg"], overlay=check).open_file == check / "a.jpg"
    belt([belts / "b.png"], overlay=check)
    assert sorted(tree(check)) == ["a.jpg", "b.jpg", "garbage-synth.json"]


@pytest.mark.parametrize("place", [".", "check", "x/../."])
def test_an_overlay_folder_among_the_pictures_is_refused(belts: Path, place: str) -> None:
    before = tree(belts.parent)
    with pytest.raises(InputError, match="every picture counts as a belt"):
        belt([belts / "a.jpg"], overlay=belts / place)
    assert tree(belts.parent) == before


def test_pictures_of_others_are_not_overwritten_by_overlays(belts: Path, tmp_path: Path) -> None:
    save(tmp_path / "holiday" / "a.jpg", belt_rgb(20, 20))
    before = tree(tmp_path)
    with pytest.raises(OutputExistsError, match="did not make"):
        belt([belts], overlay=tmp_path / "holiday")
    with pytest.raises(OutputExistsError, match="is a file"):
        belt([belts], overlay=tmp_path / "holiday" / "a.jpg")
    assert tree(tmp_path) == before


def test_two_overlays_of_one_name_are_refused(belts: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other" / "a.jpg", between_rails())
    with pytest.raises(InputError, match="would be one file"):
        belt([belts, other], overlay=tmp_path / "check")
    summary = belt([belts, other])
    assert summary.out is None
    assert (tmp_path / "other_belt_check" / "a.jpg").is_file()


def test_a_damaged_picture_is_one_line_and_nothing_is_written(belts: Path) -> None:
    whole = (belts / "b.png").read_bytes()
    (belts / "b.png").write_bytes(whole[: len(whole) // 2])
    before = tree(belts.parent)
    with pytest.raises(InputError, match=r"b\.png is damaged") as caught:
        belt([belts])
    assert "\n" not in str(caught.value)
    assert tree(belts.parent) == before


def test_a_damaged_sidecar_is_refused_before_anything_is_written(belts: Path) -> None:
    (belts / "b.yaml").write_text("polygon_px: [")
    before = tree(belts.parent)
    with pytest.raises(InputError, match=r"b\.yaml is not YAML"):
        belt([belts], overwrite=True)
    assert tree(belts.parent) == before


def test_what_is_no_picture_is_refused(belts: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("belts")
    (tmp_path / "empty").mkdir()
    for given, said in (
        ([], "no picture given"),
        ([tmp_path / "gone"], "does not exist"),
        ([tmp_path / "notes.txt"], "no picture by its ending"),
        ([tmp_path / "empty"], "holds no picture"),
    ):
        with pytest.raises(InputError, match=said):
            belt(given)
    save(belts / "a.png", between_rails())
    for given in ([belts], [belts / "a.jpg", belts / "a.png"]):
        with pytest.raises(InputError, match="differ only in ending"):
            belt(given)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_must_be_positive(belts: Path, value: float) -> None:
    with pytest.raises(InputError, match="positive number"):
        belt([belts], mm_per_px=value)


def test_a_direction_must_be_a_number(belts: Path) -> None:
    with pytest.raises(InputError, match="degrees from -360 to 360"):
        belt([belts], travel_deg=float("nan"))


def test_a_picture_named_without_its_folder(belts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(belts)
    belt([Path("a.jpg")])
    belt([Path()])
    assert sorted(tree(belts.with_name("belts_belt_check"))) == ["a.jpg", "b.jpg", "c.jpg", "garbage-synth.json"]


def test_the_command_prints_its_summary_as_json(belts: Path) -> None:
    result = CliRunner().invoke(app, ["belt", str(belts), "--json"])
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert (summary["stage"], summary["ok"], summary["numbers"]["written"]) == ("belt", True, 3)
    assert summary["open_file"].endswith("a.jpg")
    assert {"picture", "edges", "confidence", "reason"} == set(summary["numbers"]["proposals"][0])
    (belts / "c.yaml").unlink()
    (belts / "c.jpg").write_bytes(b"\xff\xd8")
    result = CliRunner().invoke(app, ["belt", str(belts)])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "c.jpg" in result.stderr.splitlines()[-1]


def test_the_rendered_belts_are_found(sample_data: Path, tmp_path: Path) -> None:
    overlaps = []
    for truth in load_backgrounds(sample_data / "belts"):
        (tmp_path / truth.file).write_bytes((sample_data / "belts" / truth.file).read_bytes())
    belt([tmp_path], overlay=tmp_path.with_name("check"))
    for truth, found in zip(load_backgrounds(sample_data / "belts"), load_backgrounds(tmp_path), strict=True):
        masks = []
        for background in (truth, found):
            mask = np.zeros(truth.size_px[::-1], np.uint8)
            cv2.fillPoly(mask, [np.rint(np.array(background.polygon_px)).astype(np.int32)], (1,))
            masks.append(mask > 0)
        overlaps.append((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())
    assert np.mean(overlaps) > 0.95
    assert min(overlaps) > 0.9
