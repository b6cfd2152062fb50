"""Half outlines of bottles: base, body, shoulder and neck as (K, 2) radius and height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sample_data.render.items.wraps import RadiusAt


@dataclass(frozen=True)
class Outline:
    """The main measures of a round bottle, in metres, standing on z = 0."""

    radius_m: float
    neck_radius_m: float
    shoulder_z_m: float
    neck_z_m: float
    heel_m: float
    push_up_m: float
    shoulder_power: float
    waist_m: float = 0.0
    waist_z_m: float = 0.0
    waist_length_m: float = 1.0

    def envelope(self, z_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Radius of the body and shoulder at heights (N,), without ribs or heel."""
        along = np.clip((z_m - self.shoulder_z_m) / (self.neck_z_m - self.shoulder_z_m), 0.0, 1.0)
        fall = 0.5 + 0.5 * np.cos(np.pi * along**self.shoulder_power)
        radius_m = self.neck_radius_m + (self.radius_m - self.neck_radius_m) * fall
        inside = np.clip(np.abs(z_m - self.waist_z_m) / self.waist_length_m * 2.0, 0.0, 1.0)
        return radius_m - self.waist_m * (0.5 + 0.5 * np.cos(np.pi * inside))


def ribbed(radius_at: RadiusAt, bands: list[tuple[float, float, int, float]]) -> RadiusAt:
    """``radius_at`` with grooves cut in: each band is (low z, high z, grooves, depth) in metres."""

    def radius(z_m: NDArray[np.float64]) -> NDArray[np.float64]:
        result = radius_at(z_m)
        for low_m, high_m, count, depth_m in bands:
            share = (z_m - low_m) / (high_m - low_m)
            groove = (0.5 - 0.5 * np.cos(2.0 * np.pi * count * share)) ** 1.5
            result = result - np.where((share > 0.0) & (share < 1.0), depth_m * groove, 0.0)
        return result

    return radius


def outer_wall(
    outline: Outline,
    radius_at: RadiusAt,
    neck_rz: list[tuple[float, float]],
    *,
    body_rows: int,
    shoulder_rows: int,
) -> NDArray[np.float64]:
    """The outside from the middle of the base to the lip; ``neck_rz`` starts at the neck's foot."""
    heel_m, radius_m = outline.heel_m, outline.radius_m
    floor = [
        (0.0, outline.push_up_m),
        (0.35 * (radius_m - heel_m), 0.82 * outline.push_up_m),
        (0.75 * (radius_m - heel_m), 0.2 * outline.push_up_m),
    ]
    turn = np.linspace(0.0, 0.5 * np.pi, 6)
    corner = np.column_stack([radius_m - heel_m + heel_m * np.sin(turn), heel_m * (1.0 - np.cos(turn))])
    z_m = np.concatenate(
        [
            np.linspace(heel_m, outline.shoulder_z_m, body_rows + 1)[1:],
            np.linspace(outline.shoulder_z_m, outline.neck_z_m, shoulder_rows + 1)[1:],
        ]
    )
    side = np.column_stack([radius_at(z_m), z_m])
    neck = np.add(neck_rz, (0.0, outline.neck_z_m))
    return np.concatenate([floor, corner, side, neck])


def hollow(outer_rz: NDArray[np.float64], thickness_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outer and inner wall in one closed outline; ``thickness_m`` (K,) is per outer point."""
    along = np.gradient(outer_rz, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    inner = outer_rz - thickness_m[:, None] * np.column_stack([along[:, 1], -along[:, 0]])
    inner[:, 0] = np.maximum(inner[:, 0], 0.0)
    inner[0] = (0.0, outer_rz[0, 1] + thickness_m[0])
    inner[-1] = (outer_rz[-1, 0] - thickness_m[-1], outer_rz[-1, 1])
    return np.concatenate([outer_rz, inner[::-1]])


def stopped(outer_rz: NDArray[np.float64], *, well_m: float, wall_m: float) -> NDArray[np.float64]:
    """For opaque walls: only a short well below the lip instead of a whole inner wall."""
    lip_r_m, lip_z_m = outer_rz[-1]
    well = [
        (lip_r_m - wall_m, lip_z_m),
        (lip_r_m - wall_m, lip_z_m - well_m),
        (0.0, lip_z_m - well_m),
    ]
    return np.concatenate([outer_rz, well])


def screw_neck(neck_radius_m: float, *, ring: bool) -> list[tuple[float, float]]:
    """A threaded neck of about 28 mm for ``neck_radius_m`` 13 mm, with or without support ring."""
    scale = neck_radius_m / 0.013
    rows = [(12.9, 1.0), (12.8, 3.0)]
    if ring:
        rows += [(13.2, 3.4), (16.4, 3.7), (16.4, 5.2), (13.0, 5.6)]
    rows += [(12.4, 8.2), (12.4, 10.2), (13.6, 10.9), (13.6, 11.5), (12.4, 12.2), (12.4, 13.4)]
    rows += [(13.6, 14.1), (13.6, 14.7), (12.4, 15.4), (12.4, 18.6), (12.0, 19.2)]
    return [(radius * 0.001 * scale, height * 0.001) for radius, height in rows]
