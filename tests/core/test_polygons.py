from typing import Any

import cv2
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from garbage_synth.core.masks import mask_of_segmentation
from garbage_synth.core.polygons import joined_polygon, polygons_of_mask

masks = st_numpy.arrays(np.bool_, st.tuples(st.integers(1, 11), st.integers(1, 11)))
DIAGONAL = np.eye(4, dtype=np.bool_)
NESTED = np.pad(np.pad(np.pad(np.ones((1, 1), np.bool_), 1), 1, constant_values=True), 1)


def test_an_empty_mask_has_no_polygon() -> None:
    assert polygons_of_mask(np.zeros((5, 5), dtype=np.bool_)) == []


def test_the_outline_runs_on_pixel_edges() -> None:
    mask = np.zeros((10, 10), dtype=np.bool_)
    mask[2:5, 3:9] = True
    (polygon,) = polygons_of_mask(mask)
    assert sorted(zip(polygon[::2], polygon[1::2], strict=True)) == [(3, 2), (3, 5), (9, 2), (9, 5)]


def test_a_square_keeps_its_area_where_contours_of_opencv_lose_half_a_pixel_all_round() -> None:
    mask = np.zeros((100, 100), dtype=np.bool_)
    mask[20:80, 20:80] = True
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    assert mask_of_segmentation([contours[0].ravel().tolist()], mask.shape).sum() == 3481
    assert mask_of_segmentation(polygons_of_mask(mask), mask.shape).sum() == 3600


@given(masks)
@example(DIAGONAL)
@example(DIAGONAL[::-1])
@example(NESTED)
@example(~NESTED)
def test_polygons_turn_back_into_exactly_the_mask(mask: Any) -> None:
    polygons = polygons_of_mask(mask)
    if not mask.any():
        assert polygons == []
        return
    assert np.array_equal(mask_of_segmentation(polygons, mask.shape), mask)
    assert np.array_equal(mask_of_segmentation([joined_polygon(polygons)], mask.shape), mask)


@given(masks)
def test_there_is_one_polygon_for_each_region(mask: Any) -> None:
    count, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    assert len(polygons_of_mask(mask)) == count - 1
