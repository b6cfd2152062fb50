import torch

from garbage_synth.gan.pixels import sample_grid, to_levels, to_signed


def test_levels_survive_the_way_to_the_network_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    signed = to_signed(levels)
    assert signed[0] == -1
    assert signed[255] == 1
    assert torch.equal(to_levels(signed), levels)


def test_levels_beyond_the_range_are_clamped() -> None:
    assert to_levels(torch.tensor([-1.5, 1.5, 0.0])).tolist() == [0, 255, 128]


def test_grid_puts_columns_side_by_side_and_leaves_missing_rows_white() -> None:
    first = torch.full((2, 3, 8, 8), 10, dtype=torch.uint8)
    second = torch.full((1, 3, 8, 8), 20, dtype=torch.uint8)
    grid = sample_grid([first, second])
    assert grid.shape == (20, 20, 3)
    assert (grid[:8, :8] == 10).all()
    assert (grid[12:, :8] == 10).all()
    assert (grid[:8, 12:] == 20).all()
    assert (grid[12:, 12:] == 255).all()
    assert (grid[8:12] == 255).all()
