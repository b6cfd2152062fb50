"""Outlines and small parts of cans, standing along +Z on z = 0, lengths in metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sample_data.render import mesh


def drinks_can(
    radius_m: float, height_m: float, end_radius_m: float, *, rows: int
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Outside of a drawn can with domed base and necked end, and the heights its print spans."""
    foot_m = end_radius_m - 0.003
    base = [
        (0.0, 0.0105),
        (0.45 * foot_m, 0.0092),
        (0.78 * foot_m, 0.0050),
        (foot_m - 0.0016, 0.0006),
        (foot_m, 0.0),
        (foot_m + 0.0016, 0.0008),
        (foot_m + 0.0030, 0.0030),
        (0.5 * (foot_m + 0.003 + radius_m), 0.0075),
        (radius_m - 0.0006, 0.0120),
    ]
    wall_low_m, wall_high_m = 0.0145, height_m - 0.0160
    wall = [(radius_m, z_m) for z_m in np.linspace(wall_low_m, wall_high_m, rows)]
    share = np.linspace(0.0, 1.0, 6)[1:]
    fall = 0.5 - 0.5 * np.cos(np.pi * share)
    neck = np.column_stack([radius_m - (radius_m - end_radius_m) * fall, wall_high_m + (0.0130) * share])
    return np.concatenate([base, wall, neck, _end(end_radius_m, height_m)]), (0.0120, wall_high_m + 0.009)


def _end(radius_m: float, top_z_m: float) -> list[tuple[float, float]]:
    """Seam, countersink and panel of a drinks can end."""
    offsets = [
        (0.0009, -0.0024),
        (0.0012, -0.0012),
        (0.0008, -0.0002),
        (-0.0002, 0.0),
        (-0.0010, -0.0006),
        (-0.0014, -0.0030),
        (-0.0026, -0.0064),
        (-0.0034, -0.0068),
        (-0.0042, -0.0062),
        (-0.0048, -0.0042),
    ]
    rows = [(radius_m + across, top_z_m + up) for across, up in offsets]
    return [*rows, (0.5 * radius_m, top_z_m - 0.0040), (0.0, top_z_m - 0.0040)]


def tin(
    radius_m: float,
    height_m: float,
    *,
    rows: int,
    bead_count: int,
    bead_depth_m: float,
    open_top: bool,
) -> tuple[NDArray[np.float64], tuple[float, float], int]:
    """Outline of a seamed tin, the heights its label spans, and where the inside starts.

    With ``open_top`` the outline goes on down the inside; the returned index is the first
    profile row of the inside (the number of rows if there is none).
    """
    seam_m = 0.0014
    low_m, high_m = 0.0042, height_m - 0.0042
    base = [
        (0.0, 0.0028),
        (0.35 * radius_m, 0.0028),
        (0.42 * radius_m, 0.0020),
        (0.66 * radius_m, 0.0020),
        (0.72 * radius_m, 0.0028),
        (radius_m - 0.0022, 0.0030),
        (radius_m - 0.0010, 0.0002),
        (radius_m + 0.6 * seam_m, 0.0),
        (radius_m + seam_m, 0.0008),
        (radius_m + seam_m, 0.0026),
        (radius_m, 0.0032),
    ]
    z_m = np.linspace(low_m, high_m, rows)
    share = np.clip((z_m - low_m - 0.18 * (high_m - low_m)) / (0.64 * (high_m - low_m)), 0.0, 1.0)
    groove = 0.5 - 0.5 * np.cos(2.0 * np.pi * bead_count * share)
    wall = np.column_stack([radius_m - bead_depth_m * groove, z_m])
    rim = [
        (radius_m, height_m - 0.0032),
        (radius_m + seam_m, height_m - 0.0026),
        (radius_m + seam_m, height_m - 0.0008),
        (radius_m + 0.6 * seam_m, height_m),
        (radius_m - 0.0010, height_m - 0.0002),
    ]
    outside = np.concatenate([base, wall, rim])
    if open_top:
        inner = wall[::-1] - [0.0008, 0.0]
        shoulder = [(radius_m - 0.0016, height_m - 0.0030)]
        floor = [(radius_m - 0.0030, 0.0042), (0.5 * radius_m, 0.0034), (0.0, 0.0034)]
        whole = np.concatenate([outside, shoulder, inner, floor])
        return whole, (low_m, high_m), len(outside) - 1
    lid = [
        (radius_m - 0.0022, height_m - 0.0036),
        (0.86 * radius_m, height_m - 0.0038),
        (0.84 * radius_m, height_m - 0.0028),
        (0.60 * radius_m, height_m - 0.0028),
        (0.56 * radius_m, height_m - 0.0036),
        (0.0, height_m - 0.0036),
    ]
    return np.concatenate([outside, lid]), (low_m, high_m), len(outside) + len(lid)


