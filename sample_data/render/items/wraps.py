"""Labels: thin closed sheets that follow a turned wall, whole, partial or torn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sample_data.render import mesh

RadiusAt = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def ragged(positions: NDArray[np.float64], rng: np.random.Generator, *, pieces: int) -> NDArray[np.float64]:
    """A jagged edge: values 0..1 at ``positions`` 0..1, straight runs between sharp turns."""
    knots = np.sort(np.concatenate([[0.0, 1.0], rng.uniform(0.0, 1.0, pieces)]))
    heights = rng.uniform(0.0, 1.0, len(knots)) ** 1.5
    heights[-1] = heights[0]
    return np.interp(positions, knots, heights)


def wrap(
    radius_at: RadiusAt,
    rng: np.random.Generator,
    *,
    z_range_m: tuple[float, float],
    start_deg: float,
    sweep_deg: float,
    tear: float = 0.0,
    lift_m: float = 0.0004,
    cells: tuple[int, int] = (64, 10),
) -> mesh.Surface:
    """A label around a wall of radius ``radius_at(z)``, as a closed sheet.

    ``tear`` 0..1 is how deep pieces are missing from its edges.  UVs run 0..1 over the
    whole untorn label, ``u`` around and ``v`` up, so a tear cuts the print.
    """
    verts, faces, _ = mesh.grid((1.0, 1.0), cells)
    across = verts[:, 0] + 0.5
    along = verts[:, 1] + 0.5
    around = across
    if tear > 0.0:
        low = 0.55 * tear * ragged(across, rng, pieces=5)
        high = 1.0 - 0.55 * tear * ragged(across, rng, pieces=6)
        along = low + along * (high - low)
        side = 0.5 * tear * ragged(along, rng, pieces=4)
        around = across * (1.0 - side)
    angle = np.deg2rad(start_deg + sweep_deg * around)
    z_m = z_range_m[0] + (z_range_m[1] - z_range_m[0]) * along
    radius_m = radius_at(z_m) + lift_m + 0.0002 * across
    placed = np.column_stack([radius_m * np.cos(angle), radius_m * np.sin(angle), z_m])
    print_uv = np.column_stack([around, along])
    return mesh.solidify((placed, faces, print_uv[faces]), 0.00015)


def oval_patch(
    radius_at: RadiusAt,
    *,
    centre_z_m: float,
    size_m: tuple[float, float],
    heading_deg: float,
    squareness: float,
    lift_m: float = 0.0003,
    rings: int = 8,
) -> mesh.Surface:
    """A rounded label stuck on one side, ``size_m`` wide and high, as a closed sheet.

    ``squareness`` is the exponent of its outline: 2 an oval, 8 nearly a rectangle.
    """
    turn = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    ray = np.column_stack([np.cos(turn), np.sin(turn)])
    ray /= (np.abs(ray) ** squareness).sum(axis=1, keepdims=True) ** (1.0 / squareness)
    profile = np.column_stack([np.linspace(0.0, 1.0, rings + 1), np.zeros(rings + 1)])
    flat, faces, _ = mesh.lathe(profile, len(turn))
    share = np.concatenate([[0.0], np.repeat(profile[1:, 0], len(turn))])
    flat = np.concatenate([[[0.0, 0.0]], np.tile(ray, (rings, 1))]) * share[:, None]
    # The lathe's flat disc reads outwards and faces down; swapping corners faces it up.
    quads = np.where(faces[:, 3:] < 0, faces[:, [0, 2, 1, 3]], faces[:, ::-1])
    z_m = centre_z_m + 0.5 * size_m[1] * flat[:, 1]
    radius_m = radius_at(z_m) + lift_m
    angle = np.deg2rad(heading_deg) + 0.5 * size_m[0] * flat[:, 0] / radius_at(np.array([centre_z_m]))[0]
    placed = np.column_stack([radius_m * np.cos(angle), radius_m * np.sin(angle), z_m])
    print_uv = 0.5 + 0.5 * flat
    return mesh.solidify((placed, quads, print_uv[quads]), 0.00012)
