import numpy as np
import pytest

from garbage_synth.core.masks import rle_of_mask
from garbage_synth.core.types import Annotation
from garbage_synth.report.draw import class_colour, draw_labels, fit

GRAY = np.full((60, 80, 3), 100, dtype=np.uint8)
MASK = np.zeros((60, 80), dtype=np.bool_)
MASK[25:40, 20:50] = True
NAMES = {1: "can", 2: "cup"}


def item(**changes: object) -> Annotation:
    values = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox_xywh": (20.0, 25.0, 30.0, 15.0),
        "area": 450.0,
        "iscrowd": 0,
        "segmentation": rle_of_mask(MASK),
    }
    return Annotation(**(values | changes))  # type: ignore[arg-type]


def test_a_picture_without_items_is_unchanged_and_a_copy() -> None:
    drawn = draw_labels(GRAY, [], NAMES)
    assert np.array_equal(drawn, GRAY)
    assert drawn is not GRAY


def test_the_box_line_lies_on_the_outermost_pixels_of_the_item() -> None:
    drawn = draw_labels(GRAY, [item(segmentation=None)], NAMES, names=False)
    changed = (drawn != GRAY).any(axis=2)
    ys, xs = np.nonzero(changed)
    assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (20, 25, 50, 40)
    assert not changed[26:39, 21:49].any()
    assert tuple(drawn[25, 20]) == class_colour(0)


def test_the_mask_is_tinted_and_nothing_outside_it() -> None:
    drawn = draw_labels(GRAY, [item()], NAMES, names=False)
    assert np.array_equal((drawn != GRAY).any(axis=2), MASK)
    tint = drawn[32, 35].astype(float) - 100
    assert np.allclose(tint, 0.35 * (np.array(class_colour(0)) - 100), atol=1)


def test_the_name_is_written_above_the_box_or_below_where_there_is_no_room() -> None:
    above = (draw_labels(GRAY, [item()], NAMES) != GRAY).any(axis=2)
    assert above[10:25].any()
    assert not above[40:].any()
    at_the_top = draw_labels(GRAY, [item(bbox_xywh=(20.0, 0.0, 30.0, 15.0), segmentation=None)], NAMES)
    assert (at_the_top != GRAY).any(axis=2)[16:35].any()


def test_names_beyond_ascii_are_drawn_without_an_error() -> None:
    assert (draw_labels(GRAY, [item()], {1: "Dose \u00e4", 2: "x"}) != GRAY).any()


def test_small_items_lie_over_large_ones() -> None:
    large = item(id=2, category_id=2, bbox_xywh=(0.0, 0.0, 80.0, 60.0), area=4800.0, segmentation=None)
    drawn = draw_labels(GRAY, [item(bbox_xywh=(0.0, 0.0, 30.0, 15.0), segmentation=None), large], NAMES, names=False)
    assert tuple(drawn[0, 5]) == class_colour(0)
    assert tuple(drawn[0, 60]) == class_colour(1)


@pytest.mark.parametrize("segmentation", [[[1, 2]], {"size": [1, 1], "counts": "0"}])
def test_an_item_with_a_damaged_mask_still_gets_its_box(segmentation: object) -> None:
    drawn = draw_labels(GRAY, [item(segmentation=segmentation)], NAMES, names=False)
    assert tuple(drawn[25, 20]) == class_colour(0)
    assert tuple(drawn[32, 35]) == (100, 100, 100)


def test_labels_scale_with_the_picture() -> None:
    drawn = draw_labels(
        np.full((600, 800, 3), 100, np.uint8), [item(segmentation=None)], NAMES, side_px=400, names=False
    )
    assert drawn.shape == (300, 400, 3)
    ys, xs = np.nonzero((drawn != 100).any(axis=2))
    assert (xs.min(), ys.min(), xs.max() + 1) == (10, 12, 25)


def test_fit_never_enlarges() -> None:
    assert fit(GRAY, 500)[1] == 1.0
    small, scale = fit(GRAY, 40)
    assert small.shape == (30, 40, 3)
    assert scale == 0.5


def test_neighbouring_classes_have_distant_colours() -> None:
    for index in range(12):
        one, other = np.array(class_colour(index)), np.array(class_colour(index + 1))
        assert np.abs(one - other).max() > 100


def test_boxes_far_outside_are_no_error() -> None:
    far = item(bbox_xywh=(1e12, -1e12, 1e12, 1e12), segmentation=None)
    assert draw_labels(GRAY, [far], NAMES).shape == GRAY.shape
