"""Surfaces drawn through stacked closed outlines, and flat panels welded along shared points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sample_data.render.mesh import Surface


def rounded_outline(
    half_x_m: float, half_y_m: float, radius_m: float, *, side_cells: int, corner_cells: int
) -> NDArray[np.float64]:
    """Return a rounded rectangle, (4 * (side_cells + corner_cells), 2) in metres, counter-clockwise.

    The points start in the middle of the corner at -x, -y; every quarter of them is one side and
    runs from corner middle to corner middle.  ``corner_cells`` must be even.
    """
    radius = min(radius_m, 0.999 * half_x_m, 0.999 * half_y_m)
    half_arc = np.deg2rad(np.linspace(0.0, 45.0, corner_cells // 2 + 1))
    ring = []
    for side in range(4):
        along = half_x_m if side % 2 == 0 else half_y_m
        out = half_y_m if side % 2 == 0 else half_x_m
        run = along - radius
        first = np.column_stack([-run - radius * np.sin(half_arc[::-1]), -out + radius * (1 - np.cos(half_arc[::-1]))])
        straight = np.column_stack([np.linspace(-run, run, side_cells + 1), np.full(side_cells + 1, -out)])
        last = np.column_stack([run + radius * np.sin(half_arc), -out + radius * (1 - np.cos(half_arc))])
        path = np.concatenate([first[:-1], straight, last[1:-1]])
        turn = side * np.pi / 2
        spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        ring.append(path @ spin)
    return np.concatenate(ring)


def loft(
    rings: NDArray[np.float64], v_coord: NDArray[np.float64], *, start_centre: bool = False, end_centre: bool = False
) -> Surface:
    """Return the surface through (K, N, 3) rings that run counter-clockwise seen from the last one.

    ``v_coord`` is (K,); ``u`` is the fraction of the points around.  A ``start_centre`` or
    ``end_centre`` closes the first or last ring with a fan to its mean.
    """
    count, around = rings.shape[:2]
    index = np.arange(count * around).reshape(count, around)
    low, high = index[:-1], index[1:]
    faces = [np.stack([low, np.roll(low, -1, 1), np.roll(high, -1, 1), high], axis=-1).reshape(-1, 4)]
    u_left = np.broadcast_to(np.arange(around) / around, low.shape)
    u_right = u_left + 1.0 / around
    v_low = np.broadcast_to(v_coord[:-1, None], low.shape)
    v_high = np.broadcast_to(v_coord[1:, None], low.shape)
    corners = [(u_left, v_low), (u_right, v_low), (u_right, v_high), (u_left, v_high)]
    uvs = [np.stack([np.stack(pair, axis=-1) for pair in corners], axis=2).reshape(-1, 4, 2)]
    verts = [rings.reshape(-1, 3)]
    total = count * around
    for wanted, row, turned in ((start_centre, 0, True), (end_centre, -1, False)):
        if not wanted:
            continue
        verts.append(rings[row].mean(axis=0, keepdims=True))
        here, follower = index[row], np.roll(index[row], -1)
        pair = (follower, here) if turned else (here, follower)
        faces.append(np.column_stack([*pair, np.full(around, total), np.full(around, -1)]))
        fan_uv = np.zeros((around, 4, 2))
        fan_uv[..., 0] = u_left[0][:, None]
        fan_uv[..., 1] = v_coord[row]
        uvs.append(fan_uv)
        total += 1
    return np.concatenate(verts), np.concatenate(faces), np.concatenate(uvs)


def weld(surface: Surface, tolerance_m: float) -> Surface:
    """Return the surface with vertices that share a place (to ``tolerance_m``) made one."""
    verts, faces, uvs = surface
    key = np.round(verts / tolerance_m).astype(np.int64)
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    return verts[first], np.where(faces < 0, -1, inverse[faces]), uvs


def triangles(surface: Surface) -> Surface:
    """Return the surface with every four-cornered face cut in two.

    A thin sheet and its back then bend along the same diagonals and never show through each other.
    """
    verts, faces, uvs = surface
    four = faces[:, 3] >= 0
    second = np.column_stack([faces[four][:, [0, 2, 3]], np.full(int(four.sum()), -1)])
    first = faces.copy()
    first[:, 3] = -1
    second_uv = uvs[four][:, [0, 2, 3, 3]]
    return verts, np.concatenate([first, second]), np.concatenate([uvs, second_uv])