def spray_can(radius_m: float, height_m: float, *, rows: int) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Outside of an aerosol can up to its valve cup, and the heights its print spans."""
    shoulder_z_m = height_m - 0.55 * radius_m
    base = [
        (0.0, 0.009),
        (0.6 * radius_m, 0.006),
        (radius_m - 0.003, 0.0008),
        (radius_m - 0.0012, 0.0),
        (radius_m + 0.0004, 0.0008),
        (radius_m + 0.0004, 0.0028),
        (radius_m, 0.0036),
    ]
    wall = [(radius_m, z_m) for z_m in np.linspace(0.005, shoulder_z_m, rows)]
    turn = np.linspace(0.0, 0.5 * np.pi, 7)[1:]
    dome = np.column_stack(
        [
            0.0125 + (radius_m - 0.0015 - 0.0125) * np.cos(turn),
            shoulder_z_m + 0.55 * radius_m * np.sin(turn),
        ]
    )
    cup = [
        (0.0135, height_m + 0.001),
        (0.0130, height_m + 0.003),
        (0.0115, height_m + 0.003),
        (0.0105, height_m),
        (0.0025, height_m),
        (0.0020, height_m + 0.007),
        (0.0, height_m + 0.007),
    ]
    return np.concatenate([base, wall, dome, cup]), (0.005, shoulder_z_m)


def flat_oval(size_xy_m: tuple[float, float], centre_m: tuple[float, float, float], thickness_m: float) -> mesh.Surface:
    """A flat closed oval plate facing +Z."""
    profile = [
        (0.0, -0.5 * thickness_m),
        (0.5, -0.5 * thickness_m),
        (0.5, 0.5 * thickness_m),
        (0.0, 0.5 * thickness_m),
    ]
    verts, faces, uvs = mesh.lathe(profile, 24)
    return verts * [*size_xy_m, 1.0] + centre_m, faces, uvs


def pull_tab(top_z_m: float, *, length_m: float, width_m: float, lift_deg: float) -> mesh.Surface:
    """The ring tab on a can's end: a flat loop riveted at x = 0 that rises by ``lift_deg``."""
    turns = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    section = np.array([(1.0, -0.5), (1.0, 0.5), (0.62, 0.5), (0.62, -0.5)])
    ring = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    verts = np.concatenate(
        [
            np.column_stack([ring[:, 0] * 0.5 * length_m * s, ring[:, 1] * 0.5 * width_m * s, np.full(24, h * 0.0011)])
            for s, h in section
        ]
    )
    verts[:, 0] += 0.40 * length_m
    lift = np.deg2rad(lift_deg)
    verts = np.column_stack(
        [
            verts[:, 0] * np.cos(lift) - verts[:, 2] * np.sin(lift),
            verts[:, 1],
            verts[:, 0] * np.sin(lift) + verts[:, 2] * np.cos(lift) + top_z_m + 0.0011,
        ]
    )
    index = np.arange(24)
    faces = np.concatenate(
        [
            np.column_stack(
                [low * 24 + index, low * 24 + (index + 1) % 24, high * 24 + (index + 1) % 24, high * 24 + index]
            )
            for low, high in ((0, 1), (1, 2), (2, 3), (3, 0))
        ]
    )
    return verts, faces, np.zeros((len(faces), 4, 2))
