"""The sizes and the moulded inner skin of trays, punnets, clamshells, lids and cups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sample_data.render.lofts import loft, rounded_outline
from sample_data.render.mesh import Surface


@dataclass(frozen=True)
class TrayShape:
    """A moulded tray: half sizes at the rim, depth, inset of the floor (draft), rounding, rim, lip and ribs."""

    half_x_m: float
    half_y_m: float
    depth_m: float
    draft_m: float
    corner_m: float
    rim_m: float
    lip_m: float
    rib_m: float
    rib_count: int
    floor_rib_m: float


def tray_shape(rng: np.random.Generator, form: str) -> TrayShape:
    """Return random real-life sizes for a form: "meat", "punnet", "clamshell", "lid", "cup" or "dish"."""
    u = rng.uniform
    if form == "cup":
        radius, depth = u(0.033, 0.048), u(0.045, 0.09)
        return TrayShape(
            half_x_m=radius,
            half_y_m=radius,
            depth_m=depth,
            draft_m=radius * u(0.12, 0.28),
            corner_m=radius,
            rim_m=u(0.003, 0.005),
            lip_m=0.001,
            rib_m=0.0,
            rib_count=0,
            floor_rib_m=0.0,
        )
    half_x = u(0.06, 0.115)
    ratio = u(0.6, 1.0)
    if form == "meat":
        return TrayShape(
            half_x_m=half_x,
            half_y_m=half_x * ratio,
            depth_m=u(0.018, 0.05),
            draft_m=u(0.006, 0.016),
            corner_m=u(0.012, 0.03),
            rim_m=u(0.006, 0.011),
            lip_m=u(0.001, 0.004),
            rib_m=u(0.0, 0.0012),
            rib_count=int(rng.integers(8, 20)),
            floor_rib_m=u(0.0006, 0.002),
        )
    if form == "punnet":
        half_x = u(0.055, 0.095)
        return TrayShape(
            half_x_m=half_x,
            half_y_m=half_x * ratio,
            depth_m=u(0.04, 0.085),
            draft_m=u(0.008, 0.016),
            corner_m=u(0.015, 0.03),
            rim_m=u(0.004, 0.008),
            lip_m=u(0.001, 0.003),
            rib_m=u(0.0012, 0.0022),
            rib_count=int(rng.integers(10, 22)),
            floor_rib_m=u(0.001, 0.002),
        )
    if form == "clamshell":
        half_x = u(0.05, 0.066)
        return TrayShape(
            half_x_m=half_x,
            half_y_m=half_x * u(0.9, 1.4),
            depth_m=u(0.025, 0.04),
            draft_m=u(0.007, 0.013),
            corner_m=u(0.012, 0.03),
            rim_m=u(0.004, 0.007),
            lip_m=0.001,
            rib_m=u(0.0008, 0.0018),
            rib_count=int(rng.integers(8, 18)),
            floor_rib_m=u(0.0008, 0.002),
        )
    if form == "lid":
        round_lid = rng.random() < 0.5
        half_x = u(0.045, 0.075) if round_lid else half_x * 0.8
        half_y = half_x if round_lid else half_x * ratio
        return TrayShape(
            half_x_m=half_x,
            half_y_m=half_y,
            depth_m=u(0.005, 0.011),
            draft_m=u(0.001, 0.003),
            corner_m=half_x if round_lid else u(0.012, 0.03),
            rim_m=u(0.003, 0.006),
            lip_m=u(0.003, 0.006),
            rib_m=0.0,
            rib_count=0,
            floor_rib_m=u(0.0, 0.0008),
        )
    return TrayShape(
        half_x_m=half_x * 0.9,
        half_y_m=half_x * 0.9 * u(0.65, 0.85),
        depth_m=u(0.03, 0.055),
        draft_m=u(0.012, 0.022),
        corner_m=u(0.025, 0.05),
        rim_m=u(0.007, 0.011),
        lip_m=0.001,
        rib_m=0.0,
        rib_count=0,
        floor_rib_m=u(0.0, 0.001),
    )


def moulded_skin(rng: np.random.Generator, shape: TrayShape, *, side_cells: int) -> Surface:
    """The moulded sheet seen from inside, rim at z = 0 and floor at -depth; v runs 0 at the floor to 1 at the rim."""
    fillet = min(0.006, 0.3 * shape.depth_m)
    path: list[tuple[float, float, float]] = [
        (-shape.rim_m, -shape.lip_m, 0.0),
        (-shape.rim_m, -0.4 * shape.lip_m, 0.0),
        (-shape.rim_m + 0.0008, 0.0, 0.0),
        (-0.5 * shape.rim_m, 0.0, 0.0),
        (-0.001, 0.0, 0.0),
        (0.0, -0.0012, 0.0),
    ]
    for t in np.linspace(0.06, 1.0, 11):
        rib = np.sin(np.pi * min(1.0, 1.15 * t)) ** 0.5 if t < 0.87 else 0.0
        step = 0.0018 if t > 0.2 and shape.rib_count else 0.0
        path.append((shape.draft_m * t + step, -0.0012 - (shape.depth_m - fillet - 0.0012) * t, rib))
    for angle in np.deg2rad([30, 60, 90]):
        path.append(
            (
                shape.draft_m + 0.0018 * bool(shape.rib_count) + fillet * (1 - np.cos(angle)),
                -shape.depth_m + fillet * (1 - np.sin(angle)),
                0.0,
            )
        )
    rings, v = [], []
    around = 0
    for inset, z, rib in path:
        outline = rounded_outline(
            shape.half_x_m - inset,
            shape.half_y_m - inset,
            max(shape.corner_m - 0.5 * inset, 0.002),
            side_cells=side_cells,
            corner_cells=8,
        )
        around = len(outline)
        if rib > 0 and shape.rib_count:
            wave = np.cos(2 * np.pi * np.arange(around) / around * 4 * max(2, shape.rib_count // 3))
            outline = outline * (1 - (shape.rib_m * rib * wave / shape.half_y_m)[:, None])
        rings.append(np.column_stack([outline, np.full(around, z)]))
        v.append(1.0 + z / shape.depth_m)
    floor = rings[-1]
    for scale in np.linspace(0.94, 0.05, 14 if side_cells < 16 else 16):
        rings.append(floor * [scale, scale, 1.0])
        v.append(0.0)
    surface = loft(np.stack(rings), np.asarray(v), end_centre=True)
    verts = surface[0]
    inside = np.clip(
        (0.9 - np.maximum(np.abs(verts[:, 0]) / np.abs(floor[:, 0]).max(), np.abs(verts[:, 1]) / floor[:, 1].max()))
        * 12,
        0,
        1,
    )
    on_floor = (verts[:, 2] < -shape.depth_m + 1e-6) * inside
    pitch = shape.half_x_m / rng.uniform(1.3, 3.2)
    style = rng.integers(3)
    if style == 0:
        pattern = np.cos(2 * np.pi * verts[:, 0] / pitch)
    elif style == 1:
        pattern = np.cos(2 * np.pi * verts[:, 0] / pitch) * np.cos(2 * np.pi * verts[:, 1] / pitch)
    else:
        pattern = np.cos(2 * np.pi * np.hypot(verts[:, 0], verts[:, 1]) / pitch)
    verts[:, 2] += shape.floor_rib_m * on_floor * (1 + pattern)
    return surface
