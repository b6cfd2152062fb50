from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from garbage_synth.core.progress import NullProgress
from garbage_synth.errors import InputError
from garbage_synth.gan.data import (
    CropStream,
    Cut,
    Domain,
    centre_crops,
    stream_batches,
)


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


def cut_at_random(image: NDArray[np.uint8], seed: int, *, flip: bool) -> NDArray[np.uint8]:
    return Cut.draw(image.shape[:2], 8, np.random.default_rng(seed), flip=flip).of(image)


def class_map_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Classes that follow from the pixels, so that a crop of both must agree."""
    return (image[..., 0] // 3 % 4).astype(np.uint8)


def labelled(count: int, *, cache_bytes: int = 10**6, shape_hw: tuple[int, int] = (20, 24)) -> Domain:
    def read(path: Path) -> NDArray[np.uint8]:
        return np.random.default_rng(int(path.name)).integers(0, 256, (*shape_hw, 3)).astype(np.uint8)

    paths = [Path(str(n)) for n in range(count)]
    return Domain("synthetic", paths, read, cache_bytes=cache_bytes, labels=lambda path: class_map_of(read(path)))


def half_covered(height: int = 60, width: int = 240) -> NDArray[np.uint8]:
    """An even belt with small bright squares, all in its left half."""
    image = np.full((height, width, 3), 60, np.uint8)
    for left in range(4, 110, 24):
        image[8:20, left : left + 12] = image[34:46, left : left + 12] = 220
    return image


def numbers(crops: CropStream, steps: range) -> list[int]:
    return [int(value) for step in steps for value in crops.crops(step).images[:, 0, 0, 0]]


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
        return CropStream(source, crop=8, batch=1, flip=True, seed=seed).crops(step).images

    assert torch.equal(crops(0, 7), crops(0, 7))
    assert not torch.equal(crops(0, 7), crops(1, 7))
    assert not torch.equal(crops(0, 7), crops(0, 8))


def test_random_crop_is_a_piece_of_the_picture_at_native_scale() -> None:
    image = gradient_rgb(30, 40)
    corners = set()
    for seed in range(200):
        piece = cut_at_random(image, seed, flip=False)
        top, left = int(piece[0, 0, 0]), int(piece[0, 0, 1])
        assert np.array_equal(piece, image[top : top + 8, left : left + 8])
        corners.add((top, left))
    assert max(top for top, _ in corners) == 22
    assert max(left for _, left in corners) == 32
    assert min(top for top, _ in corners) == min(left for _, left in corners) == 0


def test_random_crop_mirrors_half_of_the_pieces_left_to_right_only() -> None:
    image = gradient_rgb(20, 20)
    pieces = [cut_at_random(image, seed, flip=True) for seed in range(100)]
    mirrored = sum(bool(piece[0, 0, 1] > piece[0, -1, 1]) for piece in pieces)
    assert 30 < mirrored < 70
    assert all(piece[0, 0, 0] < piece[-1, 0, 0] for piece in pieces)


@pytest.mark.parametrize("shape_hw", [(1, 1), (3, 40), (7, 2), (8, 8)])
def test_picture_smaller_than_the_crop_is_mirrored_to_fill_it(shape_hw: tuple[int, int]) -> None:
    image = gradient_rgb(*shape_hw)
    piece = cut_at_random(image, 0, flip=False)
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
        assert torch.equal(batch.synthetic, synthetic.crops(step).images)
        assert torch.equal(batch.real, real.crops(step).images)


def test_no_steps_give_no_batches() -> None:
    assert list(stream_batches(stream(), stream(), range(4, 4), threads=2)) == []
    assert list(stream_batches(stream(), stream(), range(4, 2), threads=2)) == []


def test_error_of_a_reader_reaches_the_training() -> None:
    source = Domain("real", [Path("bad")], Pictures(), cache_bytes=0)
    bad = CropStream(source, crop=8, batch=1, flip=False, seed=0)
    with pytest.raises(InputError, match="damaged"):
        list(stream_batches(stream(), bad, range(4), threads=2))


@pytest.mark.parametrize("shape_hw", [(20, 24), (6, 30), (5, 5)])
def test_class_maps_are_cut_filled_and_mirrored_as_their_pictures(shape_hw: tuple[int, int]) -> None:
    crops = CropStream(labelled(4, shape_hw=shape_hw), crop=8, batch=2, flip=True, seed=0)
    for batch in stream_batches(crops, stream(batch=2), range(10), threads=2):
        assert batch.classes is not None
        assert (batch.classes.dtype, batch.classes.shape) == (torch.uint8, (2, 8, 8))
        for picture, classes in zip(batch.synthetic, batch.classes, strict=True):
            assert np.array_equal(class_map_of(picture.permute(1, 2, 0).numpy()), classes.numpy())


def test_labels_change_nothing_of_the_pictures() -> None:
    with_labels, plain = labelled(3), labelled(3)
    plain.labels = None
    for step in range(6):
        images = [CropStream(source, crop=8, batch=1, flip=True, seed=0).crops(step) for source in (with_labels, plain)]
        assert torch.equal(images[0].images, images[1].images)
        assert images[1].classes is None


def test_class_maps_share_the_memory_of_the_cache() -> None:
    one = 20 * 24 * (3 + 1)
    painted: list[str] = []
    source = labelled(3, cache_bytes=2 * one)
    assert source.labels is not None
    read = source.labels
    source.labels = lambda path: (painted.append(path.name), read(path))[1]
    source.check(threads=1, progress=NullProgress())
    for index in range(3):
        assert np.array_equal(source.classes(index), class_map_of(source.picture(index)))
    assert painted == ["0", "1", "2", "2"]


def test_class_map_of_another_size_than_its_picture_is_refused() -> None:
    source = Domain("synthetic", [Path("1")], Pictures(), cache_bytes=0, labels=lambda _: np.zeros((12, 15), np.uint8))
    with pytest.raises(InputError, match="1 is a picture of 16x12, its labels are for 15x12"):
        source.check(threads=1, progress=NullProgress())


def real_stream(batch: int = 1) -> CropStream:
    source = Domain("real", [Path("0"), Path("1")], lambda _: half_covered(), cache_bytes=10**6)
    return CropStream(source, crop=32, batch=batch, flip=True, seed=0)


def bright(images: torch.Tensor) -> NDArray[np.float64]:
    return (images[:, 0] > 140).double().mean((1, 2)).numpy()


def test_occupancy_is_that_of_the_labels_or_of_the_looks() -> None:
    source = labelled(4)
    own = CropStream(source, crop=8, batch=3, flip=True, seed=0).crops(2, measured=True)
    assert own.classes is not None
    assert own.occupancy == tuple((own.classes > 0).double().mean((1, 2)).tolist())
    looked_at = real_stream(batch=8).crops(0, measured=True)
    assert np.abs(np.array(looked_at.occupancy) - bright(looked_at.images)).max() < 0.08
    assert real_stream().crops(0).occupancy == ()


@pytest.mark.parametrize("wanted", [0.0, 0.2])
def test_matched_cuts_hold_about_as_much_as_wanted(wanted: float) -> None:
    def miss(candidates: int) -> float:
        crops = [real_stream().crops(step, match=[wanted], candidates=candidates) for step in range(40)]
        return float(np.mean([abs(bright(own.images)[0] - wanted) for own in crops]))

    assert miss(6) < 0.4 * miss(1)


def test_matching_reads_each_picture_and_its_labels_once_however_many_cuts_are_tried() -> None:
    read, painted = Pictures((40, 60)), Pictures((40, 60))
    paths = [Path(str(number)) for number in range(3)]
    plain = Domain("real", paths, read, cache_bytes=0)
    labelled_too = Domain("real", paths, read, cache_bytes=0, labels=lambda path: painted(path)[..., 0])
    for source in (plain, labelled_too):
        read.reads.clear()
        for step in range(6):
            CropStream(source, crop=32, batch=1, flip=True, seed=0).crops(
                step, measured=True, match=[0.3], candidates=5
            )
        assert sorted(read.reads) == ["0", "0", "1", "1", "2", "2"]
    assert sorted(painted.reads) == sorted(read.reads)


def test_matched_batches_follow_the_synthetic_crop_and_nothing_else() -> None:
    synthetic = CropStream(labelled(3), crop=32, batch=2, flip=True, seed=0)
    batches = list(stream_batches(synthetic, real_stream(2), range(5), threads=3, candidates=4))
    for step, batch in enumerate(batches):
        wanted = synthetic.crops(step, measured=True).occupancy
        assert torch.equal(batch.real, real_stream(2).crops(step, match=wanted, candidates=4).images)
    unmatched = list(stream_batches(synthetic, real_stream(2), range(5), threads=3))
    assert any(not torch.equal(a.real, b.real) for a, b in zip(batches, unmatched, strict=True))
    assert all(torch.equal(a.synthetic, b.synthetic) for a, b in zip(batches, unmatched, strict=True))
