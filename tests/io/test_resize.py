import numpy as np
import pytest

from garbage_synth.errors import InputError
from garbage_synth.io.resize import parse_resize, resize_labels, resize_rgb, short_side_wh


def test_resize_flag_is_read() -> None:
    assert parse_resize(None) is None
    assert parse_resize("short:286") == 286


@pytest.mark.parametrize("text", ["", "286", "short:", "short:7", "short:-5", "long:9", "short:99999", "short:2.5"])
def test_wrong_resize_flags_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="short:P"):
        parse_resize(text)


@pytest.mark.parametrize(
    ("size_wh", "short", "wanted"),
    [((640, 480), 240, (320, 240)), ((480, 640), 240, (240, 320)), ((3, 3), 8, (8, 8)), ((1000, 3), 9, (3000, 9))],
)
def test_shorter_side_gets_its_length_and_the_shape_stays(
    size_wh: tuple[int, int], short: int, wanted: tuple[int, int]
) -> None:
    assert short_side_wh(size_wh, short) == wanted


def test_resized_picture_keeps_means_and_the_same_size_is_untouched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    assert resize_rgb(image, (60, 40)) is image
    for size_wh in ((30, 20), (90, 60), (30, 60)):
        resized = resize_rgb(image, size_wh)
        assert resized.shape == (size_wh[1], size_wh[0], 3)
        assert resized.dtype == np.uint8
        assert abs(float(resized.mean()) - float(image.mean())) < 2
    blocks = image[:40, :60].reshape(20, 2, 30, 2, 3).mean(axis=(1, 3))
    assert np.abs(resize_rgb(image, (30, 20)) - blocks).max() <= 1


def test_resized_labels_come_from_the_middle_and_never_mix() -> None:
    row = np.arange(9, dtype=np.uint8)[None].repeat(2, axis=0)
    assert resize_labels(row, (3, 2)).tolist() == [[1, 4, 7]] * 2
    assert resize_labels(row, (9, 2)).tolist() == row.tolist()
    labels = np.random.default_rng(0).choice(np.array([0, 7, 200], np.uint8), (40, 60))
    for size_wh in ((23, 17), (90, 61)):
        resized = resize_labels(labels, size_wh)
        assert (resized.shape, resized.dtype) == (size_wh[::-1], np.uint8)
        assert set(np.unique(resized)) == {0, 7, 200}
