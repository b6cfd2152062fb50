import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from garbage_synth.core.masks import (
    area_of_segmentation,
    box_of_mask,
    box_of_segmentation,
    compressed_rle,
    mask_of_segmentation,
    rle_of_mask,
)

masks = st_numpy.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def test_box_of_mask_of_nothing_is_none() -> None:
    assert box_of_mask(np.zeros((3, 4), dtype=np.bool_)) is None


@given(masks)
def test_box_of_mask_is_the_smallest_half_open_window_that_holds_it(mask: Any) -> None:
    box = box_of_mask(mask)
    points = [(x, y) for y, row in enumerate(mask) for x, value in enumerate(row) if value]
    if not points:
        assert box is None
    else:
        xs, ys = zip(*points, strict=True)
        assert box == (min(xs), min(ys), max(xs) + 1, max(ys) + 1)


@given(masks)
def test_rle_survives_json_and_gives_the_mask_its_area_and_its_box(mask: Any) -> None:
    rle = json.loads(json.dumps(rle_of_mask(mask)))
    assert isinstance(rle["counts"], str)
    assert np.array_equal(mask_of_segmentation(rle, mask.shape), mask)
    assert area_of_segmentation(rle, mask.shape) == mask.sum()
    box = box_of_mask(mask)
    expected = (0, 0, 0, 0) if box is None else (box[0], box[1], box[2] - box[0], box[3] - box[1])
    assert box_of_segmentation(rle, mask.shape) == expected


def test_compressed_rle_packs_lists_and_bytes_and_leaves_the_rest() -> None:
    packed = rle_of_mask(np.array([[0, 1], [1, 0]], dtype=np.bool_))
    assert compressed_rle({"size": [2, 2], "counts": [1, 2, 1]}) == packed
    assert compressed_rle({"size": [2, 2], "counts": packed["counts"].encode()}) == packed
    assert compressed_rle(packed) is packed
    assert compressed_rle([[0, 0, 1, 0, 1, 1]]) == [[0, 0, 1, 0, 1, 1]]


def test_mask_of_segmentation_reads_uncompressed_runs_and_bytes() -> None:
    expected = np.array([[0, 1], [1, 0]], dtype=np.bool_)
    assert np.array_equal(mask_of_segmentation({"size": [2, 2], "counts": [1, 2, 1]}, (2, 2)), expected)
    counts = rle_of_mask(expected)["counts"].encode()
    assert np.array_equal(mask_of_segmentation({"size": [2, 2], "counts": counts}, (2, 2)), expected)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "empty"),
        ([], "empty"),
        ([[]], "three points"),
        ([[1, 1, 5, 5]], "three points"),
        ([[1, 1, 5, 5, 1, 5, 3]], "odd count"),
        ([[1, 1, 5, 5, float("nan"), 5]], "not finite"),
        ({"size": [4, 6], "counts": [24]}, r"differs from the image's \[6, 4\]"),
        ({"counts": [24]}, "differs"),
        ({"size": 5, "counts": [24]}, "differs"),
        ({"size": [6, 4], "counts": None}, "expected str"),
        ({"size": [6, 4]}, "expected str"),
        ({"size": [6, 4], "counts": [10]}, "do not cover the 24 pixels"),
        ({"size": [6, 4], "counts": [30, -6]}, "do not cover"),
        ({"size": [6, 4], "counts": "n3"}, "do not cover"),
        ({"size": [6, 4], "counts": ""}, "do not cover"),
        ({"size": [6, 4], "counts": "o"}, "middle of a run"),
        ({"size": [6, 4], "counts": " \n"}, "hold the character"),
    ],
)
def test_a_damaged_segmentation_is_refused_before_pycocotools_sees_it(segmentation: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mask_of_segmentation(segmentation, (6, 4))
