from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from garbage_synth.config.detector import AugmentConfig
from garbage_synth.detect.samples import LabelledPicture, Samples, canvas_hw, padded, scaled

PLAIN = AugmentConfig(
    mosaic=0, scale=(1, 1), flip_horizontal=0, flip_vertical=0, brightness=0, contrast=0, saturation=0, hue=0
)


def picture(colour: tuple[int, int, int], reads: list[int] | None = None) -> LabelledPicture:
    """128x96, black, with one coloured rectangle at (32, 16, 64, 48)."""

    def read() -> NDArray[np.uint8]:
        if reads is not None:
            reads.append(1)
        pixels = np.zeros((96, 128, 3), np.uint8)
        pixels[16:48, 32:64] = colour
        return pixels

    return LabelledPicture(read, np.array([[32.0, 16, 64, 48]]), np.array([2]))


def samples(
    augment: AugmentConfig, *, cache_bytes: int = 10**9, first: int = 0, reads: list[int] | None = None
) -> Samples:
    pictures = [picture((255, 0, 0), reads), picture((0, 255, 0), reads), picture((0, 0, 255), reads)]
    return Samples(
        pictures, augment, image_px=64, size_hw=(64, 64), seed=3, first=first, stop=60, cache_bytes=cache_bytes
    )


def drawn_box(sample_picture: torch.Tensor) -> list[int]:
    """The bounding box of the coloured pixels."""
    strong = sample_picture.float()
    y, x = torch.nonzero(strong.max(0).values - strong.min(0).values > 100, as_tuple=True)
    return [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"flip_horizontal": 1},
        {"flip_vertical": 1},
        {"scale": (0.5, 0.9)},
        {"flip_vertical": 1, "scale": (0.7, 0.9)},
    ],
)
def test_a_box_stays_on_its_item(change: dict[str, object]) -> None:
    data = samples(PLAIN.model_copy(update=change))

    for index in range(12):
        sample = data[index]
        assert sample.classes.tolist() == [2]
        np.testing.assert_allclose(sample.boxes[0].numpy(), drawn_box(sample.picture), atol=1.5)


def test_boxes_are_cut_where_the_zoom_cuts_items_and_left_out_where_little_is_seen() -> None:
    data = samples(PLAIN.model_copy(update={"scale": (2.5, 3.0)}))
    counts = []
    for index in range(60):
        sample = data[index]
        counts.append(len(sample.boxes))
        assert (sample.boxes >= 0).all()
        assert (sample.boxes <= 64).all()
        if len(sample.boxes):
            np.testing.assert_allclose(sample.boxes[0].numpy(), drawn_box(sample.picture), atol=2.5)

    assert {0, 1} == set(counts)


def test_a_mosaic_shows_the_items_of_several_pictures() -> None:
    data = samples(PLAIN.model_copy(update={"mosaic": 1.0, "scale": (0.5, 0.6)}))

    assert max(len(data[index].boxes) for index in range(10)) == 4


def test_a_sample_depends_on_its_number_alone() -> None:
    late, whole = samples(AugmentConfig(), first=7), samples(AugmentConfig(), cache_bytes=0)

    for index in (5, 0, 5):
        assert torch.equal(late[index].picture, whole[index + 7].picture)
        assert torch.equal(late[index].boxes, whole[index + 7].boxes)
    assert not torch.equal(whole[0].picture, whole[3].picture)


def test_an_epoch_shows_every_picture_once() -> None:
    data = samples(PLAIN)

    for epoch in range(3):
        strongest = [int(data[3 * epoch + place].picture.amax((1, 2)).argmax()) for place in range(3)]
        assert sorted(strongest) == [0, 1, 2]


@pytest.mark.parametrize(("cache_bytes", "expected"), [(10**9, 3), (0, 12)])
def test_pictures_are_read_once_where_memory_allows(cache_bytes: int, expected: int) -> None:
    reads: list[int] = []
    data = samples(PLAIN, cache_bytes=cache_bytes, reads=reads)
    for index in range(12):
        data[index]

    assert len(reads) == expected


@pytest.mark.parametrize("part", ["brightness", "contrast", "saturation", "hue"])
def test_each_change_of_colour_changes_colours_alone(part: str) -> None:
    changed, plain = samples(PLAIN.model_copy(update={part: 0.4}))[0], samples(PLAIN)[0]

    assert not torch.equal(changed.picture, plain.picture)
    assert torch.equal(changed.boxes, plain.boxes)


def test_a_picture_without_items_has_no_boxes() -> None:
    def read() -> NDArray[np.uint8]:
        return np.zeros((96, 128, 3), np.uint8)

    empty = LabelledPicture(read, np.zeros((0, 4)), np.zeros(0, np.int64))
    data = Samples([empty], AugmentConfig(), image_px=64, size_hw=(64, 64), seed=0, first=0, stop=4, cache_bytes=0)

    assert [data[index].boxes.shape for index in range(4)] == [(0, 4)] * 4


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([(640, 480)], (192, 256)), ([(480, 640)], (256, 192)), ([(100, 100), (640, 480), (640, 480)], (192, 256))],
)
def test_samples_have_the_median_shape(sizes: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    assert canvas_hw(sizes, 256) == expected


@pytest.mark.parametrize("make", [lambda p: scaled(p, 64), padded])
def test_pictures_for_the_network_keep_their_upper_left(make: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None:
    pixels = np.full((90, 120, 3), 200, np.uint8)

    assert (make(pixels)[:40, :60] == 200).all()
    assert scaled(pixels, 64).shape == (48, 64, 3)
    assert padded(pixels).shape == (96, 128, 3)
