from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.config.frames import FramesConfig
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.images import list_images, read_rgb
from garbage_synth.stages.frames import frames
from tests.makers import belt_rgb, save

WIDTH, HEIGHT = 160, 120
BELT = belt_rgb(WIDTH, HEIGHT)


def scene(left: int, noise_seed: int = 0) -> NDArray[np.uint8]:
    """The belt with one bright box whose left edge is at `left` (may be outside), and camera noise."""
    image = BELT.astype(float) + np.random.default_rng(noise_seed).normal(0, 3, BELT.shape)
    image[40:80, max(0, left) : max(0, left + 40)] = (220, 200, 40)
    return np.clip(image, 0, 255).astype(np.uint8)


def video(path: Path, pictures: list[NDArray[np.uint8]], fps: float = 10.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (WIDTH, HEIGHT))
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def test_a_standing_belt_gives_one_picture_and_a_moving_one_each(tmp_path: Path) -> None:
    standing = [scene(20, seed) for seed in range(10)]
    moving = [scene(20 + 30 * step, step) for step in range(1, 4)]
    source = video(tmp_path / "line.avi", standing + moving)
    summary = frames(source, tmp_path / "out", every=0.1)
    names = [path.name for path in list_images(tmp_path / "out")]
    assert names == ["line_0000000.jpg", "line_0000010.jpg", "line_0000011.jpg", "line_0000012.jpg"]
    assert summary.numbers == {"looks": 13, "kept": 4, "near_duplicates": 9}
    assert summary.open_file == tmp_path / "out" / "line_0000000.jpg"


def test_a_scene_that_comes_back_is_no_new_picture(tmp_path: Path) -> None:
    source = video(tmp_path / "line.avi", [scene(0), scene(60), scene(0, 5), scene(60, 6)])
    assert frames(source, tmp_path / "out", every=0.1).numbers["kept"] == 2


def test_a_lamp_that_flickers_is_no_new_picture(tmp_path: Path) -> None:
    brighter = np.clip(scene(20).astype(int) + 25, 0, 255).astype(np.uint8)
    source = video(tmp_path / "line.avi", [scene(20), brighter])
    assert frames(source, tmp_path / "out", every=0.1).numbers["kept"] == 1


def test_min_change_zero_keeps_every_look(tmp_path: Path) -> None:
    source = video(tmp_path / "line.avi", [scene(20)] * 4)
    summary = frames(source, tmp_path / "out", every=0.1, config=FramesConfig(min_change=0))
    assert summary.numbers["kept"] == 4


def test_every_is_in_seconds(tmp_path: Path) -> None:
    source = video(tmp_path / "line.avi", [scene(15 * step) for step in range(10)], fps=5)
    frames(source, tmp_path / "out", every=0.6)
    assert [path.stem[-1] for path in list_images(tmp_path / "out")] == ["0", "3", "6", "9"]


def test_the_median_of_a_moving_line_is_the_empty_belt(tmp_path: Path) -> None:
    source = video(tmp_path / "line.avi", [scene(-40 + 20 * step, step) for step in range(12)])
    summary = frames(source, tmp_path / "out", every=0.1, median=tmp_path / "plates" / "plate.png")
    plate = read_rgb(tmp_path / "plates" / "plate.png").astype(int)
    assert np.abs(plate - BELT).mean() < 4
    assert np.abs(plate[40:80] - BELT[40:80]).max() < 40  # no trace of the box
    assert summary.warnings == ()
    assert summary.numbers["plate_looks"] == 12
    assert summary.open_file == tmp_path / "plates" / "plate.png"


def test_a_belt_that_is_mostly_covered_is_said_to_be(tmp_path: Path) -> None:
    source = video(tmp_path / "line.avi", [scene(20)] * 5 + [scene(60)] * 5)
    summary = frames(source, tmp_path / "out", every=0.1, median=tmp_path / "plate.jpg")
    assert "covered more than half of the time" in summary.warnings[0]
    assert summary.numbers["plate_covered_fraction"] > 0.1


def test_the_median_takes_looks_from_the_whole_video_within_its_memory(tmp_path: Path) -> None:
    pictures = [np.full((HEIGHT, WIDTH, 3), 10 * step, np.uint8) for step in range(20)]
    source = video(tmp_path / "line.avi", pictures)
    config = FramesConfig(plate_frames=5)
    summary = frames(source, tmp_path / "out", every=0.1, median=tmp_path / "plate.png", config=config)
    assert summary.numbers["plate_looks"] == 5
    assert abs(float(read_rgb(tmp_path / "plate.png").mean()) - 80) < 3  # of looks 0, 4, 8, 12, 16


def test_a_folder_of_pictures_keeps_their_names_and_reads_odd_files_right(tmp_path: Path) -> None:
    save(tmp_path / "in" / "b.png", scene(60))
    save(tmp_path / "in" / "a.jpg", scene(0))
    save(tmp_path / "in" / "c.png", scene(60, 3))
    summary = frames(tmp_path / "in", tmp_path / "out")
    assert [path.name for path in list_images(tmp_path / "out")] == ["a.jpg", "b.jpg"]
    assert summary.numbers["looks"] == 3


