"""Free-form deformation: a displacement of every pixel from a coarse grid of control points, and pictures moved by it.

The displacement is the uniform cubic B-spline of the grid (Rueckert et al. 1999, IEEE TMI 18(8), section II-B). It is a
convex combination of control points, and its derivative one of their differences over the pitch. So with control points
within [-m, m] and a pitch of s pixels the displacement u stays within [-m, m], and each of its partial derivatives
within [-2m/s, 2m/s]. For m < s/4 the rows of its Jacobian sum to less than 1: p -> p + u(p) is one-to-one, nothing
folds.
"""

import torch
from torch import Tensor

__all__ = ["PITCH_PX", "displacement_of", "warp"]

PITCH_PX = 32
"""Distance of control points, pixels; point i lies in the middle of the pixels 32 i to 32 i + 31."""

_HALF = PITCH_PX // 2


def displacement_of(grid: Tensor, size_hw: tuple[int, int], top: int = 0, bottom: int | None = None) -> Tensor:
    """Rows top to bottom (default: all) of the displacement of a frame of size_hw: float32 (b, c, bottom - top, w).

    grid: float (b, c, ceil(h / 32), ceil(w / 32)), values at the control points; those at the border are repeated
    beyond it.
    """
    height, width = size_hw
    bottom = height if bottom is None else bottom
    grid = grid.float()
    # by hand: torch.compile (2.15) stumbles over the gradient of a replicating pad here
    grid = torch.cat([*[grid[:, :, :1]] * 2, grid, *[grid[:, :, -1:]] * 2], dim=2)
    grid = torch.cat([*[grid[..., :1]] * 2, grid, *[grid[..., -1:]] * 2], dim=3)
    rows = _spline(grid.mT).mT[:, :, _HALF + top : _HALF + bottom]
    return _spline(rows)[..., _HALF : _HALF + width]


def warp(picture: Tensor, displacement: Tensor, above: int = 0) -> Tensor:
    """out(p) = picture(p + u(p)), bilinear, with the border's pixels repeated beyond it: float32 (b, c, h, w).

    picture: float (b, c, h or more, w). displacement: float32 (b, 2, h, w), u as (right, down) in pixels. above: rows
    of the picture above those asked for; rows that u reaches, and one more, must be among its rows or beyond the frame.
    No displacement gives the very values of the picture, whatever its size: no position is ever normalised to [-1, 1].
    """
    picture, displacement = picture.float(), displacement.float()
    (height, width), (rows, columns) = picture.shape[2:], displacement.shape[2:]
    whole = displacement.floor()
    part, whole = displacement - whole, whole.int()  # positions in int32 take half the memory
    x = torch.arange(columns, dtype=torch.int32, device=picture.device) + whole[:, :1]
    y = torch.arange(above, above + rows, dtype=torch.int32, device=picture.device)[:, None] + whole[:, 1:]
    left, beside = x.clamp(0, width - 1), (x + 1).clamp(0, width - 1)
    upper, under = y.clamp(0, height - 1) * width, (y + 1).clamp(0, height - 1) * width
    pixels = picture.flatten(2)

    def at(index: Tensor) -> Tensor:
        taken = pixels.gather(2, index.long().flatten(2).expand(-1, pixels.shape[1], -1))
        return taken.view(*pixels.shape[:2], rows, columns)

    over = torch.lerp(at(upper + left), at(upper + beside), part[:, :1])
    below = torch.lerp(at(under + left), at(under + beside), part[:, :1])
    return torch.lerp(over, below, part[:, 1:])


def _spline(points: Tensor) -> Tensor:
    """(..., n + 3) control points -> (..., 32 n): each interval at the middles of its pixels.

    Products and sums rather than a matrix product, which mixed precision and TF32 would round.
    """
    t = (torch.arange(PITCH_PX, device=points.device, dtype=torch.float32) + 0.5) / PITCH_PX
    p0, p1, p2, p3 = (points[..., k : points.shape[-1] - 3 + k, None] for k in range(4))
    blended = p0 * (1 - t) ** 3 + p1 * (3 * t**3 - 6 * t**2 + 4) + p2 * (-3 * t**3 + 3 * t**2 + 3 * t + 1) + p3 * t**3
    return (blended / 6).flatten(-2)
