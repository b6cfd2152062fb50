from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.errors import InputError
from garbage_synth.io.resize import resize_rgb
from garbage_synth.stages.train_gan_labels import annotation_file, labelled_frames
from tests.fidelity.scenes import SIZE_WH, draw
from tests.makers import save
from tests.stages.test_check_labels import ITEMS, write_before

Picture = NDArray[np.uint8]


def as_is(picture: Picture) -> Picture:
    return picture


def halved(picture: Picture) -> Picture:
    return resize_rgb(picture, (picture.shape[1] // 2, picture.shape[0] // 2))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_before(tmp_path / "dataset")


def test_labels_of_an_unchanged_picture_hold_and_those_of_an_empty_one_do_not(dataset: Path) -> None:
    frames = labelled_frames(dataset, 8, as_is)
    assert frames is not None
    assert len(frames.pictures) == 2  # of the train split
    assert frames.pictures[0].shape == (*SIZE_WH[::-1], 3)
    for index, picture in enumerate(frames.pictures):
        assert frames.held(index, picture, None) == (2, 2)
    assert frames.held(0, draw([]), None) == (0, 2)
    assert frames.held(0, draw([ITEMS[0]]), None) == (1, 2)


def test_labels_follow_the_displacement_that_a_generator_tells(dataset: Path) -> None:
    frames = labelled_frames(dataset, 1, as_is)
    assert frames is not None
    picture = frames.pictures[0]
    moved = np.roll(picture, -6, axis=1)  # what is at p was at p + 6
    told = np.zeros((*picture.shape[:2], 2), np.float32)
    told[..., 0] = 6
    assert frames.held(0, moved, told) == (2, 2)
    assert frames.held(0, moved, None)[0] < 2
    assert frames.held(0, picture, told)[0] < 2  # it said so, and did not do it


def test_masks_are_at_the_size_that_is_trained_at(dataset: Path) -> None:
    frames = labelled_frames(dataset, 1, halved)
    assert frames is not None
    assert frames.pictures[0].shape[:2] == frames.masks[0][0].shape == (88, 120)  # 90 is no multiple of 4
    assert frames.held(0, frames.pictures[0], None) == (2, 2)


def test_large_pictures_are_cut_where_most_items_are(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("garbage_synth.stages.train_gan_labels._LARGEST_SIDE_PX", 103)
    frames = labelled_frames(dataset, 1, as_is)
    assert frames is not None
    assert frames.pictures[0].shape == (100, 100, 3)  # a multiple of 4
    assert len(frames.masks[0]) == 1  # the other item lies outside
    assert frames.masks[0][0].any()
    assert frames.held(0, frames.pictures[0], None) == (1, 1)


def test_item_cut_by_more_than_half_does_not_count() -> None:
    from garbage_synth.stages.train_gan_labels import _inside

    mask = np.zeros((20, 20), np.bool_)
    mask[5:15, 8:12] = True
    assert len(_inside([mask], (slice(0, 20), slice(10, 20)))) == 1
    assert len(_inside([mask], (slice(0, 20), slice(11, 20)))) == 0


def test_folder_without_labels_has_none_and_a_damaged_mask_is_named(dataset: Path, tmp_path: Path) -> None:
    save(tmp_path / "pictures" / "a.png", draw([]))
    assert labelled_frames(tmp_path / "pictures", 8, as_is) is None
    assert annotation_file(tmp_path / "pictures") is None
    assert annotation_file(dataset) == dataset / "annotations" / "instances_train.json"
    assert labelled_frames(dataset, 0, as_is) is None
    crowd = write_before(tmp_path / "crowd", iscrowd=1)
    frames = labelled_frames(crowd, 1, as_is)
    assert frames is not None
    assert len(frames.masks[0]) == 1
    damaged = write_before(tmp_path / "damaged", segmentation={"size": [3, 3], "counts": "9"})
    with pytest.raises(InputError, match=r"annotation 10 of picture .*a\.png"):
        labelled_frames(damaged, 8, as_is)