def test_a_folder_of_videos_reads_all(tmp_path: Path) -> None:
    video(tmp_path / "in" / "a.avi", [scene(0)])
    video(tmp_path / "in" / "b.avi", [scene(60)])
    frames(tmp_path / "in", tmp_path / "out")
    assert [path.name for path in list_images(tmp_path / "out")] == ["a_0000000.jpg", "b_0000000.jpg"]


def test_a_bad_picture_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", scene(0))
    (tmp_path / "in" / "b.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"b\.jpg"):
        frames(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pictures_of_two_sizes_have_no_median_but_are_taken_otherwise(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", scene(0))
    save(tmp_path / "in" / "b.png", belt_rgb(90, 80))
    with pytest.raises(InputError, match=r"b\.png is 90x80 pixels, those before 160x120"):
        frames(tmp_path / "in", tmp_path / "out", median=tmp_path / "plate.jpg")
    assert not (tmp_path / "out").exists()
    assert frames(tmp_path / "in", tmp_path / "out").numbers["looks"] == 2


def test_videos_of_two_sizes_have_no_median(tmp_path: Path) -> None:
    video(tmp_path / "in" / "a.avi", [scene(0)])
    writer = cv2.VideoWriter(str(tmp_path / "in" / "b.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (80, 64))
    writer.write(np.zeros((64, 80, 3), np.uint8))
    writer.release()
    with pytest.raises(InputError, match="a median needs one camera"):
        frames(tmp_path / "in", tmp_path / "out", median=tmp_path / "plate.jpg")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds no video"),
        ({"notes.txt": "x"}, "holds no video"),
        ({"a.avi": "x", "b.jpg": "x"}, "holds videos .* and pictures"),
        ({"a.avi": "x"}, "is not a video"),
        ({"x/a.jpg": "x", "y/a.png": "x"}, "have the same name"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    (tmp_path / "in").mkdir()
    for name, text in files.items():
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text(text)
    with pytest.raises(InputError, match=said):
        frames(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    source = video(tmp_path / "in" / "line.avi", [scene(0)])
    for every in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="positive number of seconds"):
            frames(source, tmp_path / "out", every=every)
    with pytest.raises(InputError, match="source .* does not exist"):
        frames(tmp_path / "gone", tmp_path / "out")
    (tmp_path / "there.jpg").write_text("")
    (tmp_path / "folder.jpg").mkdir()
    for median, said in {
        "plate.gif": "must end in",
        "there.jpg": "is there already",
        "folder.jpg": "is a folder",
        "in/plate.jpg": "lies in the source",
        "out/plate.jpg": "lies among the pictures",
    }.items():
        with pytest.raises(InputError, match=said):
            frames(tmp_path / "in", tmp_path / "out", median=tmp_path / median)
    assert not (tmp_path / "out").exists()


def test_overwrite_resume_and_dry_run(tmp_path: Path) -> None:
    source = video(tmp_path / "line.avi", [scene(0), scene(60)])
    assert frames(source, tmp_path / "out", every=0.1, dry_run=True).numbers["looks"] == 2
    assert not (tmp_path / "out").exists()
    first = frames(source, tmp_path / "out", every=0.1)
    before = (tmp_path / "out" / "line_0000001.jpg").stat().st_mtime_ns
    assert frames(source, tmp_path / "out", every=0.1, resume=True).numbers == first.numbers
    assert (tmp_path / "out" / "line_0000001.jpg").stat().st_mtime_ns == before
    with pytest.raises(OutputExistsError):
        frames(source, tmp_path / "out", every=0.1)
    frames(source, tmp_path / "out", every=0.2, overwrite=True)
    assert len(list_images(tmp_path / "out")) == 1


def test_a_video_without_a_frame_rate_is_read_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = video(tmp_path / "line.avi", [scene(0)] * 2)
    real = cv2.VideoCapture

    class NoRate:
        def __init__(self, *arguments: object) -> None:
            self._capture = real(*arguments)  # type: ignore[call-overload]

        def get(self, key: int) -> float:
            return 0.0 if key == cv2.CAP_PROP_FPS else float(self._capture.get(key))

        def __getattr__(self, name: str) -> object:
            return getattr(self._capture, name)

    monkeypatch.setattr("garbage_synth.io.video.cv2.VideoCapture", NoRate)
    assert "25 per second assumed" in frames(source, tmp_path / "out").warnings[0]


def test_a_picture_of_the_user_is_never_taken_for_the_plate(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / "in" / f"{number}.png", belt_rgb(40, 30, seed=number))
    plate = tmp_path / "plate.png"
    frames(tmp_path / "in", tmp_path / "out", median=plate)
    frames(tmp_path / "in", tmp_path / "out", median=plate, overwrite=True)
    plate.write_bytes(b"holiday")
    for flags in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputExistsError, match=r"plate\.png"):
            frames(tmp_path / "in", tmp_path / "out", median=plate, **flags)
    assert plate.read_bytes() == b"holiday"
