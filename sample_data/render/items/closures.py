"""Caps and rings that sit on bottle necks, as closed solids around +Z."""

from __future__ import annotations

import numpy as np

from sample_data.render import mesh


def screw_cap(*, radius_m: float, height_m: float, seat_z_m: float, knurls: int) -> mesh.Surface:
    """A closed screw cap standing on ``seat_z_m``, its side ridged by ``knurls`` ribs."""
    edge_m = 0.0016
    profile = [
        (0.0, seat_z_m),
        (radius_m, seat_z_m),
        (radius_m, seat_z_m + 0.0022),
        (radius_m - 0.0006, seat_z_m + 0.0026),
        (radius_m - 0.0006, seat_z_m + 0.0031),
        (radius_m, seat_z_m + 0.0035),
        (radius_m - 0.0003, seat_z_m + height_m - edge_m),
        (radius_m - 0.3 * edge_m - 0.0003, seat_z_m + height_m - 0.3 * edge_m),
        (radius_m - edge_m, seat_z_m + height_m),
        (0.55 * radius_m, seat_z_m + height_m),
        (0.50 * radius_m, seat_z_m + height_m - 0.0003),
        (0.0, seat_z_m + height_m - 0.0003),
    ]
    verts, faces, uvs = mesh.lathe(profile, 2 * knurls)
    above = (verts[:, 2] > seat_z_m + 0.0033) & (verts[:, 2] < seat_z_m + height_m - 0.6 * edge_m)
    turn = np.arctan2(verts[:, 1], verts[:, 0])
    groove = np.round(turn / (np.pi / knurls)).astype(np.int64) % 2 == 1
    verts[above & groove, :2] *= 1.0 - 0.0007 / radius_m
    return verts, faces, uvs


def collar(*, radius_m: float, z_m: float, height_m: float, thickness_m: float) -> mesh.Surface:
    """The tamper ring that stays on a neck: a short closed tube."""
    half_m = 0.5 * height_m
    inner_m = radius_m - thickness_m
    profile = [
        (radius_m, z_m - half_m),
        (radius_m, z_m + half_m),
        (inner_m, z_m + half_m),
        (inner_m, z_m - half_m),
        (radius_m, z_m - half_m),
    ]
    return mesh.lathe(profile, 40)


def crown_cap(*, seat_z_m: float, lip_radius_m: float) -> mesh.Surface:
    """A crown cork pressed over a lip whose top is at ``seat_z_m``, with its 21 teeth."""
    teeth = 21
    skirt_m = 0.0058
    outer_m = lip_radius_m + 0.0008
    profile = [
        (0.0, seat_z_m - skirt_m + 0.001),
        (outer_m, seat_z_m - skirt_m),
        (outer_m + 0.0016, seat_z_m - skirt_m),
        (outer_m + 0.0005, seat_z_m - 0.4 * skirt_m),
        (outer_m - 0.0004, seat_z_m - 0.0002),
        (outer_m - 0.0024, seat_z_m + 0.0007),
        (0.0, seat_z_m + 0.0009),
    ]
    verts, faces, uvs = mesh.lathe(profile, teeth * 4)
    turn = np.arctan2(verts[:, 1], verts[:, 0])
    low = np.clip((seat_z_m - 0.3 * skirt_m - verts[:, 2]) / skirt_m, 0.0, 1.0)
    verts[:, :2] *= (1.0 + 0.07 * low * np.cos(teeth * turn))[:, None]
    return verts, faces, uvs
