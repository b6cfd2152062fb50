"""Between gray levels and the numbers that the networks compute with."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["sample_grid", "to_levels", "to_signed"]

_GAP_PX = 4


def to_signed(levels: Tensor) -> Tensor:
    """uint8 0..255 -> float32 -1..1 of the same shape."""
    return levels.float().div_(127.5).sub_(1.0)


def to_levels(signed: Tensor) -> Tensor:
    """float -1..1 -> uint8 0..255, rounded to the nearest level and clamped."""
    return signed.float().add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def sample_grid(columns: list[Tensor]) -> NDArray[np.uint8]:
    """One RGB picture (h, w, 3) of columns, each uint8 (n, 3, s, s) with its own n, white gaps between."""
    side = columns[0].shape[-1]
    pitch = side + _GAP_PX
    rows = max(len(column) for column in columns)
    grid = np.full((rows * pitch - _GAP_PX, len(columns) * pitch - _GAP_PX, 3), 255, np.uint8)
    for x, column in enumerate(columns):
        for y, picture in enumerate(column.cpu()):
            grid[y * pitch : y * pitch + side, x * pitch : x * pitch + side] = picture.permute(1, 2, 0).numpy()
    return grid
