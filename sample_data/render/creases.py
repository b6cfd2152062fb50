"""Bends that thin board, paper and foil take: sharp folds, creased noise and flattening."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sample_data.render.mesh import smooth_noise


def creased_noise(
    points: NDArray[np.float64], rng: np.random.Generator, *, wavelength_m: float, octaves: int = 2
) -> NDArray[np.float64]:
    """Return (N,) values of about -1..1 and mean near 0 whose ridges and valleys are sharp lines."""
    total = np.zeros(len(points))
    for octave in range(octaves):
        sign = 1.0 if rng.random() < 0.5 else -1.0
        ridge = 1.0 - 2.5 * np.abs(smooth_noise(points, rng, wavelength_m=wavelength_m / 2.0**octave))
        total += sign * (ridge - 0.35) * 0.55**octave
    return total


def facet_noise(
    points_xy: NDArray[np.float64], rng: np.random.Generator, *, spacing_m: float, channels: int = 1
) -> NDArray[np.float64]:
    """Return (N, channels) values of about -1..1 at (N, 2) places: flat facets that meet in straight creases.

    ``spacing_m`` is the mean distance between the peaks and pits the facets hang between; the
    channels share their creases.
    """
    low = points_xy.min(axis=0) - spacing_m
    span = points_xy.max(axis=0) + spacing_m - low
    pixel = spacing_m / 24.0
    width, height = (np.ceil(span / pixel).astype(int) + 1).tolist()
    count = max(12, int(span[0] * span[1] / spacing_m**2))
    frame = [[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]
    nodes = np.unique(np.concatenate([rng.integers((0, 0), (width, height), (count, 2)), frame]), axis=0)
    level = rng.uniform(-1.0, 1.0, (len(nodes), channels))
    net = cv2.Subdiv2D((0, 0, width, height))
    net.insert(nodes.astype(np.float32))
    corners = np.round(net.getTriangleList()).astype(np.int64).reshape(-1, 3, 2)
    corners = corners[np.all((corners >= 0) & (corners < [width, height]), axis=(1, 2))]
    node_at = np.zeros((height, width), np.int64)
    node_at[nodes[:, 1], nodes[:, 0]] = np.arange(len(nodes))
    facet_at = np.zeros((height, width), np.int32)
    for index, corner in enumerate(corners):
        cv2.fillConvexPoly(facet_at, corner.astype(np.int32), index)
    edges = np.concatenate([corners, np.ones((len(corners), 3, 1))], axis=2) + 1e-9 * np.eye(3)
    plane = np.linalg.solve(edges, level[node_at[corners[..., 1], corners[..., 0]]])
    place = (points_xy - low) / pixel
    column, row = np.round(place).astype(int).T
    local = np.column_stack([place, np.ones(len(place))])
    return np.clip(np.einsum("ni,nic->nc", local, plane[facet_at[row, column]]), -1.2, 1.2)


def fold_over(
    verts: NDArray[np.float64], *, normal: NDArray[np.float64], offset_m: float, fold: float = 2.0
) -> NDArray[np.float64]:
    """Return vertices with the part beyond the plane ``x . normal = offset_m`` folded back.

    ``fold`` 2 mirrors it, 1 presses it onto the plane; lengths stay true at 2.
    """
    beyond = np.maximum(verts @ normal - offset_m, 0.0)
    return verts - fold * beyond[:, None] * normal[None, :]


def flatten_prism(
    verts: NDArray[np.float64],
    *,
    axis: int,
    half_size_m: tuple[float, float, float],
    amount: float,
    bulge: tuple[float, float],
    side_axis: int,
) -> NDArray[np.float64]:
    """Return an upright prism pressed along ``axis`` by ``amount`` 0..1, its side walls folding in a V.

    The two walls facing along ``side_axis`` keep their length: ``bulge`` gives for the negative
    and the positive one how far the V goes out (+1) or in (-1).
    """
    half = half_size_m[axis]
    across = np.clip(verts[:, axis] / half, -1.0, 1.0)
    reach = half * np.sqrt(max(0.0, 1.0 - (1.0 - amount) ** 2)) * (1.0 - np.abs(across))
    side = np.clip(verts[:, side_axis] / half_size_m[side_axis], -1.0, 1.0)
    near = np.abs(side) ** 3
    direction = np.where(side > 0, bulge[1], -bulge[0])
    pressed = verts.copy()
    pressed[:, axis] *= 1.0 - amount
    pressed[:, side_axis] += direction * reach * near
    return pressed


def hinge(
    verts: NDArray[np.float64],
    *,
    across: NDArray[np.float64],
    lift: NDArray[np.float64],
    offset_m: float,
    angle_deg: float,
    width_m: float = 0.002,
) -> NDArray[np.float64]:
    """Return vertices with the part beyond ``x . across = offset_m`` swung towards ``lift``.

    ``across`` and ``lift`` are unit vectors at right angles; the bend is spread over ``width_m``
    and keeps lengths on the surface ``x . lift = 0``.
    """
    distance = verts @ across - offset_m
    height = verts @ lift
    turn = np.deg2rad(angle_deg)
    share = np.clip(distance / width_m, 0.0, 1.0)
    angle = turn * share
    if abs(turn) < 1e-6:
        return verts
    radius = width_m / turn
    arc_x, arc_y = radius * np.sin(angle), radius * (1 - np.cos(angle))
    rest = np.maximum(distance - width_m, 0.0)
    new_distance = np.minimum(distance, 0.0) + arc_x + rest * np.cos(angle) - height * np.sin(angle)
    new_height = arc_y + rest * np.sin(angle) + height * np.cos(angle)
    return verts + (new_distance - distance)[:, None] * across + (new_height - height)[:, None] * lift
