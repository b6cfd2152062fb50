"""Masks follow a displacement as the picture itself does."""

import numpy as np
import pytest
import torch

from garbage_synth.core.displacement import moved_mask, reach_px
from garbage_synth.gan.warp import displacement_of, warp


def displaced(size_hw: tuple[int, int], seed: int = 0, px: float = 4.0) -> torch.Tensor:
    grid = (
        torch.rand(1, 2, -(-size_hw[0] // 32), -(-size_hw[1] // 32), generator=torch.manual_seed(seed)) * 2 - 1
    ) * px
    return displacement_of(grid, size_hw)


@pytest.mark.parametrize("place", [(20, 30, 50, 60), (0, 0, 64, 7), (50, 70, 64, 90), (33, 40, 34, 41)])
def test_mask_moves_as_the_same_mask_drawn_as_a_picture(place: tuple[int, int, int, int]) -> None:
    for seed in range(3):
        u = displaced((64, 90), seed)
        mask = np.zeros((64, 90), np.bool_)
        mask[place[0] : place[2], place[1] : place[3]] = True
        drawn = warp(torch.from_numpy(mask)[None, None].float(), u)[0, 0].numpy()
        moved = moved_mask(mask, u[0].permute(1, 2, 0).numpy())
        assert moved.dtype == np.bool_
        assert np.array_equal(moved, drawn >= 0.5)


def test_no_displacement_leaves_a_mask_and_half_a_pixel_is_enough_to_move_it() -> None:
    mask = np.zeros((10, 10), np.bool_)
    mask[3:6, 4:7] = True
    u = np.zeros((10, 10, 2), np.float32)
    assert np.array_equal(moved_mask(mask, u), mask)
    u[..., 0] = 0.49
    assert np.array_equal(moved_mask(mask, u), mask)
    u[..., 0] = 0.51
    assert np.array_equal(moved_mask(mask, u), np.roll(mask, -1, axis=1))


def test_empty_mask_stays_empty_and_the_reach_is_rounded_up() -> None:
    u = np.full((10, 10, 2), -2.1, np.float32)
    assert not moved_mask(np.zeros((10, 10), np.bool_), u).any()
    assert reach_px(u) == 3
