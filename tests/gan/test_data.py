from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from garbage_synth.core.progress import NullProgress
from garbage_synth.errors import InputError
from garbage_synth.gan.data import CropStream, Domain, centre_crops, random_crop, stream_batches


class Pictures:
    """Reads path "<n>" as a picture whose values are n, and counts how often."""

    def __init__(self, shape_hw: tuple[int, int] = (12, 16)) -> None:
        self.shape_hw = shape_hw
        self.reads: list[str] = []

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        self.reads.append(path.name)
        if path.name == "bad":
            raise InputError("picture bad is damaged")
        return np.full((*self.shape_hw, 3), int(path.name), np.uint8)


def domain(count: int, read: Pictures | None = None, cache_bytes: int = 10**6) -> Domain:
    return Domain("real", [Path(str(n)) for n in range(count)], read or Pictures(), cache_bytes=cache_bytes)


def stream(count: int = 5, batch: int = 1, seed: int = 0, flip: bool = True) -> CropStream:
    return CropStream(domain(count), crop=8, batch=batch, flip=flip, seed=seed)


def numbers(crops: CropStream, steps: range) -> list[int]:
    return [int(value) for step in steps for value in crops.crops(step)[:, 0, 0, 0]]


def gradient_rgb(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, y + x], axis=-1).astype(np.uint8)


def test_every_picture_comes_once_per_pass_in_changing_order() -> None:
    crops = stream(5)
    first, second = numbers(crops, range(5)), numbers(crops, range(5, 10))
    assert sorted(first) == sorted(second) == [0, 1, 2, 3, 4]
    assert first != second


def test_batches_continue_the_same_sequence() -> None:
    assert numbers(stream(5, batch=2), range(5)) == numbers(stream(5), range(10))


def test_crops_depend_on_seed_and_step_alone() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)

    def crops(seed: int, step: int) -> torch.Tensor:
        source = Domain("real", [Path("0")], lambda _: picture, cache_bytes=0)
        return CropStream(source, crop=8, batch=1, flip=True, seed=seed).crops(step)

    assert torch.equal(crops(0, 7), crops(0, 7))
    assert not torch.equal(crops(0, 7), crops(1, 7))
    assert not torch.equal(crops(0, 7), crops(0, 8))


def test_random_crop_is_a_piece_of_the_picture_at_native_scale() -> None:
    image = gradient_rgb(30, 40)
    corners = set()
    for seed in range(200):
        piece = random_crop(image, 8, np.random.default_rng(seed), flip=False)
        top, left = int(piece[0, 0, 0]), int(piece[0, 0, 1])
        assert np.array_equal(piece, image[top : top + 8, left : left + 8])
        corners.add((top, left))
    assert max(top for top, _ in corners) == 22
    assert max(left for _, left in corners) == 32
    assert min(top for top, _ in corners) == min(left for _, left in corners) == 0


def test_random_crop_mirrors_half_of_the_pieces_left_to_right_only() -> None:
    image = gradient_rgb(20, 20)
    pieces = [random_crop(image, 8, np.random.default_rng(seed), flip=True) for seed in range(100)]
    mirrored = sum(bool(piece[0, 0, 1] > piece[0, -1, 1]) for piece in pieces)
    assert 30 < mirrored < 70
    assert all(piece[0, 0, 0] < piece[-1, 0, 0] for piece in pieces)


@pytest.mark.parametrize("shape_hw", [(1, 1), (3, 40), (7, 2), (8, 8)])
def test_picture_smaller_than_the_crop_is_mirrored_to_fill_it(shape_hw: tuple[int, int]) -> None:
    image = gradient_rgb(*shape_hw)
    piece = random_crop(image, 8, np.random.default_rng(0), flip=False)
    assert piece.shape == (8, 8, 3)
    assert set(np.unique(piece[..., 0])) == set(range(shape_hw[0]))


def test_centre_crops_are_spread_over_the_domain() -> None:
    assert centre_crops(domain(9), crop=8, count=3)[:, 0, 0, 0].tolist() == [0, 4, 8]
    assert centre_crops(domain(2), crop=8, count=4).shape == (2, 3, 8, 8)
    picture = gradient_rgb(12, 16)
    source = Domain("real", [Path("0")], lambda _: picture, cache_bytes=0)
    crop = centre_crops(source, crop=8, count=1)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(crop, picture[2:10, 4:12])


def test_pictures_that_fit_are_decoded_once_and_the_rest_each_time() -> None:
    read = Pictures((10, 10))
    source = domain(4, read, cache_bytes=2 * 300)
    source.check(threads=1, progress=NullProgress())
    assert read.reads == ["0", "1", "2", "3"]
    for index in (0, 1, 2, 3, 0, 1, 2, 3):
        assert source.picture(index)[0, 0, 0] == index
    assert read.reads[4:] == ["2", "3", "2", "3"]


def test_check_gives_sizes_and_finds_a_bad_file() -> None:
    assert domain(3).check(threads=2, progress=NullProgress()) == [(16, 12)] * 3
    source = Domain("real", [Path("1"), Path("bad"), Path("2")], Pictures(), cache_bytes=0)
    with pytest.raises(InputError, match="damaged"):
        source.check(threads=2, progress=NullProgress())


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_come_in_order_whatever_the_number_of_threads(threads: int) -> None:
    synthetic, real = stream(seed=1), stream(seed=2)
    batches = list(stream_batches(synthetic, real, range(3, 12), threads=threads))
    assert len(batches) == 9
    for step, batch in zip(range(3, 12), batches, strict=True):
        assert torch.equal(batch.synthetic, synthetic.crops(step))
        assert torch.equal(batch.real, real.crops(step))


def test_no_steps_give_no_batches() -> None:
    assert list(stream_batches(stream(), stream(), range(4, 4), threads=2)) == []
    assert list(stream_batches(stream(), stream(), range(4, 2), threads=2)) == []


def test_error_of_a_reader_reaches_the_training() -> None:
    source = Domain("real", [Path("bad")], Pictures(), cache_bytes=0)
    bad = CropStream(source, crop=8, batch=1, flip=False, seed=0)
    with pytest.raises(InputError, match="damaged"):
        list(stream_batches(stream(), bad, range(4), threads=2))
