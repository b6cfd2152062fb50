"""Displacements from control points, and pictures moved by them."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from garbage_synth.gan.warp import PITCH_PX, displacement_of, warp


def grid_for(size_hw: tuple[int, int], seed: int, max_px: float) -> Tensor:
    """The worst that a generator can do: every control point at a limit of each axis."""
    cells = [-(-side // PITCH_PX) for side in size_hw]
    rng = torch.Generator().manual_seed(seed)
    return (torch.randint(0, 2, (1, 2, *cells), generator=rng) * 2.0 - 1) * max_px


@pytest.mark.parametrize("size_hw", [(8, 8), (128, 96), (100, 36), (164, 160)])
def test_displacement_is_bounded_and_cannot_fold(size_hw: tuple[int, int]) -> None:
    max_px = 7.99
    for seed in range(5):
        u = displacement_of(grid_for(size_hw, seed, max_px), size_hw)[0].double()
        assert u.shape == (2, *size_hw)
        assert u.abs().max() <= max_px * (1 + 1e-6)
        along = u.diff(dim=2)[:, :-1]
        down = u.diff(dim=1)[:, :, :-1]
        for slope in (along, down):
            assert slope.abs().max() <= 2 * max_px / PITCH_PX * (1 + 1e-5)
        determinant = (1 + along[0]) * (1 + down[1]) - along[1] * down[0]
        assert determinant.min() > 0


def test_steepest_grid_comes_near_the_bound_on_the_slope() -> None:
    """Else the bound on warp_max_px would be stricter than it need be."""
    grid = torch.zeros(1, 2, 6, 6)
    grid[..., 3:] = 8.0
    grid[..., :3] = -8.0
    slope = displacement_of(grid, (192, 192)).diff(dim=3).abs().max().item()
    assert 0.6 * 0.5 < slope <= 0.5


def test_spline_is_the_one_of_its_control_points() -> None:
    """Against the definition: a sum of basis functions around the middles of the cells."""
    size_hw = (70, 100)
    grid = torch.rand(1, 2, 3, 4, generator=torch.Generator().manual_seed(0))

    def basis(side: int, points: int) -> np.ndarray:
        matrix = np.zeros((side, points))
        for pixel in range(side):
            for point in range(-3, points + 3):
                d = abs((pixel - (PITCH_PX * point + 15.5)) / PITCH_PX)
                value = 2 / 3 - d**2 + d**3 / 2 if d < 1 else max(2 - d, 0) ** 3 / 6
                matrix[pixel, min(max(point, 0), points - 1)] += value
        return matrix

    rows, columns = basis(70, 3), basis(100, 4)
    expected = np.einsum("yi,bcij,xj->bcyx", rows, grid.numpy(), columns)
    assert np.abs(displacement_of(grid, size_hw).numpy() - expected).max() < 1e-5


def test_rows_of_a_displacement_are_those_of_the_whole() -> None:
    size_hw = (100, 40)
    grid = grid_for(size_hw, 0, 4.0)
    whole = displacement_of(grid, size_hw)
    for top, bottom in ((0, 1), (0, 16), (15, 17), (16, 48), (47, 100), (99, 100)):
        assert torch.equal(displacement_of(grid, size_hw, top, bottom), whole[:, :, top:bottom])


def test_whole_pixels_shift_the_picture_and_repeat_its_border() -> None:
    picture = torch.rand(2, 3, 12, 10)
    u = torch.zeros(2, 2, 12, 10)
    u[:, 0], u[:, 1] = 3.0, -2.0
    expected = torch.nn.functional.pad(picture, (0, 3, 2, 0), mode="replicate")[:, :, :12, 3:]
    assert torch.equal(warp(picture, u), expected)


def test_values_between_pixels_are_the_bilinear_ones() -> None:
    picture = torch.rand(1, 3, 50, 40)
    u = displacement_of(grid_for((50, 40), 1, 4.0), (50, 40))
    y, x = np.mgrid[:50, :40].astype(np.float32)
    moved = cv2.remap(
        picture[0].permute(1, 2, 0).numpy(),
        x + u[0, 0].numpy(),
        y + u[0, 1].numpy(),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    difference = np.abs(warp(picture, u)[0].permute(1, 2, 0).numpy() - moved)
    assert difference.max() < 0.04  # cv2 rounds positions to 1/32 pixel
    assert difference.mean() < 0.01


def test_no_displacement_gives_the_very_values_of_a_large_picture() -> None:
    picture = torch.rand(1, 3, 12, 5000)
    assert torch.equal(warp(picture, torch.zeros(1, 2, 12, 5000)), picture)


def test_rows_of_a_picture_are_moved_as_in_the_whole() -> None:
    picture = torch.rand(1, 3, 60, 24)
    u = displacement_of(grid_for((60, 24), 2, 4.0), (60, 24))
    whole = warp(picture, u)
    for top, bottom in ((0, 20), (20, 40), (40, 60)):
        first, last = max(top - 5, 0), min(bottom + 5, 60)
        band = warp(picture[:, :, first:last], u[:, :, top:bottom], top - first)
        assert torch.equal(band, whole[:, :, top:bottom])


def test_gradients_are_those_of_finite_differences() -> None:
    picture = torch.rand(1, 2, 6, 7, dtype=torch.float32, requires_grad=True)
    u = (torch.rand(1, 2, 6, 7) * 0.8 + 0.1).requires_grad_()
    weights = torch.rand(1, 2, 6, 7)
    (warp(picture, u) * weights).sum().backward()  # type: ignore[no-untyped-call]
    for leaf in (picture, u):
        assert leaf.grad is not None
        for index in ((0, 0, 2, 3), (0, 1, 5, 6), (0, 0, 0, 0)):
            step = torch.zeros_like(leaf)
            step[index] = 0.01
            moved = [(leaf.detach() + sign * step) for sign in (1, -1)]
            totals = [(warp(m, u) if leaf is picture else warp(picture, m)).mul(weights).sum().item() for m in moved]
            assert leaf.grad[index].item() == pytest.approx((totals[0] - totals[1]) / 0.02, abs=2e-3)
