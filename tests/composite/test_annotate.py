"""Visible parts and run-length encoding against slow, obvious references."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from garbage_synth.composite.annotate import rle_of_part, visible_parts
from garbage_synth.composite.warp import Patch
from garbage_synth.core.masks import box_of_mask, rle_of_mask


@st.composite
def parts_in_frames(draw: st.DrawFn) -> tuple[NDArray[np.uint8], int, int, int, int]:
    width, height = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    shape = (draw(st.integers(1, height - y0)), draw(st.integers(1, width - x0)))
    part = draw(hnp.arrays(np.bool_, shape)).astype(np.uint8) * np.uint8(255)
    return part, x0, y0, width, height


@settings(max_examples=60, deadline=None)
@given(parts_in_frames())
def test_rle_of_part_is_the_string_of_the_whole_frame(case: tuple[NDArray[np.uint8], int, int, int, int]) -> None:
    part, x0, y0, width, height = case
    frame = np.zeros((height, width), np.bool_)
    frame[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part > 0
    assert rle_of_part(part, x0, y0, (width, height)) == rle_of_mask(frame)


def test_rle_of_part_joins_runs_over_full_columns() -> None:
    part = np.full((5, 3), 255, np.uint8)
    frame = np.zeros((5, 7), np.bool_)
    frame[:, 2:5] = True
    assert rle_of_part(part, 2, 0, (7, 5)) == rle_of_mask(frame)


@st.composite
def patches_and_frame(draw: st.DrawFn) -> tuple[list[Patch], tuple[int, int]]:
    frame = (draw(st.integers(1, 10)), draw(st.integers(1, 10)))
    patches = []
    for _ in range(draw(st.integers(0, 4))):
        shape = (draw(st.integers(1, 8)), draw(st.integers(1, 8)))
        silhouette = draw(hnp.arrays(np.bool_, shape)).astype(np.uint8) * np.uint8(255)
        rgb = np.zeros((*shape, 3), np.uint8)
        patches.append(Patch(rgb, silhouette, silhouette, draw(st.integers(-9, 11)), draw(st.integers(-9, 11))))
    return patches, frame


@settings(max_examples=60, deadline=None)
@given(patches_and_frame())
def test_visible_parts_follow_the_id_map(case: tuple[list[Patch], tuple[int, int]]) -> None:
    patches, (height, width) = case
    pad = 30
    owner = np.zeros((height + 2 * pad, width + 2 * pad), int)
    for number, patch in enumerate(patches, 1):
        rows, columns = patch.silhouette.shape
        window = owner[pad + patch.y0 : pad + patch.y0 + rows, pad + patch.x0 : pad + patch.x0 + columns]
        window[patch.silhouette > 0] = number
    frame = owner[pad : pad + height, pad : pad + width]
    found = visible_parts(patches, (height, width))
    assert len(found) == len(patches)
    assert sum(visible.area_px for visible in found) == np.count_nonzero(frame)
    for number, (patch, visible) in enumerate(zip(patches, found, strict=True), 1):
        mask = frame == number
        whole = np.count_nonzero(patch.silhouette)
        assert visible.area_px == np.count_nonzero(mask)
        assert visible.box_xyxy == (box_of_mask(mask) or (0, 0, 0, 0))
        x0, y0, x1, y1 = visible.box_xyxy
        assert np.array_equal(visible.part > 0, mask[y0:y1, x0:x1])
        assert visible.whole_px == whole
        assert visible.fraction == (np.count_nonzero(mask) / whole if whole else 0.0)
        inside = [
            0 <= y + patch.y0 < height and 0 <= x + patch.x0 < width for y, x in np.argwhere(patch.silhouette > 0)
        ]
        assert visible.truncated == (not all(inside))


def test_more_than_255_items_keep_their_own_ids() -> None:
    one = np.full((1, 1), 255, np.uint8)
    patches = [Patch(np.zeros((1, 1, 3), np.uint8), one, one, number % 20, number // 20) for number in range(300)]
    assert [visible.area_px for visible in visible_parts(patches, (15, 20))] == [1] * 300
